import dataclasses
from pathlib import Path

import numpy as np
import yaml

from friedel.bcdi.results.record_json import decode_record, encode_record, plan_yaml


def test_numbers_that_json_lacks_come_back_as_nan(finished):
    result = finished()
    start = dataclasses.replace(result.starts[0], correlation=float("nan"), chi=float("inf"))
    result = dataclasses.replace(result, starts=(start,), quality=dataclasses.replace(result.quality, prtf=None))
    quality, _, starts = decode_record(encode_record(result))
    assert np.isnan(starts[0].correlation)
    assert np.isnan(starts[0].chi)
    assert quality.prtf is None
    assert quality.fsc.criterion == "half-bit"


def test_a_plan_becomes_yaml_that_reads_back():
    plan = {"b": np.float32(0.5), "a": (1, np.int64(2)), "path": Path("scan") / "54", "none": None, "yes": True}
    text = plan_yaml(plan)
    assert yaml.safe_load(text) == {"b": 0.5, "a": [1, 2], "path": "scan/54", "none": None, "yes": True}
    assert text.index("b:") < text.index("a:")
