import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from tiny_particle import tiny_data

import friedel
from friedel.core.machine.team import ALONE, Team
from friedel.spi.frames.dragonfly import write_detector
from friedel.spi.frames.emc import sparse, write_emc
from friedel.spi.merge.merged import Merged

pytestmark = pytest.mark.alone
RUN = "from friedel.cli.main import main; main()"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, data = tmp_path_factory.mktemp("run"), tiny_data(2, n_frames=250)
    used = data.detector.mask == 0
    data.frames += np.random.default_rng(0).poisson(60.0 * used / used.sum(), data.frames.shape)
    blanks = np.random.default_rng(1).poisson(np.tile(60.0 * used / used.sum(), (50, 1)))
    for name, frames in (("run.emc", data.frames), ("blanks.emc", blanks)):
        write_emc(folder / name, map(sparse, frames), n_frames=len(frames), n_pixels=frames.shape[1])
    write_detector(folder / "det.h5", data.detector)
    return folder


def command(files, name, rank=0, size=1, port=0):
    told = {"RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    told |= {"GLOO_SOCKET_IFNAME": "lo"}
    line = ["merge", "run.emc", "--detector", "det.h5", "--blanks", "blanks.emc", "-o", name]
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *line, "--set", "density.write=false"],
        cwd=files,
        env=os.environ | {key: str(value) for key, value in told.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_two_processes_find_what_one_finds(files):
    port = free_port()
    both = [command(files, "two", rank, 2, port) for rank in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert "two halves agree" in said[0][0]
    assert said[1][0] == ""
    single = command(files, "one")
    assert single.wait(timeout=120) == 0, single.communicate()
    one, two = (Merged.load(files / name / "merged.h5") for name in ("one", "two"))
    np.testing.assert_array_equal(one.used, two.used)
    assert np.nansum(two.likelihood, dtype=float) == pytest.approx(np.nansum(one.likelihood, dtype=float), rel=1e-6)
    assert np.corrcoef(one.intensity.ravel(), two.intensity.ravel())[0, 1] > 0.99999
    np.testing.assert_allclose(two.quality.halves, one.quality.halves, atol=1e-3)


def test_a_process_that_loses_the_other_says_so(files):
    port = free_port()
    both = [command(files, "lost", rank, 2, port) for rank in range(2)]
    both[0].stderr.readline()  # it has begun
    while both[0].stderr.readline().find("speckles") < 0:
        assert both[0].poll() is None
    both[1].kill()
    _, said = both[0].communicate(timeout=120)
    both[1].communicate()
    assert both[0].returncode != 0
    assert "another process" in said
    assert "Traceback" not in said


def test_shares_are_stretches_that_hold_everything_once():
    for size in (1, 2, 5):
        every = [number for rank in range(size) for number in range(17)[Team(rank, size).share(17)]]
        assert every == list(range(17))
    assert ALONE.channels(2) == [ALONE, ALONE]
    assert ALONE.first("word") == "word"


def test_too_many_processes_for_the_frames_are_refused(monkeypatch):
    monkeypatch.setattr("friedel.spi.orient.solve._LEAST_SHARE", 500)
    data = tiny_data(2, n_frames=60)
    with pytest.raises(friedel.core.errors.InputError, match="too few for 1 processes"):
        friedel.merge(data.frames, data.detector)
