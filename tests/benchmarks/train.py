"""Training speed: samples per second of a network on this machine, drawing included.

    python tests/benchmarks/train.py                      # the demo network (8-16-32-32)
    python tests/benchmarks/train.py --filters 64 64 64 64 --dense 256 256

Images are straight toy tracks; their content does not matter for the speed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from toy_images import toy_arrays

from snpoint import config
from snpoint.models import device
from snpoint.models.batches import ImageBatches
from snpoint.models.network import drawing
from snpoint.models.training import train


def main() -> None:
    """Train for a few epochs and report the median epoch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filters", type=int, nargs="+", default=[8, 16, 32, 32])
    parser.add_argument("--dense", type=int, nargs="*", default=[64])
    parser.add_argument("--events", type=int, default=5000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--loss", default="head_tail_vmf")
    given = parser.parse_args()
    changes = {
        "architecture.filters": given.filters,
        "architecture.dense": given.dense,
        "batch_size": given.batch_size,
        "epochs": given.epochs,
        "loss": given.loss,
    }
    settings = config.parse_settings("train", None, tuple(f"{key}={value}" for key, value in changes.items()))
    events = SimpleNamespace(**toy_arrays(given.events))
    draw = drawing(events, settings.image)
    training = ImageBatches(draw, given.events, given.batch_size, events.direction, seed=1)
    validation = ImageBatches(draw, min(given.events, 256), 256, events.direction)
    result = train(settings, training, validation)
    sys.stdout.write(
        f"filters {given.filters}, dense {given.dense}, batch {given.batch_size}: "
        f"{result.model.count_params()} parameters, {result.samples_per_second:.0f} samples/s "
        f"on {device.device()} ({device.backend()})\n"
    )


if __name__ == "__main__":
    main()
