"""``predict``: a trained network applied to all images of a dataset, with or without truth."""

from __future__ import annotations

import logging
from pathlib import Path

from snpoint.data.atomic import write_npz
from snpoint.data.shards import load_dataset
from snpoint.errors import DataError
from snpoint.models.network import load_network
from snpoint.models.tables import predictions_table
from snpoint.settings import PredictSettings

_log = logging.getLogger(__name__)


def run(settings: PredictSettings, *, dataset: Path, model: Path, training: Path, predictions: Path) -> None:
    """Predict every image, whatever its split.

    Raises
    ------
    DataError
        The dataset has no image, or files do not belong together.
    NumericError
        The network gave NaN.
    """
    network = load_network(model, training)
    events = load_dataset(dataset)
    if len(events) == 0:
        raise DataError(f"{dataset}: no images to predict; loosen dataset.selection or add files to the samples")
    write_npz(predictions, predictions_table(network, events, settings.batch_size, predictions))
    _log.info("predicted %d images", len(events))
