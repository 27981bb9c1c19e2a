"""What every test shares: the folder of real measurements, and a made-up finished reconstruction."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from friedel.bcdi.geometry.instrument import ReciprocalGrid
from friedel.bcdi.records import Curve, Provenance, Quality, Reconstruction, Start

# The same examples on every run: what is found is found before a change is handed in, not by chance after it.
settings.register_profile("steady", derandomize=True)
settings.load_profile("steady")

# EPICS clients and servers stay on loopback; their library reads this when it is first imported.
os.environ |= {
    "EPICS_PVA_ADDR_LIST": "127.0.0.1", "EPICS_PVA_AUTO_ADDR_LIST": "NO", "EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1",
}  # fmt: skip

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


# Tests of processes that talk to each other while time passes: beside others they would wait for a core.
ALONE = ("tests/stream/", "tests/spi/live/", "tests/bcdi/live/", "tests/web/")


def pytest_configure() -> None:
    """Heed Ctrl-C: a shell's background jobs ignore it, and so would the commands that tests start and end by it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that run by themselves, after those that share the cores."""
    for item in items:
        if item.path.relative_to(config.rootpath).as_posix().startswith(ALONE):
            item.add_marker("alone")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Use one thread, with which small arrays are quickest; `tests/matrix.py` tries another number."""
    torch.set_num_threads(int(os.environ.get("FRIEDEL_TEST_THREADS", "1")))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real measurements beside the checkout, or skip and say so."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"real measurements are not beside the checkout ({REAL_DATA.name}/)")
    return REAL_DATA


@pytest.fixture
def traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which processes of a watch leave a trace before they die."""
    folder = tmp_path / "traces"
    folder.mkdir()
    monkeypatch.setenv("FRIEDEL_TEST_TRACES", str(folder))
    return folder


@pytest.fixture(scope="session")
def finished() -> Callable[..., Reconstruction]:
    """Return a maker of finished results: a facetted crystal, unequal along its axes, with every figure filled in."""
    return _finished


def _finished(
    *,
    shape: tuple[int, int, int] = (16, 18, 22),
    geometry: str | None = "skewed",
    trusted: bool = True,
    source: str = "scan 54",
    n_starts: int = 3,
) -> Reconstruction:
    obj, support = _facetted(shape)
    grids = {"skewed": [[4, 1, 22], [1, 23, 2], [21, 0, 3]], "square": [[0, 0, 22], [0, 23, 0], [21, 0, 0]]}
    grid = None
    if geometry is not None:
        basis = np.array(grids[geometry]) * 1e-3 / np.array(shape)[:, None]
        grid = ReciprocalGrid(basis=basis, q_bragg=np.array([0.9, 2.3, -1.1]), wavelength_angstrom=1.3)
    return Reconstruction(
        object=obj,
        support=support,
        quality=_quality(support, trusted, n_starts),
        grid=grid,
        provenance=_provenance(source),
        starts=tuple(_start(index, n_starts) for index in range(n_starts)),
    )


def _facetted(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    z, y, x = np.meshgrid(*[(np.arange(n) - n // 2) / n for n in shape], indexing="ij")
    support = (np.abs(z) < 0.3) & (np.abs(y) < 0.27) & (np.abs(x) < 0.22) & (np.abs(x) + np.abs(y) + np.abs(z) < 0.5)
    amplitude = support * (30 + 4 * z)
    return (amplitude * np.exp(1j * (5 * x + 2 * y))).astype(np.complex64), support


def _quality(support: np.ndarray, trusted: bool, n_starts: int) -> Quality:
    frequency = np.linspace(0.0, 0.5, 11)
    prtf = np.where(frequency > 0.46, np.nan, 1 - 2 * frequency)
    return Quality(
        chi=0.0412,
        support_voxels=int(support.sum()),
        support_fraction=float(support.mean()),
        support_threshold=0.18,
        n_starts=n_starts,
        n_agreeing=n_starts - 1,
        isosurface_level=0.5,
        trusted=trusted,
        reasons=("support 0.18 of six thresholds fits the held-out voxels best",),
        chi_free=0.0466,
        free_deviance=1.04,
        agreement=0.987,
        phase_spread_rad=0.083,
        mode_fractions=(0.962, 0.03, 0.008),
        prtf=Curve(frequency=frequency, value=prtf, threshold=np.full(11, 1 / np.e), criterion="1/e"),
        fsc=Curve(frequency=frequency, value=1 - frequency, threshold=np.full(11, 0.7), criterion="half-bit"),
        resolution_nm={"prtf x": 11.4, "prtf y": 12.2, "prtf z": 14.9, "fsc": 10.8},
    )


def _provenance(source: str) -> Provenance:
    return Provenance(
        plan={"schedule": "3*(20*ER+180*HIO)+20*ER", "starts": 3, "support": {"thresholds": [0.1, 0.18]}},
        seed=7,
        versions={"friedel": "0.1.0", "python": "3.11.2"},
        source=source,
        started="2026-03-01T07:30:00+00:00",
        seconds=41.25,
        notes=(("dark", "subtracted 1.2 counts"), ("crop", "warning: the peak is 4 pixels from the edge")),
    )


def _start(index: int, n_starts: int) -> Start:
    iterations = np.arange(0, 100, 20)
    return Start(
        chi_curve=(0.5 / (1 + iterations) + 0.04 + 0.01 * index).astype(np.float32),
        iterations=iterations,
        chi=0.045 + 0.01 * index,
        support_voxels=2000 + index,
        correlation=0.99 - 0.1 * index,
        chosen=index < n_starts - 1,
        free_deviance=None if index == 1 else 1.02 + index,
    )
