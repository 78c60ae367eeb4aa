"""Pulses of TPs: what the samples of a TP may have looked like, from the five numbers that are left of them.

A TP of ``length`` samples at k = 0 .. length - 1 has its peak, ``adc_peak`` high, at sample ``peak``; all its samples
lay above the plane's threshold and add up to ``integral``. Each model gives ``length`` samples that are never negative
and add up to ``integral``. All of them turn around with time: the samples of the mirrored TP (peak at
length - 1 - peak) are the mirrored samples.

``triangle``
    Straight up to the peak and down again, from zero one sample before the TP to zero one sample after it. Its height
    follows from the integral.
``pentagon``
    Straight lines through five corners: the threshold half a sample before the first sample and after the last, the
    measured peak, and one common height half-way between the peak and either end. That height is the one unknown, and
    the integral fixes it. Where it would have to leave the range between threshold and peak it stays at the border,
    and all samples are scaled to the integral.
``gaussian``
    A Gaussian around the peak as wide as one of this height and area, on the samples of the TP, scaled to the integral.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.errors import ConfigError
from snpoint.physics.compiled import compiled

WAVEFORMS = ("triangle", "pentagon", "gaussian")
"""Names of the models; the number of a model in compiled code is its place here."""
TRIANGLE, PENTAGON, GAUSSIAN = range(3)

THRESHOLDS_ADC = (70.0, 70.0, 60.0)
"""Thresholds of the planes A, B, X of FD-HD; the pentagon stands on them."""

_NARROWEST = 0.2
"""Least width of a Gaussian [samples]; at this width the peak holds all but 10^-5 of it."""


def waveform_number(name: str) -> int:
    """Number of a model.

    Raises
    ------
    ConfigError
        There is no model of that name.
    """
    if name not in WAVEFORMS:
        raise ConfigError(f"waveform: unknown '{name}', known are {', '.join(WAVEFORMS)}")
    return WAVEFORMS.index(name)


def pulse(
    name: str, length: int, peak: int, integral: float, adc_peak: float, threshold: float
) -> npt.NDArray[np.float64]:
    """Samples of one TP by the model ``name``, shape (length,) [ADC]."""
    out = np.zeros(max(length, 1))
    fill_pulse(waveform_number(name), length, peak, integral, adc_peak, threshold, out)
    return out[:length]


@compiled(nogil=True, error_model="numpy")
def fill_pulse(
    number: int, length: int, peak: int, integral: float, adc_peak: float, threshold: float, out: Any
) -> None:
    """Write the samples of one TP to ``out[:length]``; ``peak`` beyond the last sample counts as the last."""
    if length < 1:
        return
    peak = min(max(peak, 0), length - 1)
    if number == PENTAGON:
        total = _pentagon(length, peak, integral, adc_peak, threshold, out)
    elif number == GAUSSIAN:
        total = _gaussian(length, peak, integral, adc_peak, out)
    else:
        total = _triangle(length, peak, out)
    scale = integral / total
    for k in range(length):
        out[k] *= scale


@compiled(nogil=True, error_model="numpy")
def _triangle(length: int, peak: int, out: Any) -> float:
    """A triangle of height 1, and its sum."""
    # Rising (k + 1) / (peak + 1), falling (length - k) / (length - peak): the sum is (length + 1) / 2.
    rise, fall = 1.0 / (peak + 1.0), 1.0 / (length - peak)
    for k in range(peak + 1):
        out[k] = rise * (k + 1.0)
    for k in range(peak + 1, length):
        out[k] = fall * (length - k)
    return 0.5 * (length + 1.0)


@compiled(nogil=True, error_model="numpy")
def _pentagon(length: int, peak: int, integral: float, adc_peak: float, threshold: float, out: Any) -> float:
    """A pentagon with the height that makes up the integral, or the nearest one allowed, and its sum."""
    top = max(adc_peak, 1.0)
    foot = min(max(threshold, 0.0), top)
    # Each sample is a mixture of foot, middle height and top: first with a middle height of zero, and the sum of the
    # weights of the middle height in ``free``.
    fixed, free = top, 0.0
    out[peak] = top
    for side in range(2):
        n = peak if side == 0 else length - 1 - peak
        step = 2.0 / (n + 0.5)  # the two pieces of a side are half as long as the side
        for distance in range(1, n + 1):
            at = step * distance
            weight = at if at < 1.0 else 2.0 - at
            rest = (1.0 - at) * top if at < 1.0 else (at - 1.0) * foot
            out[peak - distance if side == 0 else peak + distance] = rest
            fixed += rest
            free += weight
    if free == 0.0:
        return fixed
    middle = min(max((integral - fixed) / free, foot), top)
    for side in range(2):
        n = peak if side == 0 else length - 1 - peak
        step = 2.0 / (n + 0.5)
        for distance in range(1, n + 1):
            at = step * distance
            out[peak - distance if side == 0 else peak + distance] += middle * (at if at < 1.0 else 2.0 - at)
    return fixed + free * middle


@compiled(nogil=True, error_model="numpy")
def _gaussian(length: int, peak: int, integral: float, adc_peak: float, out: Any) -> float:
    """A Gaussian of height 1, and the sum of its samples."""
    sigma = max(integral / (max(adc_peak, 1.0) * math.sqrt(2.0 * math.pi)), _NARROWEST)
    first = math.exp(-0.5 / (sigma * sigma))
    out[peak] = 1.0
    total = 1.0
    for side in range(2):
        # exp(-d^2 / 2 s^2) from its predecessor: the factor itself shrinks by a constant factor at each sample.
        value, factor = 1.0, first
        n = peak if side == 0 else length - 1 - peak
        for distance in range(1, n + 1):
            value *= factor
            factor *= first * first
            out[peak - distance if side == 0 else peak + distance] = value
            total += value
    return total
