"""Sparse images become pixels: each TP a pulse on its channel, at the size that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.waveforms import THRESHOLDS_ADC, fill_pulse, waveform_number

SLOTS = (0, 1, 2)
"""Planes of an image: A, B, X."""


class SparseImages(Protocol):
    """What `draw` needs: TPs of all images, and where each (image, plane) begins."""

    @property
    def offsets(self) -> npt.NDArray[np.int64]: ...  # noqa: D102
    @property
    def channel(self) -> npt.NDArray[np.int16]: ...  # noqa: D102
    @property
    def tick(self) -> npt.NDArray[np.int16]: ...  # noqa: D102
    @property
    def samples_over_threshold(self) -> npt.NDArray[np.uint16]: ...  # noqa: D102
    @property
    def samples_to_peak(self) -> npt.NDArray[np.uint16]: ...  # noqa: D102
    @property
    def adc_integral(self) -> npt.NDArray[np.uint32]: ...  # noqa: D102
    @property
    def adc_peak(self) -> npt.NDArray[np.uint16]: ...  # noqa: D102


def draw(
    images: SparseImages,
    rows: npt.ArrayLike,
    ticks: int,
    channels: int,
    waveform: str = "triangle",
    *,
    thresholds_adc: tuple[float, float, float] = THRESHOLDS_ADC,
    planes: Sequence[int] = SLOTS,
    out: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Draw images.

    Each TP becomes a pulse over its ticks whose pixels add up to its ADC integral (see `snpoint.physics.waveforms`);
    pulses that meet add up. What lies outside of the picture is cut off.

    Parameters
    ----------
    images
        Sparse images (a shard, or a dataset).
    rows
        Which ones, (n,).
    ticks, channels
        Size of the picture; its center is that of the box.
    waveform
        ``triangle``, ``pentagon`` or ``gaussian``.
    thresholds_adc
        Thresholds of the planes A, B, X, which the pentagon stands on.
    planes
        Which planes to draw, (p,) of 0 A, 1 B, 2 X.
    out
        Where to draw, (n, p, ticks, channels) in C order, overwritten. A large picture is mostly zeros: to use one
        buffer again and again is faster than to ask for new memory.

    Returns
    -------
    array
        (n, p, ticks, channels) ADC; ``out`` where it was given.

    Raises
    ------
    ConfigError
        There is no such waveform.
    ValueError
        ``out`` has another shape, type or order, or a plane is none.
    """
    number = waveform_number(waveform)
    chosen, slots = np.ascontiguousarray(rows, np.int64), np.ascontiguousarray(planes, np.int64)
    if not np.isin(slots, SLOTS).all():
        raise ValueError(f"planes {list(planes)} are not all of 0 (A), 1 (B), 2 (X)")
    shape = (len(chosen), len(slots), ticks, channels)
    pixels = np.zeros(shape, np.float32) if out is None else _usable(out, shape)
    thresholds = np.array(thresholds_adc, np.float64)
    _draw(
        images.offsets, images.channel, images.tick, images.samples_over_threshold, images.samples_to_peak,
        images.adc_integral, images.adc_peak, chosen, slots, number, thresholds, pixels, out is not None,
    )  # fmt: skip
    return pixels


def _usable(out: npt.NDArray[np.float32], shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    if out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        order = "C" if out.flags.c_contiguous else "another"
        raise ValueError(f"out is {out.dtype} {out.shape} in {order} order, expected float32 {shape} in C order")
    return out


@compiled(nogil=True, error_model="numpy")
def _draw(
    offsets: Any, channel: Any, tick: Any, length: Any, to_peak: Any, adc: Any, adc_peak: Any,
    rows: Any, slots: Any, number: int, thresholds: Any, pixels: Any, clear: bool,
) -> None:  # fmt: skip
    n, planes, ticks, channels = pixels.shape
    samples = np.empty(256)
    for i in range(n):
        for plane in range(planes):
            picture = pixels[i, plane]
            if clear:
                picture[:] = 0.0
            slot = slots[plane]
            key = rows[i] * 3 + slot
            for tp in range(offsets[key], offsets[key + 1]):
                column, first, size = int(channel[tp]) + channels // 2, int(tick[tp]) + ticks // 2, int(length[tp])
                if column < 0 or column >= channels or first >= ticks or first + size <= 0:
                    continue
                if size > samples.size:
                    samples = np.empty(2 * size)
                peak, integral, height = int(to_peak[tp]), float(adc[tp]), float(adc_peak[tp])
                fill_pulse(number, size, peak, integral, height, thresholds[slot], samples)
                for k in range(max(0, -first), min(size, ticks - first)):
                    picture[first + k, column] += np.float32(samples[k])
