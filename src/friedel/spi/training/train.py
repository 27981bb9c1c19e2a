"""Train a classifier of single hits: a plan in; weights, their card and the plan out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from friedel.core.errors import InputError, PlanError
from friedel.core.networks import MODEL_FILE, ModelCard, TrainedModel, load_weights
from friedel.core.observer import Observer, silent
from friedel.core.training.job import leave_model, new_network, training_folder
from friedel.spi.hits.features.out_of_distribution import DIRECTIONS, WIDE, fit_out_of_distribution
from friedel.spi.hits.probability.calibration import Calibration, Isotonic, Platt, Temperature
from friedel.spi.hits.probability.reliability import calibration_error, measured_reject_band
from friedel.spi.training.classifier import Trained, describe, measure, score, train_classifier
from friedel.spi.training.inputs import PreparedInputs, prepare_inputs
from friedel.spi.training.plan import CalibrationOptions, TrainingData, TrainingPlan
from friedel.spi.training.preprocessing import require_known
from friedel.spi.training.runs import LabelledRun, labelled_run, training_files

_FITS: dict[str, Callable[[ArrayLike, ArrayLike], Calibration]] = {
    "temperature": Temperature.fit,
    "platt": Platt.fit,
    "isotonic": Isotonic.fit,
}

# Frames whose features the out-of-distribution score is fitted to: features of more than 256 dimensions, and others.
_FEW_FRAMES, _MANY_FRAMES = 1000, 4000


def train_hits(
    plan: TrainingPlan,
    output: Path | None = None,
    *,
    resume: bool = False,
    fresh: bool = False,
    observer: Observer = silent,
) -> TrainedModel:
    """Simulate or read frames, prepare them, train, calibrate, and leave a model with its card.

    Parameters
    ----------
    plan : TrainingPlan
        Data, model, training, calibration.
    output : Path, optional
        Folder for the model and what is needed to resume; None takes the plan's.
    resume : bool
        Go on from the newest checkpoint in the folder, to the result of an unbroken training.
    fresh : bool
        Train anew although the folder holds a training; frames simulated by the same plan are used again.
    observer : Observer
        Hears progress.

    Raises
    ------
    PlanError
        If a name in the plan is unknown, no folder is given, or the folder's checkpoints are neither to be used nor
        to be replaced.
    InputError
        If frames or labels can't be used.
    MissingDependencyError
        If the extra "train" isn't installed.
    """
    folder, observer = training_folder(plan, output, resume=resume, fresh=fresh, observer=observer)
    if not (plan.data.files or plan.data.simulations or plan.data.domain_randomisation):
        raise PlanError("the plan's data names no frames; give files, simulations or domain_randomisation")
    require_known(plan.model.preprocessing)
    network = _network(plan)
    inputs, runs = _inputs(plan, folder, fresh, observer)
    trained = train_classifier(
        network,
        inputs.training,
        inputs.validation,
        plan.training,
        folder=folder,
        seed=plan.seed,
        resume=resume,
        observer=observer,
    )
    if plan.model.start and plan.model.blend:
        trained = _blended(plan, trained, inputs)
    card = _card(plan, trained, inputs.validation.truth, runs)
    statistics = inputs.statistics | _yardstick(trained, inputs, plan) if trained.first else None
    return leave_model(
        folder, trained.network, card, plan, first=trained.first, statistics=statistics, observer=observer
    )


def _network(plan: TrainingPlan) -> nn.Module:
    network = new_network(plan.model.architecture, plan.model.options, seed=plan.seed)
    if plan.model.start:
        _start_from(network, plan)
    return network


def _start_from(network: nn.Module, plan: TrainingPlan) -> None:
    """Give the network trained weights; layers that these lack keep their first ones."""
    trained, card = load_weights(plan.model.start)
    before, own = trained.state_dict(), network.state_dict()
    fits = card.architecture == plan.model.architecture
    fits &= all(name in own and own[name].shape == value.shape for name, value in before.items())
    if not fits or (plan.model.blend and len(before) < len(own)):
        raise PlanError(
            f"model.start: {plan.model.start!r} is a {card.architecture} with options {card.options}, the plan "
            f"trains a {plan.model.architecture} with {plan.model.options}; start from weights of the same network, or "
            "without blend of one with fewer layers"
        )
    network.load_state_dict(own | before)


def _blended(plan: TrainingPlan, trained: Trained, inputs: PreparedInputs) -> Trained:
    """Return the mean of the weights started from and of those trained, by `ModelOptions.blend`.

    References
    ----------
    Wortsman et al., *Robust fine-tuning of zero-shot models*, CVPR 2022.
    """
    before, share = load_weights(plan.model.start)[0].state_dict(), plan.model.blend
    mixed = {
        name: share * before[name] + (1 - share) * value if value.is_floating_point() else value
        for name, value in trained.network.state_dict().items()
    }
    trained.network.load_state_dict(mixed)
    options = plan.training
    logits = score(trained.network, inputs.validation, precision=options.precision, batch=options.batch)
    figures = measure(torch.from_numpy(logits), torch.from_numpy(inputs.validation.truth))
    return replace(trained, logits=logits, figures=figures)


def _inputs(
    plan: TrainingPlan, folder: Path, fresh: bool, observer: Observer
) -> tuple[PreparedInputs, list[LabelledRun]]:
    files = training_files(plan.data, folder / "data", fresh=fresh, observer=observer)
    runs = [labelled_run(file, plan.data) for file in files]
    held = held_back(runs, plan.data, seed=plan.seed)
    return prepare_inputs(runs, held, plan.model.preprocessing, folder / "inputs", observer=observer), runs


def held_back(runs: Sequence[LabelledRun], data: TrainingData, *, seed: int) -> NDArray[np.bool_]:
    """Choose the frames to validate on.

    Parameters
    ----------
    runs : sequence of LabelledRun
        All runs.
    data : TrainingData
        Says what part, and whether frames or whole runs.
    seed : int
        Decides which.

    Returns
    -------
    (n,) bool
        True for validation, frame after frame, run after run.

    Raises
    ------
    InputError
        If the frames are of one class, or there is but one run to hold back.
    """
    single = np.concatenate([run.single for run in runs])
    if single.all() or not single.any():
        raise InputError(
            f"{int(single.sum())} of the {single.size} chosen frames are labelled single: both classes are needed"
        )
    rng = np.random.default_rng((seed, 1))
    if data.hold == "runs":
        return _whole_runs([len(run.rows) for run in runs], data.validation, rng)
    held = np.zeros(single.size, dtype=bool)
    for members in (np.flatnonzero(single), np.flatnonzero(~single)):
        held[rng.permutation(members)[: max(2, round(data.validation * len(members)))]] = True
    return held


def _whole_runs(lengths: Sequence[int], part: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    if len(lengths) < 2:
        raise InputError("data.hold is 'runs', but there is one run: add runs, or hold back 'frames'")
    chosen = np.zeros(len(lengths), dtype=bool)
    chosen[rng.permutation(len(lengths))[: min(max(1, round(part * len(lengths))), len(lengths) - 1)]] = True
    return np.repeat(chosen, lengths)


def _yardstick(trained: Trained, inputs: PreparedInputs, plan: TrainingPlan) -> dict[str, Tensor]:
    """Return what the out-of-distribution score needs; nothing for networks without features, or of too few frames."""
    if not hasattr(trained.network, "features"):
        return {}
    order = np.random.default_rng((plan.seed, 2)).permutation(len(inputs.training))
    width = describe(trained.network, inputs.training.select(order[:1])).shape[1]
    # Many dimensions are decomposed in the time that goes with the frames' number squared.
    some = order[: _FEW_FRAMES if width > WIDE else _MANY_FRAMES]
    if len(some) <= (DIRECTIONS if width > WIDE else width):
        return {}
    chosen = inputs.training.select(np.sort(some))
    return fit_out_of_distribution(describe(trained.network, chosen, precision=plan.training.precision))


def _card(plan: TrainingPlan, trained: Trained, truth: NDArray[np.bool_], runs: Sequence[LabelledRun]) -> ModelCard:
    numbers, measured = _calibrated(plan.calibration, trained.logits, truth)
    total = sum(len(run.rows) for run in runs)
    part = f"{plan.data.validation:g} of the {plan.data.hold} held back"
    return ModelCard(
        name=plan.name,
        architecture=plan.model.architecture,
        options=plan.model.options,
        preprocessing=plan.model.preprocessing,
        plan=Path(MODEL_FILE).with_suffix(".yaml").name,
        seed=plan.seed,
        data=f"{total} frames of {len(runs)} run(s), {part}; the plan says which{_begun(plan)}",
        figures={**trained.figures, **measured, "validation_frames": float(len(truth))},
        limits=plan.limits or "Measured on held-back frames of its own training data only.",
        extra=dict(numbers),
    )


def _begun(plan: TrainingPlan) -> str:
    """Return what a card says of the weights that a training began with."""
    if not plan.model.start:
        return ""
    kept = f", and {plan.model.blend:.0%} of what it holds is theirs" if plan.model.blend else ""
    return f". It goes on from the weights {plan.model.start!r}{kept}"


def _calibrated(
    options: CalibrationOptions, logits: NDArray[np.float32], truth: NDArray[np.bool_]
) -> tuple[dict[str, float | list[float]], dict[str, float]]:
    """Fit the calibration on every other frame held back; measure its error and the reject band on those between."""
    if options.method == "none":
        return {}, {}
    fitting = np.zeros(len(truth), dtype=bool)
    for members in (np.flatnonzero(truth), np.flatnonzero(~truth)):
        fitting[members[::2]] = True
    calibration = _FITS[options.method](logits[fitting], truth[fitting])
    if not isinstance(calibration, Isotonic) and ((logits[fitting] > 0) == truth[fitting]).all():
        # If all frames are right the likeliest temperature is 0; then the network's own probabilities are kept.
        calibration = Temperature(max(Temperature.fit(logits[fitting], truth[fitting]).temperature, 1.0))
    probabilities, known = calibration(logits[~fitting]), truth[~fitting]
    band = measured_reject_band(probabilities, known, error=options.reject_error)
    numbers = {**calibration.numbers(), "reject_low": band.low, "reject_high": band.high}
    if options.run_bias:
        numbers["run_bias"] = options.run_bias
    return numbers, {"calibration_error": calibration_error(probabilities, known)}
