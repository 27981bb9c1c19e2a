"""Tell the observer how a training goes. Shows nothing itself."""

from typing import Any

from friedel.base.observer import Observer, Progress
from friedel.training.libraries import pl

_EVERY = 10
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
        """Tell of the steps done."""
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
