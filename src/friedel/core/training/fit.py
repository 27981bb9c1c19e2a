"""Train a network on ready tensors: Lightning's trainer with checkpoints, resuming, TensorBoard and an observer.

Takes tensors and gives a network back; simulating, preprocessing and calibrating are the workflow's.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from friedel.core.machine.device import quick_in_bfloat16
from friedel.core.observer import Observer, Progress
from friedel.core.training.checkpoints import LOGS, checkpoint_callbacks, clear, newest_checkpoint, restore_best
from friedel.core.training.learner import Learner
from friedel.core.training.libraries import first_process, pl, quiet
from friedel.core.training.options import LearningOptions


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


def _in_bfloat16(options: LearningOptions) -> bool:
    on_gpu = torch.cuda.is_available() and options.accelerator != "cpu"
    return options.precision == "bf16" and quick_in_bfloat16(torch.device("cuda" if on_gpu else "cpu"))


def _trainer(options: LearningOptions, folder: Path, observer: Observer, parts: int) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=options.epochs,
        precision="bf16-mixed" if _in_bfloat16(options) else "32-true",
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


_EVERY = 10  # steps between two events: reading the loss waits for the GPU, so not at each
_SHOWN = ("accuracy", "correlation")


class ObserverCallback(pl.Callback):
    """Pass the trainer's progress on, from the first process only.

    Parameters
    ----------
    observer : Observer
        Hears of every tenth step, with the loss and the last validation's accuracy or correlation.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._figures: dict[str, float] = {}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tell the observer of the steps done, with the loss.

        Parameters
        ----------
        trainer : Trainer
            Its step count is told.
        pl_module : LightningModule
            The learner; not looked at.
        outputs : mapping
            What ``training_step`` returned; "loss" is told.
        batch, batch_idx
            Not looked at.
        """
        done, total = trainer.global_step, int(trainer.estimated_stepping_batches)
        if trainer.is_global_zero and (done % _EVERY == 0 or done == total):
            self._figures["loss"] = float(outputs["loss"])
            self._observer(Progress("training", done, total, dict(self._figures)))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember the validation's accuracy (or correlation) for the next event."""
        for name in _SHOWN:
            value = trainer.callback_metrics.get(f"validation/{name}")
            if value is not None:
                self._figures[name] = float(value)
