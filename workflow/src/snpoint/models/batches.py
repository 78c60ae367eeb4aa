"""Batches of images, drawn when they are needed: a dataset stays sparse in memory, whatever the image size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Draw = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Images of given rows: (n,) -> (n, planes, ticks, channels) in ADC."""


class ImageBatches(keras.utils.PyDataset):
    """Images and, if known, true directions, batch by batch; works with every backend of Keras.

    Parameters
    ----------
    draw : callable
        Makes the images of given rows.
    n : int
        Number of images.
    batch_size : int
        Images per batch.
    directions : ndarray, shape (n, 3), optional
        Truth; without it batches hold images alone.
    seed : int, optional
        Order is shuffled anew each epoch, decided by (seed, epoch) alone, and an incomplete last batch is left
        out (another one each epoch). Without it the order is that of the rows, and every row is in.
    """

    def __init__(
        self,
        draw: Draw,
        n: int,
        batch_size: int,
        directions: NDArray[np.float32] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(workers=1)
        self._draw = draw
        self._directions = directions
        self._seed = seed
        self._batch_size = min(batch_size, n)
        self._n = n
        self._epoch = 0
        self._order = self._new_order()

    @property
    def num_batches(self) -> int:
        """Batches of an epoch."""
        whole, rest = divmod(self._n, self._batch_size)
        return whole + (1 if rest and self._seed is None else 0)

    @property
    def n_used(self) -> int:
        """Images of an epoch."""
        return self._n if self._seed is None else self.num_batches * self._batch_size

    def __len__(self) -> int:
        return self.num_batches

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Batch ``index`` of this epoch."""
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        images = self._draw(rows)
        return (images,) if self._directions is None else (images, self._directions[rows])

    def on_epoch_end(self) -> None:
        """Go on to the order of the next epoch."""
        self._epoch += 1
        self._order = self._new_order()

    def _new_order(self) -> NDArray[np.int64]:
        if self._seed is None:
            return np.arange(self._n)
        return np.random.default_rng([self._seed, self._epoch]).permutation(self._n)
