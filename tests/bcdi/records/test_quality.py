"""Quality figures become plain JSON values."""

import json

import numpy as np

from friedel.bcdi.records import Curve, Quality


def test_figures_survive_json_and_nan_becomes_null():
    curve = Curve(
        frequency=np.array([0.0, 0.5]), value=np.array([1.0, np.nan]), threshold=np.full(2, 0.37), criterion="1/e"
    )
    quality = Quality(
        chi=float(np.float32(0.05)), support_voxels=3000, support_fraction=0.01, support_threshold=0.2, n_starts=8,
        n_agreeing=6, isosurface_level=0.5, trusted=True, reasons=("six of eight starts agree",), prtf=curve,
        resolution_nm={"prtf x": 12.0, "prtf y": float("nan")}, mode_fractions=(0.9, 0.1),
    )  # fmt: skip
    plain = json.loads(json.dumps(quality.as_dict(), allow_nan=False))
    assert plain["prtf"]["value"] == [1.0, None]
    assert plain["resolution_nm"] == {"prtf x": 12.0, "prtf y": None}
    assert plain["reasons"] == ["six of eight starts agree"]
    assert plain["fsc"] is None
