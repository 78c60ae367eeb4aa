"""Coordinates of TPs around a main cluster: the canonical frame, and the predecessor's for comparison.

The same track looks different in each drift volume: time runs towards +x on one face and -x on the other, U and V
exchange roles, channels run both ways. In the canonical frame every image shows it alike: ticks grow with +x, plane A
holds the wires that measure (+y, +z), plane B (+y, -z), plane X grows with +z. Everything is integer arithmetic,
so that mirrored events agree to the last TP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import X
from snpoint.physics.geometry import Detector

Columns = Mapping[str, npt.NDArray[Any]]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PREDECESSOR_IMAGE = (128, 32)
"""Ticks and channels of the predecessor's images; its rules refer to them."""


@dataclass(frozen=True)
class Members:
    """TPs that may enter images: all in the APA (and, on X, the face) of their image.

    ``image`` and ``main`` (of the clusters that the image is about) are per TP; ``apa`` and ``face`` per image. Every
    image has at least one TP of these clusters on the X plane. A TP is there once for each image it may enter.
    """

    tps: Columns
    image: Ints
    main: Bools
    apa: Ints
    face: Ints


@dataclass(frozen=True)
class Frame:
    """Coordinates of TPs, counted from the center of their image.

    ``slot`` is the plane of the image (0 A, 1 B, 2 X); ``tick`` is where the TP starts. ``placed`` is false where the
    image's clusters have no TP on the plane, so that there is nothing to count channels from.
    """

    slot: Ints
    channel: Ints
    tick: Ints
    samples_to_peak: Ints
    placed: Bools


def canonical(members: Members, detector: Detector) -> Frame:
    """Coordinates in the canonical frame.

    Plane offsets, rounded to ticks, are subtracted before time is flipped. The center is the ADC-weighted mean channel
    of the main cluster on each plane, and one tick for all planes: the ADC-weighted mean of its X TPs. Channels keep
    their gaps and are unwrapped around the center where wires are wrapped.
    """
    tps, image = members.tps, members.image
    plane, length = _ints(tps["plane"]), _ints(tps["samples_over_threshold"])
    slot, flip_channel, flip_time, modulus = _maps(detector, members.apa[image], members.face[image], plane)
    offset = np.rint(detector.time_offsets_ticks).astype(np.int64)
    tick = (tps["time_start"] - _first_start(members)[image]) // detector.clock_per_tick - offset[plane]
    peak = np.minimum(_ints(tps["samples_to_peak"]), length - 1)
    tick = np.where(flip_time, -(tick + length - 1), tick)
    peak = np.where(flip_time, length - 1 - peak, peak)
    channel = detector.local(tps["channel"])
    channel = np.where(flip_channel, -channel, channel)
    weight = np.where(members.main, np.maximum(_ints(tps["adc_integral"]), 1), 0)
    key = image * 3 + slot
    n_keys = 3 * len(members.apa)
    channel = wrapped(channel - _heaviest(key, weight, channel, n_keys)[key], modulus)
    channel = wrapped(channel - _weighted_center(key, weight, 2 * channel, n_keys)[key], modulus)
    on_x = np.where(slot == X, weight, 0)
    tick = tick - _weighted_center(image, on_x, 2 * tick + length - 1, len(members.apa))[image]
    has_main = np.bincount(key, members.main, minlength=n_keys) > 0
    return Frame(slot, channel, tick, peak, has_main[key])


def predecessor(members: Members, detector: Detector) -> Frame:
    """Coordinates as the predecessor drew them: raw planes U, V, X, flips by its own rule, channel ranks.

    Each plane is centered by itself in an image of 128 x 32; columns are the ranks of the cluster's distinct channels,
    so that gaps vanish and wrapped clusters are torn apart. Its flips take the wrong sign of x on odd APAs. Meant for
    the TPs of the main cluster alone.
    """
    tps, image = members.tps, members.image
    plane, length = _ints(tps["plane"]), _ints(tps["samples_over_threshold"])
    key, n_keys = image * 3 + plane, 3 * len(members.apa)
    tick = (tps["time_start"] - _first_start(members)[image]) // detector.clock_per_tick
    first, last = np.full(n_keys, np.iinfo(np.int64).max), np.full(n_keys, np.iinfo(np.int64).min)
    np.minimum.at(first, key, tick)
    np.maximum.at(last, key, tick + length)
    rank, n_channels = _ranks(key, _ints(tps["channel"]), n_keys)
    ticks, channels = PREDECESSOR_IMAGE
    tick = tick - first[key] + np.maximum(ticks - (last - first)[key], 0) // 2 - ticks // 2
    channel = rank + np.maximum(channels - n_channels[key], 0) // 2 - channels // 2
    peak = np.minimum(_ints(tps["samples_to_peak"]), length - 1)
    flip_time, flip_channel = _predecessor_flips(plane, members.apa[image], members.face[image])
    # A flip turns the whole image: its first row or column becomes the last.
    tick = np.where(flip_time, -(tick + length - 1) - 1, tick)
    peak = np.where(flip_time, length - 1 - peak, peak)
    channel = np.where(flip_channel, -channel - 1, channel)
    return Frame(plane, channel, tick, peak, np.ones(len(image), bool))


