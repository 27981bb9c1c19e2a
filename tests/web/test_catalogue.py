"""Results in a Tiled server's catalogue: a real server on loopback, where Tiled is installed."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import h5py
import numpy as np
import pytest

from friedel.core.errors import InputError, MissingDependencyError
from friedel.web.catalogue import register_results


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "seen" / "run_7"
    folder.mkdir(parents=True)
    with h5py.File(folder / "scores.h5", "w") as file:
        file["entry_1/result_1/single"] = np.linspace(0, 1, 5)
    (folder / "plan.yaml").write_text("model: default\nseed: 3\n")
    (folder / "summary.json").write_text(json.dumps({"frames": 5, "hit_rate": float("nan")}))
    return folder


@pytest.fixture
def server(tmp_path):
    pytest.importorskip("tiled.server.app", reason="needs tiled[server]")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["serve", "catalog", "--temp", "--api-key", "secret", "--port", str(port), "--read", str(tmp_path / "seen")]
    process = subprocess.Popen([sys.executable, "-m", "tiled", *words], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=os.environ | {"HOME": str(tmp_path)})  # fmt: skip
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).close()
                break
            except OSError:
                time.sleep(0.25)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.mark.filterwarnings("ignore")  # what Tiled's libraries warn of is not ours
def test_results_are_found_by_their_figures_and_read_where_they_lie(results, server, tmp_path):
    from tiled.client import from_uri

    for _ in range(2):  # the second time in place of the first
        (address,) = register_results([results], server, under=["2026", "shift 1"], api_key="secret")
    assert address == f"{server}/api/v1/metadata/2026/shift 1/run_7"
    found = from_uri(server, api_key="secret")["2026", "shift 1", "run_7"]
    assert found.metadata["summary"] == {"frames": 5, "hit_rate": None}
    assert found.metadata["plan"] == {"model": "default", "seed": 3}
    assert [spec.name for spec in found.specs] == ["FriedelResult"]
    single = found["scores.h5"]["entry_1"]["result_1"]["single"]
    np.testing.assert_array_equal(np.asarray(single), np.linspace(0, 1, 5))

    elsewhere = tmp_path / "unseen"
    elsewhere.mkdir()
    (elsewhere / "scores.h5").write_bytes((results / "scores.h5").read_bytes())
    with pytest.raises(InputError, match="the server can't read it"):
        register_results([elsewhere], server, api_key="secret")
    with pytest.raises(InputError, match="the Tiled server can't be used"):
        register_results([results], server, api_key="wrong")
    from_uri(server, api_key="secret").create_container("run_7")
    with pytest.raises(InputError, match="something else of this name"):
        register_results([results], server, api_key="secret")


def test_without_results_or_without_tiled_a_line_says_so(results, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tiled", None)
    monkeypatch.setitem(sys.modules, "tiled.client", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'friedel\[tiled\]'"):
        register_results([results], "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "tiled.client", sys)
    with pytest.raises(InputError, match="holds no results"):
        register_results([tmp_path / "seen"], "http://127.0.0.1:9")
