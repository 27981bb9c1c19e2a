"""Plans: every shipped one is valid, every mistake is named with its place and the nearest right name."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from friedel.bcdi.plan import ReconstructionPlan, plan_for
from friedel.cli.plan_kinds import kind_of
from friedel.core.errors import InputError, PlanError

ROOT = Path(__file__).resolve().parents[2]
# Plans of other kinds are read by the tests of their workflows.
SHIPPED = sorted(path for path in (ROOT / "plans").glob("*.yaml") if kind_of(path) is ReconstructionPlan)


@pytest.fixture
def write(tmp_path):
    def to_file(text, name="my.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_plan_is_valid_and_says_how_to_run_it(path):
    plan = ReconstructionPlan.load(path)
    assert plan.scan is not None
    assert plan.scan.path.is_absolute()
    assert f"plans/{path.name}" in path.read_text(encoding="utf-8")


def test_the_plan_of_scan_54_finds_its_files(shared_data):
    assert ReconstructionPlan.load(ROOT / "plans" / "aps34idc_scan54.yaml").absent_paths() == []


def test_relative_paths_are_taken_from_the_plans_folder(write, tmp_path, monkeypatch):
    path = write("scan: {path: data/a.npy, mask: mask.npy}\noutput: result\n")
    monkeypatch.chdir("/")
    plan = ReconstructionPlan.load(path)
    assert (plan.scan.path, plan.scan.mask, plan.output) == (
        tmp_path / "data" / "a.npy", tmp_path / "mask.npy", tmp_path / "result",
    )  # fmt: skip
    assert plan.absent_paths() == [tmp_path / "data" / "a.npy", tmp_path / "mask.npy"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scna: {path: a.npy}\n", ["unknown key 'scna'", "did you mean 'scan'"]),
        ("scan: {path: a.npy, datset: x}\n", ["scan.datset", "did you mean 'dataset'"]),
        ("prepare: {aliens_ratio: 3}\n", ["prepare.aliens_ratio", "did you mean 'alien_ratio'"]),
        ("prepare: {shape: [8, 64, 64]}\n", ["prepare.shape", "16"]),
        ("seed: -1\n", ["seed", "-1"]),
        ("scan: {path: a.npy\nseed: 1\n", ["line 2", "not valid YAML"]),
        ("seed: 1\n\tscan: 2\n", ["line 2", "not valid YAML"]),
        ("seed: 2020-13-45\n", ["not valid YAML", "month must be in 1..12"]),
        ("[" * 5000, ["not valid YAML"]),
        ("- a\n- b\n", ["key: value", "list"]),
        ("", ["key: value", "NoneType"]),
    ],
)
def test_a_mistake_is_named_with_the_file_and_what_to_write(write, text, words):
    with pytest.raises(PlanError, match=r"my\.yaml") as caught:
        ReconstructionPlan.load(write(text))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_plan_that_is_not_there_or_not_text_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: can't read the plan"):
        ReconstructionPlan.load(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match=r"binary\.yaml: can't read the plan"):
        ReconstructionPlan.load(tmp_path / "binary.yaml")


def test_yaml_cannot_run_code(write):
    with pytest.raises(PlanError, match="not valid YAML"):
        ReconstructionPlan.load(write("scan: !!python/object/apply:os.getcwd []\n"))


KEYS = st.sampled_from(["scan", "prepare", "phasing", "strain", "seed", "path", "shape", "bin", "starts", "sed"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@given(values=st.dictionaries(KEYS, VALUES, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_yaml_is_a_plan_or_a_clear_error(write, values):
    path = write(yaml.safe_dump(values))
    try:
        assert isinstance(ReconstructionPlan.load(path), ReconstructionPlan)
    except PlanError as error:
        assert str(error).startswith(str(path))


def test_the_complete_plan_reads_back_the_same(write):
    plan = ReconstructionPlan.load(write("scan: {path: a.npy}\nprepare: {bin: [1, 2, 2]}\nseed: 7\noutput: there\n"))
    complete = write(plan.text(), "complete.yaml")
    assert ReconstructionPlan.load(complete) == plan
    assert set(yaml.safe_load(complete.read_text())) == set(ReconstructionPlan.model_fields)


def test_the_command_lines_choices_win_and_none_leaves_the_plans_own(write):
    plan = ReconstructionPlan.load(write("seed: 3\noutput: there\n"))
    assert plan.with_choices() == plan
    chosen = plan.with_choices(seed=0, starts=5, output=Path("here"))
    assert (chosen.seed, chosen.phasing.starts, chosen.output) == (0, 5, Path("here").resolve())


def test_data_needs_no_plan(tmp_path):
    volume = tmp_path / "a.npy"
    volume.touch()
    plan = plan_for(volume, dataset="x")
    assert (plan.scan.path, plan.scan.dataset, plan.scan.beamline) == (volume, "x", None)


def test_a_plan_describes_other_data_of_its_kind(write, tmp_path):
    settings = write("scan: {path: old, beamline: aps34idc, scan: 3}\nseed: 4\n")
    (tmp_path / "new").mkdir()
    plan = plan_for(tmp_path / "new", plan=settings)
    assert (plan.scan.path, plan.scan.beamline, plan.seed) == (tmp_path / "new", "aps34idc", 4)


def test_a_plan_as_input_is_itself_and_a_second_one_is_refused(write):
    path = write("scan: {path: a.npz}\n")
    assert plan_for(path) == ReconstructionPlan.load(path)
    assert plan_for(path, dataset="x").scan.dataset == "x"
    with pytest.raises(PlanError, match="leave out --plan"):
        plan_for(path, plan=path)


def test_a_folder_without_a_description_says_what_is_missing(tmp_path):
    with pytest.raises(InputError, match="is a folder; say how its files lie with --plan"):
        plan_for(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        plan_for(tmp_path / "none")
