"""The store of crystals: what goes in comes out, half-written ones go on, damaged ones are named."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from friedel.bcdi.crystals.field import CrystalField
from friedel.bcdi.crystals.options import CrystalRunOptions
from friedel.bcdi.crystals.simulated import continuum_crystal
from friedel.bcdi.simulation.store import SCALARS, StoreDescription, StoreWriter, _json, read_crystals
from friedel.core.errors import InputError
from friedel.core.files.reserved import unfinished_path

OPTIONS = CrystalRunOptions.read({"atoms": 700, "voxels": 16})


def description(fingerprint: str = "one", n: int = 3) -> StoreDescription:
    return StoreDescription(n_crystals=n, voxels=16, plan="crystals: 3\n", fingerprint=fingerprint, version="0")


@pytest.fixture(scope="module")
def crystals() -> list[CrystalField]:
    return [continuum_crystal(OPTIONS, number) for number in range(3)]


def test_what_goes_in_comes_out(tmp_path: Path, crystals: list[CrystalField]) -> None:
    with StoreWriter(tmp_path / "c.h5", description()) as writer:
        for number in (2, 0):
            writer.write(number, crystals[number])
        writer.fail(1, "LAMMPS died")
        assert (writer.pending, writer.n_failed) == ([], 1)
        store = read_crystals(writer.finish())
    assert (len(store), store.n_failed, store.numbers.tolist()) == (2, 1, [0, 2])
    for index, number in enumerate((0, 2)):
        read, made = store[index], crystals[number]
        np.testing.assert_allclose(read.density, made.density, atol=1e-3)
        np.testing.assert_array_equal(read.displacement, made.displacement)
        np.testing.assert_array_equal(read.lattice, made.lattice)
        assert read.history == {**made.history, "number": number}
    assert store.all_of("metal").tolist() == ["Au", "Au"]
    assert store.all_of("strain_rms")[1] == pytest.approx(crystals[2].strain_rms(), rel=1e-5)
    assert store.plan == "crystals: 3\n"
    with pytest.raises(InputError, match=", ".join(SCALARS)):
        store.all_of("colour")


def test_an_interrupted_store_goes_on_where_it_was(tmp_path: Path, crystals: list[CrystalField]) -> None:
    path = tmp_path / "c.h5"
    with StoreWriter(path, description()) as writer:
        writer.write(1, crystals[1])
    assert not path.exists()
    with StoreWriter(path, description()) as writer:
        assert writer.pending == [0, 2]
    with pytest.raises(InputError, match="--fresh"):
        StoreWriter(path, description("two"))
    with StoreWriter(path, description("two"), fresh=True) as writer:
        assert writer.pending == [0, 1, 2]


def test_a_crystal_whose_bytes_came_without_its_mark_is_made_again(
    tmp_path: Path, crystals: list[CrystalField]
) -> None:
    path = tmp_path / "c.h5"
    with StoreWriter(path, description()) as writer:
        writer.write(0, crystals[0])
        writer._file.put("crystals/density", 1, crystals[1].density[None])  # and then the power failed
    with StoreWriter(path, description()) as writer:
        assert writer.pending == [1, 2]
        for number in writer.pending:
            writer.write(number, crystals[number])
        assert len(read_crystals(writer.finish())) == 3


def test_a_truncated_unfinished_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.h5"
    StoreWriter(path, description()).__exit__(None, None, None)
    unfinished_path(path).write_bytes(unfinished_path(path).read_bytes()[:700])
    with pytest.raises(InputError, match="--fresh"):
        StoreWriter(path, description())


def test_files_that_are_no_store_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_crystals(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(InputError, match="truncated or damaged"):
        read_crystals(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="friedel simulate crystals"):
        read_crystals(tmp_path / "other.h5")
    with StoreWriter(tmp_path / "c.h5", description()):
        pass
    with pytest.raises(InputError, match="holds no crystal"):
        read_crystals(unfinished_path(tmp_path / "c.h5"))
    with pytest.raises(InputError, match="create it or choose another"):
        StoreWriter(tmp_path / "no" / "c.h5", description())


def test_a_history_too_long_for_its_room_stays_readable() -> None:
    history = {"shape": "wulff", "strain": "x" * 2000, "twin": True}
    kept = json.loads(bytes(_json(history)).decode())
    assert kept == {"shape": "wulff", "twin": True, "left_out": ["strain"]}
    assert json.loads(bytes(_json({"é" * 300: 1, "b": "ü" * 900})).decode())["left_out"]
