"""The README's snippet on single hits runs as it stands."""

import re
from pathlib import Path

import numpy as np

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_snippet_on_frames_runs(tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    (snippet,) = [block for block in blocks if "friedel.classify" in block]
    monkeypatch.chdir(tmp_path)
    np.save("frames.npy", np.random.default_rng(0).poisson(3.0, (6, 64, 64)).astype(np.float32))
    exec(compile(snippet, str(README), "exec"), {})
    assert capsys.readouterr().out.startswith("0 [")
