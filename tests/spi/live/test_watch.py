import json
import time

import h5py
import numpy as np
import pytest
from live_doubles import brightness, expected_hits, frames, plan, write_run

from friedel.spi.live import statistics
from friedel.spi.live.statistics import _histogram
from friedel.spi.live.watch import watch_hits


def test_a_file_is_watched_to_its_end(tmp_path):
    stack = frames(300)
    path = write_run(tmp_path / "run.h5", stack)
    result = watch_hits(plan(tmp_path, f"file://{path}"))
    hits = expected_hits(stack)
    assert result.counts.adds_up
    assert (result.counts.seen, result.counts.processed) == (300, 300)
    with h5py.File(result.files["part 1"]) as file:
        numbers = file["entry_1/result_1/number"][()]
        order = np.argsort(numbers)
        assert numbers[order].tolist() == list(range(300))
        np.testing.assert_allclose(file["entry_1/result_1/single"][()][order], stack[:, 0, 0] / 100, rtol=1e-6)
        kept = file["entry_1/data_1/number"][()]
        assert sorted(kept) == hits.tolist()
        np.testing.assert_array_equal(file["entry_1/data_1/data"][()], stack[kept])
        assert file["entry_1/ledger_1/counts"][-1, 1:3].tolist() == [300, 300]
    header = np.fromfile(result.files["photons"], "<i4", 2)
    assert header.tolist() == [len(hits), 64 * 64]
    assert json.loads(result.files["summary"].read_text())["ledger"]["processed"] == 300
    view = result.snapshot.view
    assert view.histogram.sum() == 300
    assert view.selected == view.n_powder == len(hits)
    np.testing.assert_allclose(view.powder, stack[hits].mean(0), rtol=1e-4)
    assert "processed 300" in (tmp_path / "out" / "watch.log").read_text()


def test_small_frames_are_told_by_the_same_rule_as_in_a_batch():
    from friedel.spi.hits.preparation import prepare
    from friedel.spi.live import intake

    assert intake.SMALLEST == prepare.SMALLEST


def test_live_scores_are_the_batch_s_scores(tmp_path):
    from friedel.spi.hits.model import load_model

    stack = np.random.default_rng(5).poisson(0.4, (48, 96, 96)).astype(np.uint16)
    stack += np.random.default_rng(6).poisson(40 * np.exp(-np.hypot(*np.indices((96, 96)) - 48) / 6)).astype(np.uint16)
    path = write_run(tmp_path / "run.h5", stack)
    queue = {"workers": 1, "sample": 48, "settle_s": 20.0}
    result = watch_hits(plan(tmp_path, f"file://{path}", model="default", queue=queue))
    model = load_model("default", device="cpu")
    batch = model.score(stack, run=model.measure(stack))
    with h5py.File(result.files["part 1"]) as file:
        order = np.argsort(file["entry_1/result_1/number"][()])
        for name, expected in (
            ("single", batch.single),
            ("fringes", batch.fringes),
            ("out_of_distribution", batch.out_of_distribution),
        ):
            live = file[f"entry_1/result_1/{name}"][()][order]
            np.testing.assert_allclose(live, expected, rtol=2e-2, atol=2e-2, err_msg=name)
    assert (tmp_path / "out" / "run_constants.npz").exists()


def test_modes_of_sizes_are_fitted_seldom_while_frames_come_and_once_more_at_the_end(monkeypatch):
    fits = []
    monkeypatch.setattr(statistics, "size_modes", lambda sizes: (fits.append(len(sizes)), time.sleep(0.02), ())[-1])
    kept, stack = statistics.HitStatistics(), frames(8)
    every = np.ones(8, bool)

    def add():
        scores = brightness().score(stack, None, run={})
        kept.add(scores, every, stack, numbers=np.arange(8), series="s")
        return kept.view()

    views = [add() for _ in range(5)]
    assert fits == [8], "fitted on the first hits, and not again at once"
    assert views[-1].selected == 40
    kept.over = True
    kept.view()
    kept.view()
    assert fits == [8, 40]


@pytest.mark.parametrize("n", [0, 1, 7, 500])
def test_a_handful_of_values_is_sorted_into_bins_as_numpy_does(n):
    values = np.random.default_rng(n).uniform(-0.1, 1.1, n).astype(np.float32)
    values[: n // 100] = np.nan
    expected = np.histogram(values, bins=20, range=(0, 1))[0]
    np.testing.assert_array_equal(_histogram(values, 20, 0.0, 1.0), expected)
