"""From a coarse grid to the photon limit, by stages that are data: in the default, in a plan, and in the result."""

import numpy as np
import pytest
import torch
import yaml

from friedel.bcdi.phasing import solve
from friedel.bcdi.phasing.iterations.measured import measured_from
from friedel.bcdi.phasing.iterations.support import autocorrelation_excess
from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.phasing.refine import RefineOptions, refine
from friedel.bcdi.phasing.strategy import Stage, Strategies
from friedel.bcdi.records import Diffraction
from friedel.core.errors import PlanError


@pytest.fixture(scope="module")
def solution(medium):
    return solve(medium.diffraction, seed=3)


def test_the_photon_limit_is_reached(solution, medium):
    start, support = torch.from_numpy(medium.obj), torch.from_numpy(np.abs(medium.obj) > 0)
    limit = refine(start, support, measured_from(medium.diffraction), RefineOptions(early_stop=False)).obj.numpy()
    assert medium.error_rad(solution.object) < 2.5 * medium.error_rad(limit)
    assert solution.quality.noise_factor < 1.12
    assert solution.quality.trusted


def test_the_result_says_what_was_done_and_how_far_it_came(solution):
    reasons = solution.quality.reasons
    assert reasons[0].startswith("strategy: normal")
    assert any(reason.startswith("limit: the fit is 1.0") for reason in reasons)
    assert solution.quality.n_starts == len(solution.starts) >= 4


def test_small_patterns_take_the_same_stages_without_a_coarse_grid(small, small_solution):
    assert small_solution.quality.reasons[0].startswith("strategy: small")
    assert small_solution.quality.reasons[1].startswith("start: ")
    assert small_solution.quality.trusted
    assert small.error_rad(small_solution.object) < 0.03  # a refinement begun from the truth is 0.01 off


def test_starts_rounds_and_schedule_that_are_asked_for_change_the_stages():
    assert PhasingOptions().asked_strategies == Strategies()
    asked = PhasingOptions(starts=3, rounds=1, schedule="20*ER").asked_strategies
    for strategy, random in ((asked.normal, asked.normal.rounds[1:]), (asked.strained, asked.strained.rounds)):
        assert [(stages[0].count, stages[0].schedule) for stages in random] == [(3, "20*ER")]
        assert strategy.climb == Strategies().normal.climb or strategy.climb == Strategies().strained.climb
    assert asked.normal.rounds[0] == Strategies().normal.rounds[0]


def test_what_no_compact_object_explains_is_seen_before_phasing(medium):
    pattern = medium.diffraction
    hot = np.random.default_rng(0).integers(0, 48, (30, 3))
    counts = pattern.intensities.copy()
    counts[tuple(hot.T)] += 5e3
    clean, spoilt = (autocorrelation_excess(measured_from(Diffraction(intensities=one, mask=pattern.mask)))
                     for one in (pattern.intensities, counts))  # fmt: skip
    assert 0.5 < clean < 1.6
    assert spoilt > 3


def test_a_plan_prints_the_stages_and_changes_them():
    text = yaml.safe_dump(PhasingOptions().model_dump(mode="json"))
    assert PhasingOptions.read(yaml.safe_load(text)) == PhasingOptions()
    plain = yaml.safe_load(text)
    plain["strategies"]["normal"]["rounds"][0][0]["count"] = 7
    assert PhasingOptions.read(plain).strategies.normal.rounds[0][0].count == 7
    plain["strategies"]["normal"]["climb"][0]["schedule"] = "20*OOPS"
    with pytest.raises(PlanError, match="OOPS"):
        PhasingOptions.read(plain)


def test_every_round_begins_with_starts_and_every_climb_ends_refined():
    for _, strategy in Strategies():
        assert all(stages[0].starts != "none" for stages in strategy.rounds)
        assert all(isinstance(stage, Stage) and stage.grid != "coarse" for stage in strategy.climb)
        assert strategy.climb[-1].descend
