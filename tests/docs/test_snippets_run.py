"""Every piece of Python on every page runs as it stands, page by page, with what its reader has at hand.

What takes minutes or needs a beamline is answered by a stand-in that takes exactly what the real function takes.
"""

import ast
import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from source_contract import SourceContract
from tiny_particle import tiny_data

import friedel
import friedel.spi.networks.vgg16 as vgg16
import friedel.spi.simulation.simulate as simulate
from friedel.bcdi.crystals.lattice import gold_crystal
from friedel.bcdi.forward.scan import PERFECT, gold_111_geometry, simulate_scan
from friedel.bcdi.results.save import save_reconstruction
from friedel.bcdi.simulation.plan import CrystalPlan
from friedel.bcdi.simulation.simulate import simulate_crystals
from friedel.bcdi.strain.analysis import analyse
from friedel.spi.frames.dragonfly import write_detector, write_photons_hdf5
from friedel.spi.simulation.plan import SimulationPlan
from friedel.stream.snapshot import Snapshot

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^ *```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
WITH_PYTHON = [page for page in PAGES if BLOCK.search(page.read_text(encoding="utf-8"))]
SLOW = ("live", "merge")
"""Pages that merge hits, and that start a watch's processes."""
OTHERS = ("tiled",)
"""Packages whose snippets need a server of the reader's own; they are parsed elsewhere, and not run."""


def stand_in(function, answer):
    """Return a function that takes what ``function`` takes and gives an answer."""
    signature = inspect.signature(function)

    def stood_in(*given, **named):
        signature.bind(*given, **named)
        return answer

    return stood_in


@pytest.fixture(scope="module")
def at_hand(tmp_path_factory):
    """A reader's own scan, pattern, result and crystal, all real."""
    shape = (28, 32, 32)
    geometry = gold_111_geometry(shape, step_deg=0.02, pixel_m=110e-6)
    crystal = gold_crystal(geometry.grid.q_bragg, seed=1, diameter_angstrom=1800.0, phase_range_rad=1.5)
    scan = simulate_scan(crystal, geometry, n_photons=1e6, seed=1, imperfections=PERFECT).scan
    pattern = friedel.prepare(scan)
    result = friedel.reconstruct(pattern, seed=0)
    folder = tmp_path_factory.mktemp("reader")
    (folder / "result").mkdir()
    save_reconstruction(result, folder / "result" / "reconstruction.cxi", diffraction=pattern)
    return SimpleNamespace(scan=scan, pattern=pattern, result=result, crystal=analyse(result), folder=folder)


@pytest.fixture(scope="module")
def hits_at_hand(tmp_path_factory):
    """A short run of frames, and photons of a particle with their detector."""
    folder = tmp_path_factory.mktemp("frames")
    plan = SimulationPlan.read({"frames": 8, "run": {"particles": ["sphere"]}})
    simulate.simulate_hits(plan, folder / "run.cxi")
    data = tiny_data(2, n_frames=60, photons=500)
    return SimpleNamespace(folder=folder, data=data)


def _marked(page):
    return pytest.param(page, marks=pytest.mark.slow) if page.stem in SLOW else page


@pytest.mark.parametrize("path", [_marked(page) for page in WITH_PYTHON], ids=lambda path: path.stem)
@pytest.mark.timeout(600)
def test_python_of_a_page_runs(path, at_hand, hits_at_hand, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for folder in (at_hand.folder, hits_at_hand.folder):
        for entry in folder.iterdir():
            (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / "plans").symlink_to(ROOT / "plans")
    np.save("crystal.npy", at_hand.pattern.intensities)
    np.save("pattern.npy", at_hand.pattern.intensities)
    np.save("image.npy", at_hand.result.object)
    np.save("frames.npy", rng.poisson(3.0, (6, 64, 64)).astype(np.float32))
    space = {
        "__name__": "snippet",
        "friedel": friedel,
        "pytest": pytest,
        "result": at_hand.result,
        "crystal": at_hand.crystal,
        "loaded": at_hand.result,
        "intensities": at_hand.pattern.intensities,
        "frames": rng.poisson(3.0, (6, 64, 64)).astype(np.float32),
        "mask": np.zeros((64, 64), dtype=bool),
        "SourceContract": SourceContract,
    }
    space |= _own(path.stem, at_hand, hits_at_hand, tmp_path, monkeypatch)
    blocks = BLOCK.findall(path.read_text(encoding="utf-8"))
    for text in blocks:
        imported = {n.module.split(".")[0] for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom)}
        if not imported & set(OTHERS):
            fresh = dict(space) if path.stem == "training_hits" else space  # two networks of one name
            exec(compile(text, path.name, "exec"), fresh)


def _own(page, at_hand, hits, folder, monkeypatch):
    """Return what one page's reader has besides, and put stand-ins in the place of what takes minutes."""
    monkeypatch.setattr(friedel, "reconstruct", stand_in(friedel.reconstruct, at_hand.result), raising=False)
    monkeypatch.setattr(friedel, "read_scan", stand_in(friedel.read_scan, at_hand.scan), raising=False)
    shown = SimpleNamespace(ledger=SimpleNamespace(sentence=lambda: "all frames are accounted for"))
    assert "ledger" in Snapshot.__dataclass_fields__
    monkeypatch.setattr(friedel, "watch", stand_in(friedel.watch, iter([shown])), raising=False)
    if page == "diffusion_map":
        return {"frames": np.random.default_rng(1).poisson(4.0, (520, 32, 32)), "mask": np.ones((32, 32), bool)}
    if page == "crystals_simulation":
        plan = CrystalPlan.read({"crystals": 1, "generator": "continuum", "crystal": {"voxels": 24, "seed": 3}})
        simulate_crystals(plan, folder / "crystals.h5")
    if page == "single_hits_simulation":
        real = simulate.simulate_hits

        def shorter(plan, *given, **named):
            return real(plan.model_copy(update={"frames": 3}), *given, **named)

        monkeypatch.setattr(simulate, "simulate_hits", shorter)
    if page == "training_hits":
        network = vgg16.VGG16(fully_connected=False).eval()
        monkeypatch.setattr(vgg16, "load_vgg16", stand_in(vgg16.load_vgg16, network))
        layers = {
            "stem": torch.nn.Conv2d(1, 4, 3),
            "first": torch.nn.Conv2d(4, 4, 3),
            "second": torch.nn.Conv2d(4, 2, 3),
        }
        own = torch.nn.Sequential()
        for name, layer in layers.items():
            own.add_module(name, layer)
        own.add_module("mean", torch.nn.AdaptiveAvgPool2d(1))
        own.add_module("flat", torch.nn.Flatten())
        return {
            "network": own.eval(),
            "inputs": torch.rand(6, 1, 64, 64),
            "labels": np.array([0, 1, 0, 1, 0, 1]),
        }
    if page == "training_phasing":
        return {"mask": at_hand.pattern.mask}
    if page == "merge":
        write_photons_hdf5(folder / "photons.h5", csr_matrix(hits.data.frames))
        write_detector(folder / "detector.h5", hits.data.detector)
        return {"frames_path": folder / "photons.h5", "detector_path": folder / "detector.h5"}
    return {}
