"""An evaluation of phasing from plan to report: figures from runs, nothing phased twice, gaps in the peers named."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from friedel.bcdi.evaluation import evaluate as evaluation
from friedel.bcdi.evaluation import methods as phasing_methods
from friedel.bcdi.evaluation.conditions import Condition, make_case
from friedel.bcdi.evaluation.evaluate import evaluate_phasing
from friedel.bcdi.evaluation.methods import CHAIN, ITERATIVE, NETWORK, Answer, Methods
from friedel.bcdi.evaluation.plan import PhasingEvaluationPlan, PhasingEvaluationSizes
from friedel.bcdi.evaluation.results import Outcome, ResultFolder
from friedel.bcdi.evaluation.studies import studies
from friedel.bcdi.evaluation.tables import speed_up, study_tables
from friedel.bcdi.networks.phase_unet import PhaseUNet
from friedel.cli.main import app
from friedel.core.errors import InputError, PlanError, WeightsError
from friedel.core.networks import ModelCard, save_weights

TINY = PhasingEvaluationSizes(
    size=20,
    overview=2,
    crystals=1,
    large=1,
    photons=(1e5, 1e7),
    oversampling=(2.5,),
    phase_range_turns=((0.5, 1.0),),
    gaps=((1, 0),),
    edges=(20,),
)
ABSENT = "cohere: not installed"


def _answer(pattern, seconds, blur):
    amplitude = np.sqrt(pattern.intensities)
    obj = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(amplitude * np.exp(1j * blur)))).astype(np.complex64)
    return Answer(object=obj, chi=0.1, voxels=int(obj.size), seconds=seconds, cpu_seconds=seconds, trusted=blur == 0)


class Counted:
    """Methods that answer at once, count what they are asked, and may refuse or be stopped."""

    def __init__(self):
        self.asked = []
        self.stop_after = None

    def method(self, name, seconds):
        def run(pattern, seed):
            if self.stop_after is not None and len(self.asked) >= self.stop_after:
                raise KeyboardInterrupt
            self.asked.append(name)
            if name == ITERATIVE and pattern.n_photons < 1e6:
                raise InputError("too few photons")
            return _answer(pattern, seconds, 0.0 if name == CHAIN else 0.3)

        return run

    def methods(self, plan):
        run = {NETWORK: self.method(NETWORK, 0.01), CHAIN: self.method(CHAIN, 1.0)}
        run[ITERATIVE] = self.method(ITERATIVE, 5.0)
        return Methods(run, dict.fromkeys(run, plan.model), (ABSENT,), "fake 0123")


@pytest.fixture
def counted(monkeypatch):
    counted = Counted()
    monkeypatch.setattr(evaluation, "methods_of", counted.methods)
    return counted


def _plan(tmp_path, **changes):
    return PhasingEvaluationPlan(sizes=TINY, output=tmp_path / "out").model_copy(update=changes)


def test_the_report_holds_every_section_and_says_what_is_absent(counted, tmp_path):
    heard = []
    result = evaluate_phasing(_plan(tmp_path), observer=heard.append)
    assert [section.name for section in result.sections] == list(PhasingEvaluationPlan.known_sections)
    page = result.report.read_text(encoding="utf-8")
    assert page.count("<section id=") == 7
    assert ABSENT in page
    assert "the plan names no scan" in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/png;base64,") == 7
    overview = result.sections[0].figures
    assert 0 < overview["10⁷ photons, 2π network + refinement correlation"] <= 1
    assert overview["10⁷ photons, 2π iterative seconds"] == 5.0
    assert heard[-1].step == "scan"
    assert result.made == 3 * (2 + 2 + 2 + 1 + 1 + 1)
    assert "0.0000 (0.000)" in page  # the pattern that the iterative chain refused


def test_what_is_there_is_not_phased_again_and_a_kill_loses_one_crystal(counted, tmp_path):
    plan = _plan(tmp_path, sections=("overview",))
    counted.stop_after = 4
    with pytest.raises(KeyboardInterrupt):
        evaluate_phasing(plan)
    kept = sorted(path.name for path in (tmp_path / "out" / "crystals").rglob("*.json"))
    assert kept == ["000-iterative.json", "000-network-refinement.json", "000-network.json"]
    counted.stop_after = None
    assert evaluate_phasing(plan).made == 6 - 3
    # A damaged file and a picture's object that is lost are phased anew; so is all with another network.
    folder = tmp_path / "out" / "crystals" / "overview"
    (folder / "001-network.json").write_text("{")
    (folder / "000-iterative.npy").unlink()
    assert evaluate_phasing(plan).made == 2
    assert counted.asked.count(CHAIN) == 2
    bench = ResultFolder(tmp_path / "out" / "crystals", seed=1)
    condition = studies(TINY)["overview"].conditions[0]
    assert bench.read(condition, 1, CHAIN, "default") is None
    bench = ResultFolder(tmp_path / "out" / "crystals", seed=0)
    assert bench.read(condition, 1, CHAIN, "another") is None
    assert bench.read(condition, 1, CHAIN, "default").seconds == 1.0


def test_an_outcome_is_plain_json(counted, tmp_path):
    evaluate_phasing(_plan(tmp_path, sections=("photons",)))
    folder = tmp_path / "out" / "crystals" / "photons-1e5"
    values = json.loads((folder / "000-iterative.json").read_text())
    assert values["refused"] == "too few photons"
    assert values["correlation"] is None
    assert (folder / "000-network.npy").is_file()


def test_conditions_do_what_they_are_called():
    made = studies(PhasingEvaluationSizes())
    assert list(made) == list(PhasingEvaluationPlan.known_sections[:-1])
    names = [condition.name for study in made.values() for condition in study.conditions]
    assert len(set(names)) == len(names)
    gap = make_case(next(c for c in made["gaps"].conditions if c.gap == (2, 2)), 0, seed=0).pattern
    assert (~gap.mask).mean() == pytest.approx(1 - (30 / 32) ** 2)
    assert not gap.intensities[~gap.mask].any()
    assert gap.mask[:, 16, 16].all()
    sphere = make_case(Condition(name="s", label="s", crystals=1, over_sphere=1.2), 1, seed=0).truth
    assert (np.abs(sphere) > 0).any(axis=(1, 2)).sum() > 20
    few = make_case(Condition(name="f", label="f", crystals=1, photons=1e4), 0, seed=0)
    assert few.pattern.n_photons == pytest.approx(1e4, rel=0.1)
    same = make_case(Condition(name="g", label="g", crystals=1), 0, seed=0)
    assert np.array_equal(few.truth, same.truth)


def test_being_quicker_counts_only_at_the_same_quality():
    slow = [Outcome(method="i", number=k, correlation=0.99, seconds=10.0) for k in range(3)]
    values = (0.995, 0.9895, 0.9)
    quick = [Outcome(method="n", number=k, correlation=value, seconds=1.0) for k, value in enumerate(values)]
    assert speed_up(slow, quick) == (10.0, 2)
    assert np.isnan(speed_up([], quick)[0])


def test_a_single_condition_gives_one_row_a_method():
    outcome = Outcome(method="m", number=0, correlation=0.95, seconds=1.0, trusted=True, voxels=5, true_voxels=4)
    (table,) = study_tables({"all": {"m": [outcome]}}, "crystals")
    assert table.rows[0][:2] == ["m", "0.9500 (0.950)"]
    assert "1.25" in table.rows[0]
    assert "1 of 1 | –" in table.rows[0]


def test_a_scan_whose_frames_are_absent_is_named(counted, tmp_path):
    (tmp_path / "scan.yaml").write_text("scan: {path: frames.npy}\n")
    section = evaluate_phasing(_plan(tmp_path, sections=("scan",), scan=tmp_path / "scan.yaml")).sections[0]
    assert "frames.npy isn't there" in section.text
    (section,) = evaluate_phasing(_plan(tmp_path, sections=("scan",), scan=tmp_path / "none.yaml")).sections
    assert "none.yaml isn't there" in section.text


def test_a_scan_is_phased_by_every_method(counted, tmp_path):
    pattern = make_case(Condition(name="s", label="s", crystals=1, size=24), 0, seed=0).pattern
    np.save(tmp_path / "frames.npy", pattern.intensities)
    (tmp_path / "scan.yaml").write_text("scan: {path: frames.npy}\n")
    plan = _plan(tmp_path, sections=("scan",), scan=tmp_path / "scan.yaml", scan_shape=None)
    (section,) = evaluate_phasing(plan).sections
    assert [row[0] for row in section.tables[0].rows] == [NETWORK, CHAIN, ITERATIVE]
    assert section.tables[0].rows[1][5] == "5.0 ×"
    assert section.tables[0].rows[2][-1] == "1.0000"
    assert section.pictures[0].file == "scan.png"
    asked = len(counted.asked)
    assert evaluate_phasing(plan).sections[0].figures == section.figures
    assert len(counted.asked) == asked


def test_methods_are_called_as_a_user_calls_them(tmp_path, monkeypatch):
    torch.manual_seed(1)
    options, plans = {"width": 4, "levels": 2}, []
    card = ModelCard(name="u", architecture="phase_unet", options=options)
    save_weights(tmp_path / "unet", PhaseUNet(**options), card)
    model = str(tmp_path / "unet.safetensors")
    pattern = make_case(Condition(name="s", label="s", crystals=1), 0, seed=0).pattern

    def reconstruct(intensities, *, mask, plan, seed, device):
        plans.append(plan)
        return phasing_methods.predict(intensities, mask=mask, model=model)

    monkeypatch.setattr(phasing_methods, "reconstruct", reconstruct)
    monkeypatch.setattr(phasing_methods, "cohere_installed", lambda: False)
    monkeypatch.setattr(phasing_methods, "shipped_models", lambda: ())
    methods = phasing_methods.methods_of(PhasingEvaluationPlan(model=model, iterative_starts=7))
    assert list(methods.run) == [NETWORK, CHAIN, ITERATIVE]
    assert [sentence.partition(":")[0] for sentence in methods.absent] == ["3D-CDI-NN", "cohere"]
    answers = [methods.answer(name, pattern, 0) for name in methods.run]
    assert plans == [{"start": "network", "guided": {"model": model}}, {"start": "random", "starts": 7}]
    assert all(answer.object.shape == (32, 32, 32) and answer.seconds > 0 for answer in answers)
    assert answers[0].trusted is None
    published = phasing_methods.methods_of(PhasingEvaluationPlan(model=model, published=model, cohere=()))
    assert "3D-CDI-NN" in published.run
    assert published.absent == ()


def test_what_can_not_be_is_told_before_any_work(tmp_path):
    with pytest.raises(PlanError, match="no folder for the report"):
        evaluate_phasing(PhasingEvaluationPlan())
    with pytest.raises(WeightsError, match="no such weights"):
        evaluate_phasing(_plan(tmp_path, model="nowhere/model.safetensors"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(PlanError, match="unknown section 'speed'"):
        PhasingEvaluationPlan.named_sections("overview, speed")
    (tmp_path / "plan.yaml").write_text("published: model\nscan: scan.yaml\n")
    (tmp_path / "model").mkdir()
    plan = PhasingEvaluationPlan.load(tmp_path / "plan.yaml")
    assert plan.published == str(tmp_path / "model")
    assert plan.scan == tmp_path / "scan.yaml"


def test_the_command_says_where_the_report_is(counted, tmp_path):
    (tmp_path / "plan.yaml").write_text(f"sizes: {TINY.model_dump_json()}\ncohere: []\n")
    command = ["evaluate", "phasing", "--plan", str(tmp_path / "plan.yaml"), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*command, "--sections", "gaps"])
    assert done.exit_code == 0, done.output
    assert "3 crystals phased now" in done.output
    assert (tmp_path / "out" / "report.html").is_file()
