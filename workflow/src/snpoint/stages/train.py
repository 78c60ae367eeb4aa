"""``train``: a dataset -> one trained network, its history, and a summary."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from snpoint.data.atomic import write_json, write_text
from snpoint.data.contracts import FORMAT_VERSION
from snpoint.data.shards import Events, load_dataset
from snpoint.errors import DataError
from snpoint.models import device, loading
from snpoint.models.architectures import PLANES
from snpoint.models.batches import ImageBatches
from snpoint.models.network import drawing
from snpoint.models.training import Trained
from snpoint.models.training import train as train_network
from snpoint.provenance import fingerprint
from snpoint.settings import TrainSettings

_log = logging.getLogger(__name__)


def run(settings: TrainSettings, *, dataset: Path, model: Path, history: Path, training: Path) -> None:
    """Train on the `train` split; the `val` split decides when to stop and which epoch is kept.

    Raises
    ------
    DataError
        A split is empty or has images without a true direction.
    NumericError
        The loss became NaN or infinite; nothing is written.
    """
    events = load_dataset(dataset, ("train", "val"))
    train, val = (_events(events, name, dataset) for name in ("train", "val"))
    _log.info("%d training and %d validation images", len(train), len(val))
    trained = train_network(
        settings,
        ImageBatches(drawing(train, settings.image), len(train), settings.batch_size, train.direction, settings.seed),
        ImageBatches(drawing(val, settings.image), len(val), max(settings.batch_size, 256), val.direction),
    )
    _log.info(
        "best epoch %d of %d: val loss %.4f, val 68%% %.1f deg; %.0f samples/s",
        trained.best.epoch,
        len(trained.history),
        trained.best.val_loss,
        trained.best.val_containment_68_deg,
        trained.samples_per_second,
    )
    loading.save(trained.model, model)
    write_text(history, _history(trained).to_csv(index=False))
    origin = {"orientation": events.orientation, "model_sha256": fingerprint(model)["sha256"]}
    write_json(training, _summary(settings, trained, len(train), len(val)) | origin)


def _events(events: Events, split: str, dataset: Path) -> Events:
    chosen = events.of_split(split)
    if len(chosen) == 0:
        raise DataError(
            f"{dataset}: split '{split}' is empty; raise dataset.split.{split}, add events to the samples or loosen "
            "dataset.selection"
        )
    unknown = int((~np.isfinite(chosen.direction).all(axis=1)).sum())
    if unknown:
        raise DataError(
            f"{dataset}: {unknown} of {len(chosen)} images of split '{split}' have no true direction; "
            "set dataset.selection.require_truth to true"
        )
    return chosen


def _history(trained: Trained) -> pd.DataFrame:
    columns = ["epoch", "loss", "val_loss", "val_containment_68_deg", "learning_rate", "seconds"]
    return pd.DataFrame([vars(epoch) for epoch in trained.history])[columns]


def _summary(settings: TrainSettings, trained: Trained, n_train: int, n_val: int) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "image": settings.image.model_dump(mode="json"),
        "loss": settings.loss,
        "planes": list(PLANES),
        "n_parameters": int(trained.model.count_params()),
        "n_train": n_train,
        "n_val": n_val,
        "epochs_run": len(trained.history),
        "best_epoch": trained.best.epoch,
        "best_val_loss": trained.best.val_loss,
        "best_val_containment_68_deg": trained.best.val_containment_68_deg,
        "seconds": trained.seconds,
        "samples_per_second": trained.samples_per_second,
        "backend": device.backend(),
        "device": device.device(),
        "settings": settings.model_dump(mode="json"),
    }
