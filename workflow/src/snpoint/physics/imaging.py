"""Images of events: which TPs they hold and where these lie.

An image is kept as the list of its TPs (sparse) and becomes pixels only when it is drawn (`snpoint.physics.drawing`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.errors import ConfigError
from snpoint.physics.anchors import Anchors, find_anchors, neighbors
from snpoint.physics.constants import BACKGROUND, UNKNOWN
from snpoint.physics.geometry import Detector
from snpoint.physics.hashing import content_hash
from snpoint.physics.orientation import Bools, Frame, Ints, Members, canonical, predecessor

Columns = dict[str, npt.NDArray[Any]]

_I2 = 32767
_LEAST_SIGNAL = 0.5
"""Share of signal in the clusters of an image below which it shows background."""
_OF_THE_NEUTRINO = ("direction", "vertex_cm", "energy_true_mev", "neutrino_direction", "neutrino_energy_mev")
_MEASURED = ("plane", "channel", "time_start", "adc_integral", "adc_peak")
_TP_COLUMNS = (*_MEASURED, "samples_over_threshold", "samples_to_peak")
NEEDED = (
    *_TP_COLUMNS,
    *("run", "subrun", "event", "event_uid", "apa", "face", "is_main", "accepted", "cluster_id", "link_id"),
    *("link_margin", "is_signal", "edep_mev", "interaction", "background_uid", "background_fingerprint"),
    *("energy_true_mev", "neutrino_energy_mev"),
    *(name.format(axis) for name in ("direction_{}", "vertex_{}_cm", "neutrino_direction_{}") for axis in "xyz"),
)
"""Columns of the cluster table that `build_images` reads."""


def build_images(
    table: Mapping[str, npt.NDArray[Any]],
    detector: Detector,
    *,
    anchors: str,
    context: str,
    orientation: str,
    window_ticks: int,
    window_channels: int,
    tot_cut: int,
    adc_per_mev: tuple[float, float, float],
) -> Columns:
    """Sparse images of a table of clusters.

    Parameters
    ----------
    table
        Columns `NEEDED` of the cluster table, whole events.
    detector
        The detector layout.
    anchors
        What an image is about: ``main``, the main cluster on plane X and what is linked to it, one image per event
        that has one; or ``links``, every accepted cluster on X and what is linked to it.
    context
        ``cluster`` keeps the TPs of these clusters alone; ``window`` adds every TP of the event that lies in the
        same APA (and, on X, on the same face), inside the box, with ``samples_over_threshold > tot_cut``.
    orientation
        ``canonical`` or ``predecessor`` (the latter with context ``cluster`` only).
    window_ticks, window_channels
        The box around the center of the clusters.
    tot_cut
        Cut on the window's TPs [ticks]; those of the clusters all stay.
    adc_per_mev
        ADC per MeV of planes U, V, X.

    Returns
    -------
    dict
        Arrays of a shard, without format version, frame and sources; images sorted by event and cluster. A plane on
        which the link has nothing is empty. An image of which less than half the charge is known to be of the neutrino
        shows background: it does not carry the event's truth.

    Raises
    ------
    ConfigError
        The predecessor's orientation with context ``window``: it ranks the channels of the cluster.
    """
    if orientation == "predecessor" and context != "cluster":
        raise ConfigError(
            f"image.context: '{context}' does not exist for image.orientation 'predecessor' (it ranks the channels of "
            "the cluster); set image.context to 'cluster'"
        )
    found = find_anchors(table, anchors)
    rows, image, main = _members(table, found, detector, context, window_ticks, tot_cut)
    members = Members({key: table[key][rows] for key in _TP_COLUMNS}, image, main, found.apa, found.face)
    frame = {"canonical": canonical, "predecessor": predecessor}[orientation](members, detector)
    kept = _kept(frame, members, window_ticks, window_channels)
    identity = _identity(table, found)
    arrays = _truth(table, found.row, identity["signal_fraction"]) | identity
    arrays |= {"apa": found.apa.astype(np.uint8), "face": found.face.astype(np.int8)}
    arrays["energy_reco_mev"] = _energy(frame, members, adc_per_mev)
    return arrays | _sparse(frame, members, kept)


def _members(
    table: Mapping[str, npt.NDArray[Any]],
    anchors: Anchors,
    detector: Detector,
    context: str,
    window_ticks: int,
    tot_cut: int,
) -> tuple[Ints, Ints, Bools]:
    """Pairs of TP (row of the table) and image that may belong together, and whether the TP is of its clusters."""
    own = np.flatnonzero(anchors.image >= 0)
    if context == "cluster":
        return own, anchors.image[own], np.ones(len(own), bool)
    # The box is centered somewhere in the cluster on X: what begins further from it than half a box, the longest TP
    # and the offsets of the planes, is outside in any case.
    longest = int(table["samples_over_threshold"].max(initial=0))
    offsets = 2 * int(np.ceil(np.abs(detector.time_offsets_ticks).max()))
    reach = detector.clock_per_tick * (window_ticks // 2 + longest + offsets + 2)
    rows, image = neighbors(table, anchors, reach, tot_cut)
    other = anchors.image[rows] != image
    rows, image = np.concatenate([own, rows[other]]), np.concatenate([anchors.image[own], image[other]])
    return rows, image, np.arange(len(rows)) < len(own)


def _kept(frame: Frame, members: Members, window_ticks: int, window_channels: int) -> Bools:
    """TPs of the clusters, and those that touch the box."""
    last = frame.tick + members.tps["samples_over_threshold"].astype(np.int64) - 1
    low_tick, low_channel = -(window_ticks // 2), -(window_channels // 2)
    inside = (last >= low_tick) & (frame.tick < low_tick + window_ticks)
    inside &= (frame.channel >= low_channel) & (frame.channel < low_channel + window_channels)
    fits = (np.abs(frame.tick) <= _I2) & (np.abs(frame.channel) <= _I2)
    return np.asarray(frame.placed & fits & (members.main | inside))


def _energy(frame: Frame, members: Members, adc_per_mev: tuple[float, float, float]) -> npt.NDArray[np.float32]:
    """Energy of the clusters on each plane of the image [MeV]."""
    energy = members.tps["adc_integral"] / np.asarray(adc_per_mev)[members.tps["plane"]]
    key = members.image * 3 + frame.slot
    total = np.bincount(key, np.where(members.main, energy, 0.0), minlength=3 * len(members.apa))
    return total.reshape(-1, 3).astype(np.float32)


def _sparse(frame: Frame, members: Members, kept: Bools) -> Columns:
    """Columns of the kept TPs, sorted by image, plane, tick and channel, and where each (image, plane) begins."""
    key = members.image * 3 + frame.slot
    rows = np.flatnonzero(kept)
    rows = rows[np.lexsort((frame.channel[rows], frame.tick[rows], key[rows]))]
    counts = np.bincount(key[rows], minlength=3 * len(members.apa))
    return {
        "offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "channel": frame.channel[rows].astype(np.int16),
        "tick": frame.tick[rows].astype(np.int16),
        "samples_over_threshold": members.tps["samples_over_threshold"][rows],
        "samples_to_peak": frame.samples_to_peak[rows].astype(np.uint16),
        "adc_integral": members.tps["adc_integral"][rows],
        "adc_peak": members.tps["adc_peak"][rows],
        "in_main": members.main[rows].astype(np.uint8),
    }


def _truth(table: Mapping[str, npt.NDArray[Any]], row: Ints, signal_fraction: npt.NDArray[np.float32]) -> Columns:
    """Identity and truth of the events; what shows background has none of the neutrino's."""

    def vector(names: str) -> npt.NDArray[np.float32]:
        return np.stack([table[names.format(axis)][row] for axis in "xyz"], axis=1).astype(np.float32)

    keys = ("event_uid", "run", "subrun", "event", "energy_true_mev", "interaction", "neutrino_energy_mev")
    background = ("background_uid", "background_fingerprint")
    arrays: Columns = {key: table[key][row] for key in (*keys, *background, "is_main", "link_margin")}
    arrays["direction"] = vector("direction_{}")
    arrays["vertex_cm"] = vector("vertex_{}_cm")
    arrays["neutrino_direction"] = vector("neutrino_direction_{}")
    # An event's clusters of radioactivity and noise know nothing of its neutrino.
    is_background = signal_fraction < _LEAST_SIGNAL
    for key in _OF_THE_NEUTRINO:
        arrays[key][is_background] = np.nan
    arrays["interaction"][is_background & (arrays["interaction"] != UNKNOWN)] = BACKGROUND
    return arrays


def _identity(table: Mapping[str, npt.NDArray[Any]], anchors: Anchors) -> Columns:
    """Content hash of each image's clusters, and how much of them the neutrino made."""
    own = np.flatnonzero(anchors.image >= 0)
    image, n = anchors.image[own], len(anchors.row)
    start = table["time_start"][own]
    first = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(first, image, start)
    content = (table["channel"][own], start - first[image], table["samples_over_threshold"][own])
    adc = table["adc_integral"][own].astype(np.float64)
    signal = np.bincount(image, adc * (table["is_signal"][own] == 1), minlength=n)
    total = np.bincount(image, adc, minlength=n)
    known = np.bincount(image, np.isfinite(table["edep_mev"][own]), minlength=n) > 0
    known |= np.isfinite(table["direction_x"][anchors.row])
    share = np.where(known, signal / np.maximum(total, 1.0), np.nan)
    return {
        "fingerprint": content_hash(image, n, *content, table["adc_integral"][own]),
        "signal_fraction": np.clip(share, 0, 1).astype(np.float32),
    }
