"""What a network has to beat: chance, and the principal axis of the charge with a vote of the blips.

The axis works on the sparse TPs of canonical images alone: planes A, B, X; ticks that grow with +x; channels that
grow with (+y, +z), (+y, -z) and +z. In any other frame the same numbers mean another direction for each drift volume.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snpoint.physics.angles import random_directions
from snpoint.physics.geometry import load_detector

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]

ORIENTATION = "canonical"
"""The one frame of images in which the axis has a meaning."""

ISOTROPIC_EXPECTATION = {
    "angular_error_mean_deg": 90.0,
    "angular_error_median_deg": 90.0,
    "containment_68_deg": float(np.degrees(np.arccos(1.0 - 2.0 * 0.68))),
    "containment_68_cosine": 1.0 - 2.0 * 0.68,
    "axis_error_68_deg": float(np.degrees(np.arccos(1.0 - 0.68))),
    "flipped_fraction": 0.5,
    "reversed_fraction": 0.15,
    "mean_cosine": 0.0,
}
"""Exact figures of an isotropic guess: cos theta is uniform in [-1, 1]. Nothing is drawn, so there is no interval."""

_PULSE_VARIANCE_TICKS2 = 14.0
"""Variance of the pulse of a point-like charge [ticks^2]; what a TP has beyond it is track."""
_CHANNEL_VARIANCE = 1.0 / 12.0
"""Variance of a uniform position within one channel."""
_BLIP_DISTANCE_CM = 2.0
"""TPs off the main cluster but closer to its centroid are mostly pieces of the track, not blips."""


@dataclass(frozen=True)
class Guess:
    """What the axis with a vote of the blips says about N images.

    direction (N, 3) unit vectors, never NaN; axis (N, 3) as of `principal_axis`; has_blips (N,) False where a coin
    decided which end of the axis is the head.
    """

    direction: Floats
    axis: Floats
    has_blips: NDArray[np.bool_]


def principal_axis(arrays: Arrays, detector: str) -> Floats:
    """Axis of the main cluster: largest eigenvector of the charge's covariance in three dimensions.

    Each plane gives var(x), cov(x, w) and var(w) of its TPs, with x from time and w along its wire coordinate.
    With w = u.r for a known unit vector u, these are linear in the six entries of the covariance of r: nine
    equations, solved by least squares for the planes an image has.

    Parameters
    ----------
    arrays : mapping
        ``offsets, channel, tick, samples_over_threshold, adc_integral, in_main`` as in a shard, N canonical images.
    detector : str
        Layout whose wire directions and drift velocity are taken.

    Returns
    -------
    ndarray, shape (N, 3)
        Unit vectors with an arbitrary sign; NaN for images without a TP of the main cluster.
    """
    charge, _, _, variance = _moments(arrays, _main(arrays), detector)
    present = charge > 0
    entries = np.full((len(charge), 6), np.nan)
    for combination in np.unique(present, axis=0):
        chosen = np.all(present == combination, axis=1)
        if combination.any():
            inverse = np.linalg.pinv(np.where(np.repeat(combination, 3)[:, None], _equations(detector), 0.0))
            entries[chosen] = variance[chosen].reshape(-1, 9) @ inverse.T
    axis = np.full((len(charge), 3), np.nan)
    usable = present.any(axis=1)
    xx, yy, zz, xy, xz, yz = entries[usable].T
    matrices = np.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], axis=1).reshape(-1, 3, 3)
    axis[usable] = np.linalg.eigh(matrices)[1][:, :, -1]
    return axis


def blip_vote(arrays: Arrays, axis: Floats, detector: str) -> tuple[Floats, NDArray[np.bool_]]:
    """On which end of the axis the blips lie: sum of ADC times projection, for each image.

    An electron radiates forward, so the deposits off the main cluster lie ahead of it more often than behind. Planes
    are summed as they are: X has four times the ADC per MeV of A and B, and the cleaner blips (bipolar induction
    pulses break tracks along the drift into pieces, which look like blips at both ends).

    Parameters
    ----------
    arrays : mapping
        As for `principal_axis`; TPs with ``in_main`` = 0, far enough from the main cluster, are the blips.
    axis : ndarray, shape (N, 3)
    detector : str
        As for `principal_axis`.

    Returns
    -------
    (ndarray, ndarray), shapes (N,)
        Positive if the vote is for ``axis``, negative against, 0 without blips; and whether there are blips.
    """
    main = _main(arrays)
    charge, mean_x, mean_w, _ = _moments(arrays, main, detector)
    segment, x, w, adc = _coordinates(arrays, detector)
    dx, dw = x - mean_x.ravel()[segment], w - mean_w.ravel()[segment]
    blip = ~main & (charge.ravel()[segment] > 0) & (np.hypot(dx, dw) > _BLIP_DISTANCE_CM)
    # The axis as the plane sees it: its components along x and along the wire coordinate.
    known = np.nan_to_num(axis)
    along_x, along_w = np.repeat(known[:, 0], 3), (known @ _wire_vectors(detector).T).ravel()
    vote = np.where(blip, adc * (dx * along_x[segment] + dw * along_w[segment]), 0.0)
    images = segment // 3
    has_blips = np.bincount(images[blip], minlength=len(axis)) > 0
    return np.asarray(np.bincount(images, vote, minlength=len(axis)), np.float64), has_blips


def principal_axis_blip_vote(arrays: Arrays, detector: str, seed: int) -> Guess:
    """Direction and axis of each image without any network.

    Parameters
    ----------
    arrays : mapping
        As for `principal_axis`.
    detector : str
        As for `principal_axis`.
    seed : int
        Seed of the coin that decides where there is no blip, and of the direction where there is no axis.
    """
    rng = np.random.default_rng(seed)
    axis = principal_axis(arrays, detector)
    votes, has_blips = blip_vote(arrays, axis, detector)
    vote, coin = np.sign(votes), rng.choice([-1.0, 1.0], len(axis))
    direction = axis * np.where(vote == 0, coin, vote)[:, None]
    chance = random_directions(rng, len(axis))
    return Guess(np.where(np.isfinite(direction), direction, chance), axis, has_blips)


def _main(arrays: Arrays) -> NDArray[np.bool_]:
    return np.asarray(arrays["in_main"], bool)


def _coordinates(arrays: Arrays, detector: str) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
    """Of each TP: its (image, plane) segment, x [cm], wire coordinate [cm] and charge."""
    segment = np.repeat(np.arange(len(arrays["offsets"]) - 1), np.diff(arrays["offsets"]))
    middle = arrays["tick"] + 0.5 * (arrays["samples_over_threshold"].astype(np.float64) - 1.0)
    x = middle * load_detector(detector).cm_per_tick
    w = arrays["channel"] / _channels_per_cm(detector)[segment % 3]
    return segment, x, w, arrays["adc_integral"].astype(np.float64)


def _moments(arrays: Arrays, chosen: NDArray[np.bool_], detector: str) -> tuple[Floats, Floats, Floats, Floats]:
    """Charge (N, 3), mean x and w (N, 3) and (var x, cov xw, var w) (N, 3, 3) of the chosen TPs, per plane."""
    n_segments = len(arrays["offsets"]) - 1
    segment, x, w, weight = _coordinates(arrays, detector)
    segment, x, w, weight = segment[chosen], x[chosen], w[chosen], weight[chosen]

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(segment, values, minlength=n_segments), np.float64)

    charge = total(weight)
    safe = np.where(charge > 0, charge, 1.0)
    mean_x, mean_w = total(weight * x) / safe, total(weight * w) / safe
    dx, dw = x - mean_x[segment], w - mean_w[segment]
    length = arrays["samples_over_threshold"].astype(np.float64)[chosen]
    cm_per_tick = load_detector(detector).cm_per_tick
    # A TP is a length in time, not a point: a track along the drift is one long TP on one channel.
    spread = (np.square(length) / 12.0 - _PULSE_VARIANCE_TICKS2) * cm_per_tick**2
    variance = np.stack([total(weight * (dx * dx + spread)), total(weight * dx * dw), total(weight * dw * dw)], axis=1)
    variance /= safe[:, None]
    variance[:, 2] -= np.tile(_CHANNEL_VARIANCE / np.square(_channels_per_cm(detector)), n_segments // 3)
    shape = (n_segments // 3, 3)
    return charge.reshape(shape), mean_x.reshape(shape), mean_w.reshape(shape), variance.reshape(*shape, 3)


@lru_cache(maxsize=8)
def _gradients(name: str) -> Floats:
    """Gradient of the channel number of A, B, X [channels/cm] in (x, y, z)."""
    detector = load_detector(name)
    volume = detector.volumes[0]
    rows = []
    for plane, flip in detector.canonical(volume.apa, volume.face).planes:
        sign = -1.0 if flip else 1.0
        rows.append([0.0, sign * volume.wires[plane].dch_dy, sign * volume.wires[plane].dch_dz])
    return np.array(rows)


def _channels_per_cm(detector: str) -> Floats:
    return np.asarray(np.linalg.norm(_gradients(detector), axis=1), np.float64)


def _wire_vectors(detector: str) -> Floats:
    return np.asarray(_gradients(detector) / _channels_per_cm(detector)[:, None], np.float64)


def _equations(detector: str) -> Floats:
    """Matrix (9, 6) from (xx, yy, zz, xy, xz, yz) to (var x, cov xw, var w) of A, B, X."""
    rows = []
    for _, y, z in _wire_vectors(detector):
        rows.append([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
        rows.append([0.0, 0.0, 0.0, y, z, 0.0])
        rows.append([0.0, y * y, z * z, 0.0, 0.0, 2.0 * y * z])
    return np.array(rows)
