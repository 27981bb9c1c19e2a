"""The files from which a training goes on: where they lie, which is the newest, and what happens to old ones."""

import shutil
import zipfile
from pathlib import Path

import torch

from friedel.core.observer import Note, Observer, Warned
from friedel.core.training.learner import Learner
from friedel.core.training.libraries import pl
from friedel.core.training.options import LearningOptions

NEWEST, BEST, LOGS = "checkpoints", "best", "tensorboard"
"""Folders, inside the training's own, of the newest checkpoint, of the best one, and of TensorBoard's logs."""


def checkpoint_callbacks(folder: Path, options: LearningOptions) -> list[pl.Callback]:
    """Return the callbacks that leave a checkpoint after every epoch, and the best one if it is to be kept."""
    # Written once the validation of the epoch is over, the checkpoint holds all there is to go on from.
    newest = pl.callbacks.ModelCheckpoint(folder / NEWEST, filename="{epoch:04d}", save_on_train_epoch_end=True)
    if options.keep == "last":
        return [newest]
    best = pl.callbacks.ModelCheckpoint(
        folder / BEST, filename="{epoch:04d}", monitor="loss/validation", save_on_train_epoch_end=True
    )
    return [best, newest]


def newest_checkpoint(folder: Path, observer: Observer) -> Path | None:
    """Return the newest complete checkpoint of a training's folder, or None; damaged ones are warned of and skipped."""
    for path in sorted((folder / NEWEST).glob("*.ckpt"), key=lambda path: path.stat().st_mtime, reverse=True):
        if zipfile.is_zipfile(path):  # a truncated file has lost the directory at its end
            observer(Note("training", f"going on from {path.name}"))
            return path
        observer(Warned("training", f"{path} is damaged and passed over"))
    return None


def has_checkpoints(folder: Path) -> bool:
    """Say whether a training was begun in this folder."""
    return any((folder / NEWEST).glob("*.ckpt"))


def clear(folder: Path) -> None:
    """Remove the checkpoints and logs of an earlier training; nothing else in the folder is touched."""
    for name in (NEWEST, BEST, LOGS):
        shutil.rmtree(folder / name, ignore_errors=True)


def restore_best(learner: Learner, folder: Path) -> None:
    """Give the learner the weights of its best epoch."""
    best = max((folder / BEST).glob("*.ckpt"), key=lambda path: path.stat().st_mtime)
    learner.load_state_dict(torch.load(best, map_location="cpu", weights_only=True)["state_dict"])
