import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from tiny_particle import tiny_data

import friedel
from friedel.core.errors import InputError
from friedel.core.machine.team import ALONE, Team
from friedel.spi.frames.dragonfly import write_detector
from friedel.spi.frames.emc import sparse, write_emc
from friedel.spi.merge.merged import Merged

pytestmark = pytest.mark.alone
MERGE = "from friedel.cli.main import main; main()"
LEAVE = """
import torch
from friedel.core.errors import FriedelError
from friedel.core.machine.team import working_together
with working_together() as team:
    print(float(team.total(torch.ones(()))), team.joined(torch.tensor([team.rank])).tolist(), flush=True)
    if team.rank == 0:
        try:
            team.total(torch.ones(()))
        except FriedelError as error:
            print(error)
"""


def start(code, rank, port, *words, cwd=None):
    told = {"RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=cwd,
        env=os.environ | {key: str(value) for key, value in told.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_two_processes_find_what_one_finds(tmp_path):
    data, port = tiny_data(n_frames=160, photons=600), free_port()
    write_emc(tmp_path / "run.emc", map(sparse, data.frames), n_frames=160, n_pixels=data.frames.shape[1])
    write_detector(tmp_path / "det.h5", data.detector)
    line = ("merge", "run.emc", "--detector", "det.h5", "-o", "two", "--set", "density.write=false")
    both = [start(MERGE, rank, port, *line, cwd=tmp_path) for rank in range(2)]
    said = [process.communicate(timeout=280) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert "two halves agree" in said[0][0]
    assert said[1][0] == ""
    one, two = friedel.merge(data.frames, data.detector), Merged.load(tmp_path / "two" / "merged.h5")
    np.testing.assert_array_equal(one.used, two.used)
    assert np.nansum(two.likelihood, dtype=float) == pytest.approx(np.nansum(one.likelihood, dtype=float), rel=1e-6)
    np.testing.assert_allclose(two.likelihood, one.likelihood, rtol=1e-4)
    assert np.corrcoef(one.intensity.ravel(), two.intensity.ravel())[0, 1] > 0.9999


def test_a_process_that_loses_the_other_says_so():
    port = free_port()
    both = [start(LEAVE, rank, port) for rank in range(2)]
    said = [process.communicate(timeout=280) for process in both]
    assert said[0][0].startswith("2.0 [0, 1]"), said
    assert "another process of this work has ended" in said[0][0]


def test_shares_are_stretches_that_hold_everything_once():
    for size, step in ((1, 1), (2, 1), (5, 4), (2, 20)):
        every = [number for rank in range(size) for number in range(17)[Team(rank, size).share(17, step)]]
        assert every == list(range(17))
    assert ALONE.channels(2) == [ALONE, ALONE]
    assert ALONE.first("word") == "word"


def test_too_many_processes_for_the_frames_are_refused(monkeypatch):
    monkeypatch.setattr("friedel.spi.orient.solve._LEAST_SHARE", 500)
    data = tiny_data(2, n_frames=60)
    with pytest.raises(InputError, match="too few for 1 processes"):
        friedel.merge(data.frames, data.detector)
