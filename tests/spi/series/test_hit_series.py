"""A shift of runs: its hit rate with an error, the run with few hits and the damaged one named, a report."""

import numpy as np
import pytest
from typer.testing import CliRunner

from friedel.cli.main import app
from friedel.core.errors import InputError, PlanError
from friedel.core.series.members import SeriesMember
from friedel.spi.forward.frames import ParticleRunOptions
from friedel.spi.series.plan import RunSeriesPlan, members_of
from friedel.spi.series.run import find_outliers, run_hit_series
from friedel.spi.simulation.layout import read_truth
from friedel.spi.simulation.plan import SimulationPlan
from friedel.spi.simulation.simulate import simulate_hits

N_RUNS, N_FRAMES, POOR, LARGE = 6, 48, 2, 4


@pytest.fixture(scope="module")
def shift(tmp_path_factory):
    """Six runs, of which one has few hits and one larger particles, and a seventh whose file is no HDF5."""
    folder = tmp_path_factory.mktemp("shift")
    for k in range(N_RUNS):
        beam = ParticleRunOptions(
            frame_shape=(128, 128),
            pixel_size_m=6e-4,
            single_fraction=0.1 if k == POOR else 0.75,
            diameter_nm=90.0 if k == LARGE else 70.0,
            diameter_spread=0.01,
            faintest=0.5,
            chunk=24,
            seed=20 + k,
        )
        simulate_hits(SimulationPlan(frames=N_FRAMES, run=beam), folder / f"r{k:04d}.cxi")
    (folder / "r0006.cxi").write_bytes(b"no file of frames")
    return folder


@pytest.fixture(scope="module")
def done(shift, tmp_path_factory):
    plan = RunSeriesPlan(runs=(shift,), conditions={"gas_pressure": tuple(np.linspace(0.2, 0.8, N_RUNS + 1))})
    folder = tmp_path_factory.mktemp("series")
    return plan, folder, run_hit_series(plan, folder)


def test_hit_rates_and_sizes_are_those_of_the_runs_within_their_errors(shift, done):
    _, _, result = done
    assert result.against == "gas_pressure"
    pressures, rates, errors = result.along("hit_rate")
    assert len(rates) == N_RUNS
    assert pressures[0] == pytest.approx(0.2)
    true = np.array([read_truth(shift / f"r{k:04d}.cxi", "single").mean() for k in range(N_RUNS)])
    # Selected are the visible ones of the singles, so the rate lies a little below; never above by more than chance.
    assert np.all(rates < true + 3 * errors)
    assert np.all(rates > 0.6 * true - 3 * errors)
    _, sizes, size_errors = result.along("diameter")
    others = np.delete(sizes, [POOR, LARGE])
    assert np.ptp(others) < 0.06 * others.mean()
    assert sizes[LARGE] / others.mean() == pytest.approx(90 / 70, rel=0.05)
    assert np.all(size_errors[~np.isnan(size_errors)] > 0)


def test_the_runs_that_don_t_fit_in_are_named_and_no_other(done):
    _, _, result = done
    assert set(result.outliers) == {f"r{POOR:04d}", f"r{LARGE:04d}", "r0006"}
    assert "hit rate" in result.outliers[f"r{POOR:04d}"]
    assert "diameter" in result.outliers[f"r{LARGE:04d}"]
    assert "no result" in result.outliers["r0006"]


def test_table_and_report_hold_every_run(done):
    _, folder, result = done
    lines = (folder / "series.csv").read_text().splitlines()
    assert len(lines) == 1 + N_RUNS + 1
    assert {"run", "gas_pressure", "hit_rate", "hit_rate_error", "diameter_error"} <= set(lines[0].split(","))
    page = result.files["report"].read_text()
    assert f'href="r{POOR:04d}/report.html"' in page
    assert (folder / "r0000" / "report.html").is_file()
    assert 'src="http' not in page


def test_it_goes_on_where_it_stopped(done):
    plan, folder, first = done
    again = run_hit_series(plan, folder)
    assert [run.again for run in again.runs] == [True] * N_RUNS + [False]
    assert [run.numbers for run in again.runs] == [run.numbers for run in first.runs]


def test_a_short_run_s_scatter_is_not_held_against_it():
    def run(k, rate, n):
        return SeriesMember(
            name=str(k), conditions={}, numbers={"hit_rate": rate}, errors={"hit_rate": (rate * (1 - rate) / n) ** 0.5}
        )

    long = [run(k, 0.1 + 0.0005 * (k % 3), 1e5) for k in range(10)]
    assert set(find_outliers((*long[:5], run(5, 0.2, 10), *long[6:]))) == set()
    assert set(find_outliers((*long[:5], run(5, 0.2, 1e4), *long[6:]))) == {"5"}


def test_runs_of_one_name_get_folders_of_their_own_and_conditions_must_fit(tmp_path):
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
        np.save(tmp_path / day / "run.npy", np.zeros((2, 64, 64)))
    plan = RunSeriesPlan(runs=(tmp_path / "monday", tmp_path / "tuesday"))
    assert [member.name for member in members_of(plan)] == ["001_run", "002_run"]
    with pytest.raises(PlanError, match="1 values for 2"):
        members_of(plan.model_copy(update={"conditions": {"dose": (1.0,)}}))
    with pytest.raises(PlanError, match="needs 'runs'"):
        members_of(RunSeriesPlan())


def test_the_command_takes_runs_and_says_what_else_it_could_take(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"damaged")
    told = CliRunner().invoke(app, ["series", str(tmp_path / "a.npy"), "-o", str(tmp_path / "out")])
    assert told.exit_code == 2
    assert isinstance(told.exception, SystemExit | InputError)
    assert "no run of the series could be classified" in told.output
    assert "no plan" in CliRunner().invoke(app, ["series", "40-75", "-o", str(tmp_path / "out")]).output