def _ints(values: npt.NDArray[Any]) -> Ints:
    return values.astype(np.int64)


def _maps(detector: Detector, apa: Ints, face: Ints, plane: Ints) -> tuple[Ints, Bools, Bools, Ints]:
    """Slot, channel flip, time flip and modulus (0: not wrapped) of TPs, from the map of their drift volume."""
    slot = np.full((detector.n_apas, 3, 3), -1, np.int64)
    flip_channel, flip_time = np.zeros(slot.shape, bool), np.zeros(slot.shape, bool)
    modulus = np.zeros(slot.shape, np.int64)
    for volume in detector.volumes:
        recipe = detector.canonical(volume.apa, volume.face)
        flip_time[volume.apa, volume.face] = recipe.flip_time
        for number, (own_plane, flip) in enumerate(recipe.planes):
            slot[volume.apa, volume.face, own_plane] = number
            flip_channel[volume.apa, volume.face, own_plane] = flip
            modulus[volume.apa, volume.face, own_plane] = volume.wires[own_plane].modulus or 0
    where = (apa, face, plane)
    return slot[where], flip_channel[where], flip_time[where], modulus[where]


def _first_start(members: Members) -> Ints:
    """Earliest start of each image's main cluster: times are counted from it, never from the file's zero."""
    first = np.full(len(members.apa), np.iinfo(np.int64).max)
    np.minimum.at(first, members.image[members.main], _ints(members.tps["time_start"][members.main]))
    return first


def wrapped(distance: Ints, modulus: Ints) -> Ints:
    """Distance around the wrap, nearest to zero, where there is a modulus."""
    safe = np.maximum(modulus, 1)
    return np.where(modulus > 0, (distance + safe // 2) % safe - safe // 2, distance)


def _heaviest(key: Ints, weight: Ints, channel: Ints, n_keys: int) -> Ints:
    """Channel of the heaviest TP of each key, 0 for keys without one."""
    rows = np.flatnonzero(weight > 0)
    order = rows[np.lexsort((channel[rows], -weight[rows], key[rows]))]
    found, first = np.unique(key[order], return_index=True)
    result = np.zeros(n_keys, np.int64)
    result[found] = channel[order[first]]
    return result


def _weighted_center(key: Ints, weight: Ints, doubled: Ints, n_keys: int) -> Ints:
    """Weighted mean of ``doubled / 2``, rounded to an integer such that a shift of the values shifts the result."""
    total, moment = np.zeros(n_keys, np.int64), np.zeros(n_keys, np.int64)
    rows = np.flatnonzero(weight > 0)
    np.add.at(total, key[rows], weight[rows])
    np.add.at(moment, key[rows], weight[rows] * doubled[rows])
    return np.asarray((moment + total) // np.maximum(2 * total, 1), np.int64)


def _ranks(key: Ints, channel: Ints, n_keys: int) -> tuple[Ints, Ints]:
    """Rank of each channel among the distinct ones of its key, and how many there are."""
    order = np.lexsort((channel, key))
    new_key = np.diff(key[order], prepend=-1) != 0
    new = new_key | (np.diff(channel[order], prepend=-1) != 0)
    count = np.cumsum(new)
    before = np.maximum.accumulate(np.where(new_key, count, 0))
    rank = np.empty(len(key), np.int64)
    rank[order] = count - before
    n_channels = np.zeros(n_keys, np.int64)
    np.maximum.at(n_channels, key, rank + 1)
    return rank, n_channels


def _predecessor_flips(plane: Ints, apa: Ints, face: Ints) -> tuple[Bools, Bools]:
    """Which TPs the predecessor flips in time and in channel; ``face`` is that of the linked X cluster."""
    odd = apa % 2 == 1
    right = np.where(odd, -face, face) > 0  # it takes X channels below 2080 of an odd APA for x > 0
    flips_v = plane == 1
    flips_u = plane == 0
    mixed = (flips_v & odd) | (flips_u & ~odd)
    both = ((flips_v & ~odd) | (flips_u & odd)) & right
    time = ((plane == X) & right) | both | (mixed & right)
    channel = both | (mixed & ~right)
    return time, channel
