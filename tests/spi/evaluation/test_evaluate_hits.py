"""An evaluation from plan to report: figures from runs, nothing made twice, and wrong plans refused."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from friedel.cli.main import app
from friedel.core.errors import PlanError
from friedel.core.evaluation import read_section
from friedel.core.networks import ModelCard, save_weights
from friedel.spi.evaluation import evaluate as evaluation
from friedel.spi.evaluation import models as evaluation_models
from friedel.spi.evaluation.context import Evaluation
from friedel.spi.evaluation.data import EvaluationData, LabelledFrames, joined
from friedel.spi.evaluation.models import by_diffusion_map
from friedel.spi.evaluation.plan import QUICK, SECTIONS, EvaluationPlan, EvaluationSizes
from friedel.spi.hits.features.features import CHANNELS, NAME
from friedel.spi.networks.hitnet import HitNet
from friedel.spi.training.plan import LabelledFile

TINY = EvaluationSizes(
    training_frames=100,
    test_frames=64,
    epochs=1,
    experiments=3,
    experiment_frames=16,
    other_runs=2,
    other_frames=24,
    labels=3,
    transfer_frames=50,
    depths=((1, 1),),
    shapes=("icosahedron", "torus"),
    shape_frames=64,
    speed_frames=64,
    map_frames=64,
    bootstrap=10,
)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    torch.manual_seed(1)
    card = ModelCard(
        name="random", architecture="hitnet", options={"channels": CHANNELS, "width": 4}, preprocessing=NAME
    )
    save_weights(folder / "model.safetensors", HitNet(CHANNELS, 4), card)
    return EvaluationPlan(model=str(folder / "model.safetensors"), sizes=TINY, output=folder / "out")


@pytest.fixture(scope="module")
def done(plan):
    heard = []
    wanted = plan.model_copy(update={"sections": ("domains", "rates", "calibration", "shapes", "depths", "speed")})
    return evaluation.evaluate_hits(wanted, observer=heard.append), heard


def test_every_section_asked_for_has_its_figures(done):
    result, _ = done
    assert [section.name for section in result.sections] == [
        "domains",
        "rates",
        "calibration",
        "shapes",
        "depths",
        "speed",
    ]
    figures = {section.name: section.figures for section in result.sections}
    for name in ("sim/sim", "sim/exp", "exp/exp"):
        for model in ("random", "ResNet(2, 2), trained here"):
            low, value, high = (figures["domains"][f"{model} {name} {part}"] for part in ("low", "value", "high"))
            assert 0 <= low <= value <= high <= 1
    assert {f"second domain {rate}% pr_auc value" for rate in (1, 5, 20)} < set(figures["rates"])
    assert 0 <= figures["calibration"]["second domain ece"] <= 1
    ways = ("learnt from icosahedra only", "from icosahedra, stretched and carved", "shape left out")
    assert {f"{way} torus" for way in ways} < set(figures["shapes"])
    assert figures["depths"]["validation 1,1"] > 0.3
    assert figures["speed"]["model seconds"] > 0


def test_the_page_is_whole_and_loads_nothing(done):
    page = done[0].report.read_text(encoding="utf-8")
    assert page.count("<section id=") == 6
    assert "Not evaluated" in page
    assert "methods, answers, looks" in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/png;base64,") == 4
    assert "99.8 % (sim/sim)" in page


def test_what_is_there_is_not_made_again(done, plan, monkeypatch):
    monkeypatch.setitem(evaluation.MAKERS, "speed", None)
    again = evaluation.evaluate_hits(plan.model_copy(update={"sections": ("rates", "speed")}))
    assert again.made == 0
    assert again.sections[0].figures == done[0].sections[1].figures
    # Another seed is another evaluation, and a damaged record is none.
    folder = plan.output / "sections"
    assert read_section(folder, "rates", "another key") is None
    kept = (folder / "depths.json").read_text()
    (folder / "depths.json").write_text(kept[:50])
    assert read_section(folder, "depths") is None
    (folder / "depths.json").write_text(kept)


def test_a_stopped_evaluation_keeps_what_it_finished(plan, tmp_path, monkeypatch):
    def stopped(given):
        raise KeyboardInterrupt

    monkeypatch.setitem(evaluation.MAKERS, "speed", stopped)
    wanted = plan.model_copy(update={"sections": ("depths", "speed"), "output": tmp_path})
    with pytest.raises(KeyboardInterrupt):
        evaluation.evaluate_hits(wanted)
    assert json.loads((tmp_path / "sections" / "depths.json").read_text())["name"] == "depths"
    assert not (tmp_path / "report.html").exists()


def test_four_methods_are_compared_and_random_weights_are_named(done, plan, monkeypatch):
    def features(network, inputs, **options):
        return inputs[:, 0, ::4, ::4].reshape(len(inputs), -1)

    monkeypatch.setattr(evaluation_models, "vgg16_features", features)
    result = evaluation.evaluate_hits(plan.model_copy(update={"sections": ("methods",)}))
    rows = result.sections[0].tables[0].rows
    assert len(rows) == 4
    assert "RANDOM weights" in rows[1][0]
    assert [row[-1] for row in rows] == ["99.8 %", "98.6 % (exp/exp)", "", ""]


def test_pictures_of_what_networks_look_at(done, plan):
    result = evaluation.evaluate_hits(plan.model_copy(update={"sections": ("looks",)}))
    files = {picture.file for picture in result.sections[0].pictures}
    assert {
        "looks-ResNet-0.png",
        "looks-VGG16-1.png",
        "looks-attention-resnet.png",
        "looks-attention-model.png",
    } < files


def test_sets_of_frames_are_made_once_and_differ(done, plan):
    data = EvaluationData(plan.output / "data")
    training, test = (data.paper(64, test=kind) for kind in (False, True))
    assert not np.array_equal(training.frames, test.frames)
    assert 0.2 < training.single.mean() < 0.8
    runs = data.experiments(3, 16)
    assert all("droplet" not in run.kind for run in runs)
    assert len(joined([runs[0], runs[0]]).single) == 2 * len(runs[0].single)
    large = data.large_frames()
    assert large.shape == (256, 256, 256)


def test_a_network_trained_from_something_else_is_not_taken_for_it(done, plan, tmp_path):
    given = Evaluation(plan=plan, folder=plan.output)
    before = {path.name for path in (plan.output / "models").iterdir()}
    given.models.trained("resnet-1-1", given.paper_recipe(1, 1), [given.data.paper(100, test=False)])
    assert {path.name for path in (plan.output / "models").iterdir()} == before
    given.models.trained("resnet-1-1", given.paper_recipe(1, 1), [given.data.paper(80, test=False)])
    assert len(list((plan.output / "models").iterdir())) == len(before) + 1


def test_labelled_files_join_the_second_domain(plan, tmp_path):
    frames = np.random.default_rng(0).poisson(3, (20, 64, 64)).astype(np.uint16)
    np.save(tmp_path / "run.npy", frames)
    np.save(tmp_path / "labels.npy", np.arange(20) % 2)
    file = LabelledFile(path=tmp_path / "run.npy", labels=tmp_path / "labels.npy")
    given = Evaluation(plan=plan.model_copy(update={"files": (file,)}), folder=plan.output)
    last = given.other_runs[-1]
    assert last.particle == "run"
    assert np.array_equal(last.frames, frames)
    assert last.single.sum() == 10
    assert last.mask.all()


def test_the_diffusion_map_tells_round_frames_from_striped_ones():
    rng = np.random.default_rng(5)
    y, x = np.mgrid[-16:16, -16:16] + 0.5
    single = np.arange(300) % 2 == 0
    ring = 30 * (1 + np.cos(np.hypot(x, y))) * np.exp(-np.hypot(x, y) / 8)
    turn = rng.uniform(0, np.pi, (300, 1, 1))
    stripes = ring * (1 + np.cos(2 * (x * np.cos(turn) + y * np.sin(turn))))
    frames = rng.poisson(np.where(single[:, None, None], ring, stripes))
    labelled = LabelledFrames(
        frames=frames, mask=np.ones((32, 32), bool), single=single, kind=single.astype(str), particle="rings"
    )
    shares, truth = by_diffusion_map(labelled, labels=30, seed=0)
    assert len(shares) == 240
    assert np.mean((shares > 0.5) == truth) > 0.85


def test_too_few_frames_of_a_class_are_named(plan, tmp_path):
    sizes = TINY.model_copy(update={"labels": 40})
    given = plan.model_copy(update={"sizes": sizes, "sections": ("domains",)})
    with pytest.raises(PlanError, match="no run of the second domain has more than 40 frames of each class"):
        evaluation.evaluate_hits(given)


def test_plans_are_read_back_and_mistakes_named(plan, tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(plan.text())
    assert EvaluationPlan.load(path) == plan
    assert EvaluationPlan(size="quick").chosen_sizes == QUICK
    path.write_text("sectons: [rates]\n")
    with pytest.raises(PlanError, match="did you mean 'sections'"):
        EvaluationPlan.load(path)
    with pytest.raises(PlanError, match=r"unknown section 'rate'; known: domains"):
        EvaluationPlan.named_sections("rate")
    assert EvaluationPlan.named_sections("rates, speed") == ("rates", "speed")
    assert set(SECTIONS) == set(evaluation.MAKERS)
    with pytest.raises(PlanError, match="no folder for the report"):
        evaluation.evaluate_hits(EvaluationPlan())


def test_the_command_goes_on_where_it_was(done, plan, tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(plan.text())
    result = CliRunner().invoke(app, ["evaluate", "hits", "--plan", str(path), "--sections", "rates,depths"])
    assert result.exit_code == 0, result.stderr
    assert "0 sections made, 2 kept from before" in result.stdout
