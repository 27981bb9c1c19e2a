"""`friedel simulate crystals`: what it prints, what it leaves, and how it fails."""

from pathlib import Path

from typer.testing import CliRunner

from friedel.bcdi.simulation.store import read_crystals
from friedel.cli.main import app

PLAN = "crystals: 3\ngenerator: continuum\ncrystal: {atoms: 700, voxels: 16}\n"


def run(*arguments: object):
    return CliRunner().invoke(app, ["simulate", "crystals", *map(str, arguments)])


def test_a_store_is_made_from_a_plan_and_the_line(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN)
    output = tmp_path / "crystals.h5"
    done = run("--plan", tmp_path / "plan.yaml", "-o", output, "--crystals", 2, "--seed", 2)
    assert done.exit_code == 0
    assert "2 crystals" in done.stdout
    assert (tmp_path / "crystals-distribution.png").exists()
    assert len(read_crystals(output)) == 2


def test_mistakes_end_in_one_line_and_code_2(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN.replace("atoms", "atom"))
    wrong = run("--plan", tmp_path / "plan.yaml", "-o", tmp_path / "c.h5")
    assert (wrong.exit_code, "did you mean 'atoms'" in wrong.stderr) == (2, True)
    (tmp_path / "plan.yaml").write_text(PLAN.replace("700", "700, metals: [Fe]"))
    metal = run("--plan", tmp_path / "plan.yaml", "-o", tmp_path / "c.h5")
    assert (metal.exit_code, "unknown metal(s) Fe; choose from: Au, Ag" in metal.stderr) == (2, True)
    nowhere = run("--generator", "continuum", "-o", tmp_path / "no" / "c.h5")
    assert (nowhere.exit_code, "create it" in nowhere.stderr) == (2, True)
