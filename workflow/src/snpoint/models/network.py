"""A trained network together with what it needs to be applied: image size, loss, planes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from snpoint.data.summaries import read_strict_json
from snpoint.errors import DataError
from snpoint.models.architectures import PLANES
from snpoint.models.batches import Draw
from snpoint.models.loading import load
from snpoint.models.outputs import Decoded
from snpoint.models.prediction import predict
from snpoint.physics.drawing import SparseImages
from snpoint.physics.drawing import draw as draw_images
from snpoint.physics.geometry import load_detector
from snpoint.physics.waveforms import THRESHOLDS_ADC
from snpoint.provenance import fingerprint
from snpoint.settings import Drawing


@dataclass(frozen=True)
class Network:
    """What ``model.keras`` and ``training.json`` say together."""

    model: keras.Model
    image: Drawing
    loss: str
    orientation: str

    def draw(self, events: SparseImages) -> Draw:
        """Drawing of these events at the size the network was trained with.

        Raises
        ------
        DataError
            The images are in another frame than those the network was trained on.
        """
        found = getattr(events, "orientation", self.orientation)
        if found != self.orientation:
            raise DataError(
                f"the network was trained on images in the frame '{self.orientation}', these are '{found}'; "
                "use a dataset whose image.orientation is that of the version's own"
            )
        return drawing(events, self.image)

    def predict(self, events: SparseImages, batch_size: int) -> Decoded:
        """Predictions of all images of ``events``; errors as of `snpoint.models.prediction.predict`."""
        return predict(self.model, self.draw(events), (len(events.offsets) - 1) // len(PLANES), batch_size)


def drawing(events: SparseImages, image: Drawing) -> Draw:
    """Function from rows of ``events`` to images (rows, planes, ticks, channels) in ADC."""
    detector = getattr(events, "detector", None)
    thresholds = load_detector(detector).plane_thresholds_adc if detector else THRESHOLDS_ADC

    def draw(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return draw_images(events, rows, image.ticks, image.channels, image.waveform, thresholds_adc=thresholds)

    return draw


def load_network(model: str | Path, training: str | Path) -> Network:
    """Read a network and the summary of its training.

    Raises
    ------
    InputMissingError
        One of the two files does not exist.
    DataError
        One is damaged, or they do not belong together.
    """
    summary = read_strict_json(training)
    try:
        image, loss = Drawing.model_validate(summary["image"]), str(summary["loss"])
        orientation, checksum = str(summary["orientation"]), str(summary["model_sha256"])
    except (KeyError, TypeError, ValidationError) as error:
        raise DataError(f"{training}: a key is missing or wrong ({error}); run `train` again") from error
    network = load(model)
    if fingerprint(model)["sha256"] != checksum:
        raise DataError(f"{model}: is not the network that {training} describes; give the files of one version")
    expected = (None, len(PLANES), image.ticks, image.channels)
    if tuple(network.input_shape) != expected:
        raise DataError(
            f"{model}: takes images {tuple(network.input_shape)[1:]}, but {training} says {expected[1:]}; "
            "run `train` again"
        )
    return Network(network, image, loss, orientation)
