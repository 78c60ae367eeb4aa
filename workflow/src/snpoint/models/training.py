"""Training a network: optimizer, callbacks, and what happened epoch by epoch."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from snpoint.errors import NumericError
from snpoint.models import device
from snpoint.models.architectures import build
from snpoint.models.batches import ImageBatches
from snpoint.models.losses import LOSSES
from snpoint.models.metrics import Containment
from snpoint.settings import TrainSettings

_log = logging.getLogger(__name__)

_CHECK_EVERY_BATCHES = 100

OPTIMIZERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {"adam": keras.optimizers.Adam}
"""Optimizers by the name a version gives; each is made with a learning rate and ``clipnorm``."""


@dataclass
class Epoch:
    """One line of ``history.csv``. ``train_seconds`` is without validation."""

    epoch: int
    loss: float
    val_loss: float
    val_containment_68_deg: float
    learning_rate: float
    seconds: float
    train_seconds: float


@dataclass
class Trained:
    """A network with the weights of its best epoch, and its history."""

    model: keras.Model
    history: list[Epoch] = field(default_factory=list)
    seconds: float = 0.0
    samples_per_second: float = 0.0

    @property
    def best(self) -> Epoch:
        """Epoch with the smallest validation loss."""
        return min(self.history, key=lambda epoch: epoch.val_loss)


class EpochLog(keras.callbacks.Callback):
    """Keeps the history, writes one line per epoch, and stops at the first loss that is not finite."""

    def __init__(self, epochs: int, n_samples: int) -> None:
        super().__init__()
        self.history: list[Epoch] = []
        self._epochs, self._n_samples = epochs, n_samples
        self._started = self._epoch_started = self._validation_started = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock of the epoch."""
        self._epoch_started = self._validation_started = time.monotonic()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Validation starts: training of this epoch is over."""
        self._validation_started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the running mean of the loss now and then: a NaN stays in it."""
        if batch % _CHECK_EVERY_BATCHES == 0:
            _require_finite("loss", (logs or {}).get("loss"), len(self.history) + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record and report."""
        now, values = time.monotonic(), logs or {}
        for name in ("loss", "val_loss"):
            _require_finite(name, values.get(name), epoch + 1)
        entry = Epoch(
            epoch=epoch + 1,
            loss=float(values["loss"]),
            val_loss=float(values["val_loss"]),
            val_containment_68_deg=float(values["val_containment_68_deg"]),
            learning_rate=float(np.asarray(self.model.optimizer.learning_rate)),
            seconds=now - self._epoch_started,
            train_seconds=self._validation_started - self._epoch_started,
        )
        self.history.append(entry)
        self._report(entry, now)

    def _report(self, entry: Epoch, now: float) -> None:
        left = (now - self._started) / entry.epoch * (self._epochs - entry.epoch)
        _log.info(
            "epoch %d/%d: loss %.4f, val loss %.4f, val 68%% %.1f deg, learning rate %.2g, %.0f samples/s, "
            "at most %s left",
            entry.epoch,
            self._epochs,
            entry.loss,
            entry.val_loss,
            entry.val_containment_68_deg,
            entry.learning_rate,
            self._n_samples / max(entry.train_seconds, 1e-9),
            _duration(left),
        )


def train(settings: TrainSettings, batches: ImageBatches, validation: ImageBatches) -> Trained:
    """Train the network of a version; on return it has the weights of its best epoch.

    Weights and dropout are decided by ``settings.seed``; ``batches`` have a generator of their own.

    Raises
    ------
    NumericError
        The loss became NaN or infinite.
    """
    keras.utils.set_random_seed(settings.seed)
    model = build(settings.architecture, settings.image, settings.loss)
    model.compile(
        optimizer=OPTIMIZERS[settings.optimizer](settings.learning_rate, clipnorm=settings.clipnorm),
        loss=LOSSES[settings.loss],
        metrics=[Containment()],
        jit_compile=device.compile_jit(),
    )
    _log.info("%s with %d parameters, %s on %s", model.name, model.count_params(), device.backend(), device.device())
    epoch_log = EpochLog(settings.epochs, batches.n_used)
    started = time.monotonic()
    model.fit(
        batches,
        validation_data=validation,
        epochs=settings.epochs,
        verbose=0,
        shuffle=False,
        # The learning rate is lowered after the epoch's line is written, which names the rate that was used.
        callbacks=[epoch_log, *_callbacks(settings)],
    )
    # The first epoch holds the tracing of the graph.
    steady = [entry.train_seconds for entry in epoch_log.history[1:] or epoch_log.history]
    return Trained(
        model, epoch_log.history, time.monotonic() - started, batches.n_used / max(float(np.median(steady)), 1e-9)
    )


def _callbacks(settings: TrainSettings) -> list[keras.callbacks.Callback]:
    reduce = settings.reduce_learning_rate
    return [
        keras.callbacks.ReduceLROnPlateau(
            monitor="val_loss",
            mode="min",
            patience=reduce.patience,
            factor=reduce.factor,
            min_lr=reduce.min_learning_rate,
        ),
        keras.callbacks.EarlyStopping(
            monitor="val_loss", mode="min", patience=settings.early_stopping.patience, restore_best_weights=True
        ),
    ]


def _require_finite(name: str, value: Any, epoch: int) -> None:
    if value is None or math.isfinite(float(value)):
        return
    raise NumericError(
        f"train: {name} became {float(value)} in epoch {epoch}; nothing was written. Lower train.learning_rate or "
        "train.clipnorm, or look for broken images in the dataset's card"
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
