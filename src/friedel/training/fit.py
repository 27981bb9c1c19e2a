"""Train a network on ready tensors: Lightning's trainer with checkpoints, resuming, TensorBoard and an observer.

Takes tensors and gives a network back; simulating, preprocessing and calibrating are the workflow's.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from friedel.base.observer import Observer, silent
from friedel.training.checkpoints import LOGS, checkpoint_callbacks, clear, newest_checkpoint, restore_best
from friedel.training.data import ExampleData
from friedel.training.examples import Examples
from friedel.training.figures import measure, single_logit
from friedel.training.learner import Learner
from friedel.training.libraries import pl, quiet
from friedel.training.module import Classifier
from friedel.training.observing import ObserverCallback
from friedel.training.options import LearningOptions, TrainingOptions
from friedel.training.processes import first_process

_PRECISIONS = {"bf16": "bf16-mixed", "float32": "32-true"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Trained:
    """What a training leaves.

    Attributes
    ----------
    network : nn.Module
        The trained network, on the CPU, in evaluation mode.
    logits : (k,) float32
        Its log odds of "single" on the validation frames, in their order.
    figures : mapping of str to float
        accuracy, precision, recall, f1 and pr_auc on the validation frames.
    first : bool
        Whether this is the first of the processes that trained together: the one that writes.
    """

    network: nn.Module
    logits: NDArray[np.float32]
    figures: dict[str, float]
    first: bool = True


def train_classifier(
    network: nn.Module,
    training: Examples,
    validation: Examples,
    options: TrainingOptions | None = None,
    *,
    folder: Path,
    seed: int = 0,
    resume: bool = False,
    observer: Observer = silent,
) -> Trained:
    """Train a network with two scores to tell single hits.

    Parameters
    ----------
    network : nn.Module
        Maps inputs ``(b, c, h, w)`` to scores ``(b, 2)``; index 1 is "single hit". It is trained in place.
    training, validation : Examples
        What to learn from, and what to measure the result on.
    options : TrainingOptions, optional
        How to train.
    folder : Path
        For checkpoints and TensorBoard's logs; a fresh start removes those of an earlier training.
    seed : int
        Seed of the order of frames, of flips and of dropout.
    resume : bool
        Go on from the newest readable checkpoint, to the result of an unbroken training; without one, start.
    observer : Observer
        Hears progress.

    Raises
    ------
    InputError
        If all frames of a set have one label, or the loss stops being a number.
    PlanError
        If the checkpoint was made with other options.
    """
    options = options or TrainingOptions()
    training.require_both_classes("training")
    validation.require_both_classes("validation")
    learner = Classifier(network, options, seed=seed)
    data = ExampleData(training, validation, options, seed=seed)
    kept, first = run_training(learner, data, folder=folder, resume=resume, observer=observer)
    logits = score(kept, validation, precision=options.precision, batch=options.batch)
    figures = measure(torch.from_numpy(logits), torch.from_numpy(validation.truth))
    return Trained(network=kept, logits=logits, figures=figures, first=first)


def run_training(
    learner: Learner, data: pl.LightningDataModule, *, folder: Path, resume: bool, observer: Observer, parts: int = 1
) -> tuple[nn.Module, bool]:
    """Train any learner on any data.

    Parameters
    ----------
    learner : Learner
        The network with its options; trained in place.
    data : LightningDataModule
        Loaders of training and validation batches.
    folder, resume, observer
        As for `train_classifier`.
    parts : int
        Batches that the data gives for one step of the optimiser: their gradients are averaged.

    Returns
    -------
    network : nn.Module
        The weights to keep, on the CPU, in evaluation mode.
    first : bool
        Whether this is the first of the processes that trained together.
    """
    options = learner.learning
    newest = newest_checkpoint(folder, observer) if resume else None
    if newest is None and first_process():
        clear(folder)
    with quiet(), torch.random.fork_rng(range(torch.cuda.device_count())), _interruptible():
        trainer = _trainer(options, folder, observer, parts)
        trainer.fit(learner, data, ckpt_path=None if newest is None else str(newest))
    if options.keep == "best":
        restore_best(learner, folder)
    return learner.result.cpu().eval(), trainer.is_global_zero


def score(
    network: nn.Module, examples: Examples, *, precision: str = "float32", batch: int = 128
) -> NDArray[np.float32]:
    """Return a network's log odds of "single", ``(k,)`` float32, in the examples' order.

    Parameters
    ----------
    network : nn.Module
        Maps inputs ``(b, c, h, w)`` to scores ``(b, 2)``; in evaluation mode, on any device.
    examples : Examples
        Their labels are not looked at.
    precision : str
        "bf16" or "float32".
    batch : int
        Frames at a time.
    """
    return _applied(network, lambda inputs: single_logit(network(inputs)), examples, precision, batch).numpy()


def describe(network: nn.Module, examples: Examples, *, precision: str = "float32", batch: int = 128) -> Tensor:
    """Return a network's features of examples, ``(k, d)`` float32; arguments as `score`.

    The network has a method ``features`` from inputs ``(b, c, h, w)`` to ``(b, d)``.
    """
    features: Callable[[Tensor], Tensor] = network.features  # type: ignore[assignment]
    return _applied(network, features, examples, precision, batch)


def _applied(
    network: nn.Module, function: Callable[[Tensor], Tensor], examples: Examples, precision: str, batch: int
) -> Tensor:
    device = next(network.parameters()).device
    found: list[Tensor] = []
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        for start in range(0, len(examples), batch):
            rows = np.arange(start, min(start + batch, len(examples)))
            rows = rows if examples.rows is None else examples.rows[rows]
            inputs = torch.from_numpy(np.ascontiguousarray(examples.inputs[rows])).to(device).float()
            found.append(function(inputs.contiguous(memory_format=torch.channels_last)).float().cpu())
    return torch.cat(found)


def _trainer(options: LearningOptions, folder: Path, observer: Observer, parts: int) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=options.epochs,
        precision=_PRECISIONS[options.precision],  # type: ignore[arg-type]
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.num_nodes,
        strategy=options.strategy,
        gradient_clip_val=options.gradient_clip or None,
        accumulate_grad_batches=parts,
        logger=pl.loggers.TensorBoardLogger(folder, name=LOGS, version=""),
        callbacks=[ObserverCallback(observer), *checkpoint_callbacks(folder, options)],
        default_root_dir=folder,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # the batches are shared out already
        enable_progress_bar=False,
        enable_model_summary=False,
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    # Lightning answers Ctrl-C by leaving Python and by ignoring further ones; here it stays the caller's to decide.
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as left:
        if isinstance(left.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
