"""What a picture of one event shows: its TPs on each plane, the main cluster, and the truth projected beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import X
from snpoint.physics.geometry import PLANES, Detector, Volume
from snpoint.physics.orientation import wrapped

Columns = Mapping[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEEDED = (
    *("run", "subrun", "event", "event_uid", "apa", "plane", "face", "channel", "time_start"),
    *("samples_over_threshold", "adc_integral", "is_signal", "interaction", "energy_true_mev", "neutrino_energy_mev"),
    *(name.format(axis) for name in ("direction_{}", "vertex_{}_cm") for axis in "xyz"),
)
"""Columns of a table of TPs that a picture takes."""
CLUSTERS_NEEDED = (*NEEDED, "cluster_id", "link_id", "is_main")
"""Those of a table of clusters."""
NOTHING, SIGNAL = -1, 0
"""Groups of TPs that are no cluster; clusters count from 1."""
_CM_PER_MEV = 0.45
"""Path of an electron in argon per MeV; it sets the length of the truth arrow."""
_MARGIN = 1.25
_LEAST_HALF = (70.0, 18.0)
_MOST_HALF = (600.0, 150.0)
"""Half sizes of the close view [ticks, channels]."""
_NEAR = (150.0, 40.0)
"""What lies further from the center than this is shown only if it is of the main cluster [ticks, channels]."""


@dataclass(frozen=True)
class Arrow:
    """The electron's path on one plane: where it begins and how far it goes [channels, ticks]."""

    channel: float
    tick: float
    channels: float
    ticks: float


@dataclass(frozen=True)
class Panel:
    """TPs of one plane: channel, first tick, length, and the group they belong to; ``main`` marks the main cluster.

    ``seams`` are the channels at which another APA begins.
    """

    name: str
    channel: Floats
    tick: Floats
    length: Floats
    group: Ints
    main: npt.NDArray[np.bool_]
    arrow: Arrow | None = None
    seams: tuple[float, ...] = ()


@dataclass(frozen=True)
class Close:
    """The surroundings of the main cluster, or of what comes nearest to one; centers and half sizes."""

    panels: tuple[Panel, Panel, Panel]
    center_tick: float
    center_channels: tuple[float, float, float]
    half_ticks: float
    half_channels: float
    where: str


def groups(table: Columns) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Group of each TP, and whether it is of the main cluster.

    Clusters are numbered from 1 as links, so that the parts of a link share a number; what is not linked follows. A
    table without clusters has the groups signal and nothing.
    """
    n = len(table["channel"])
    if "cluster_id" not in table:
        return np.where(table["is_signal"] == 1, SIGNAL, NOTHING).astype(np.int64), np.zeros(n, bool)
    inside = table["cluster_id"] >= 0
    key = np.where(table["link_id"] >= 0, -2 - table["link_id"].astype(np.int64), table["cluster_id"])
    group = np.full(n, NOTHING, np.int64)
    # The heaviest first: they get the colors that are easiest to tell apart.
    names, inverse = np.unique(key[inside], return_inverse=True)
    weight = np.bincount(inverse.reshape(-1), table["adc_integral"][inside], minlength=len(names))
    rank = np.empty(len(names), np.int64)
    rank[np.argsort(-weight, kind="stable")] = np.arange(len(names))
    group[inside] = 1 + rank[inverse.reshape(-1)]
    return group, np.asarray(table["is_main"] == 1)


def whole(table: Columns, detector: Detector) -> tuple[Panel, Panel, Panel]:
    """All TPs of the event: the APAs side by side."""
    group, main = groups(table)
    plane = detector.plane(table["channel"])
    tick = ticks_of(table, detector)
    local = np.arange(detector.channels_per_apa)
    panels = []
    for number, name in enumerate(PLANES):
        own = plane == number
        channels = local[detector.plane(local) == number]
        at = detector.apa(table["channel"][own]) * len(channels) + np.searchsorted(
            channels, detector.local(table["channel"][own])
        )
        seams = tuple(float(k * len(channels)) for k in range(1, detector.n_apas))
        length = table["samples_over_threshold"][own].astype(np.float64)
        panels.append(Panel(name, at.astype(np.float64), tick[own], length, group[own], main[own], None, seams))
    return panels[0], panels[1], panels[2]


def ticks_of(table: Columns, detector: Detector) -> Floats:
    """Start of the TPs [ticks]; in files with absolute times, from the first TP on."""
    start = table["time_start"].astype(np.int64)
    return np.asarray((start - start.min() if _absolute(table, detector) else start) / detector.clock_per_tick)


def _absolute(table: Columns, detector: Detector) -> bool:
    """Whether the times are those of a running detector, not of a readout window that begins at 0."""
    return bool(table["time_start"].max(initial=0) > 10 * detector.n_ticks * detector.clock_per_tick)


def close(table: Columns, detector: Detector) -> Close:
    """The surroundings of the main cluster on X; without one, of the signal, or of the largest TP.

    Raises
    ------
    ValueError
        The event has no TP on plane X.
    """
    group, main = groups(table)
    tick, weight = ticks_of(table, detector), np.maximum(table["adc_integral"].astype(np.float64), 1.0)
    anchor = _anchor(table, main, tick, weight)
    apa, face = int(table["apa"][anchor[0]]), int(table["face"][anchor[0]])
    volume = detector.volume(apa, face)
    center_tick = float(np.average(tick[anchor], weights=weight[anchor]))
    length = table["samples_over_threshold"].astype(np.float64)
    here = (table["apa"] == apa) & ((table["face"] == 0) | (table["face"] == face))
    panels, centers, extents = [], [], []
    for plane, name in enumerate(PLANES):
        own = np.flatnonzero(here & (table["plane"] == plane))
        center = _center(table, own, main, tick, weight, center_tick, detector)
        modulus = np.full(len(own), volume.wires[plane].modulus or 0, np.int64)
        channel = center + wrapped(detector.local(table["channel"][own]) - center, modulus).astype(np.float64)
        arrow = _arrow(table, volume, plane, center, detector)
        important = main[own]
        if not main.any():
            important = (group[own] == SIGNAL) & (np.abs(channel - center) < _NEAR[1])
            important &= np.abs(tick[own] - center_tick) < _NEAR[0]
        extents.append(_extent(channel, tick[own], length[own], important, arrow, center, center_tick))
        panels.append(Panel(name, channel, tick[own], length[own], group[own], main[own], arrow))
        centers.append(float(center))
    half = [
        float(np.clip(_MARGIN * max(extent[axis] for extent in extents), _LEAST_HALF[axis], _MOST_HALF[axis]))
        for axis in (0, 1)
    ]
    where = f"APA {apa}, face {face:+d}"
    return Close(
        (panels[0], panels[1], panels[2]), center_tick, (centers[0], centers[1], centers[2]), half[0], half[1], where
    )


def _anchor(table: Columns, main: npt.NDArray[np.bool_], tick: Floats, weight: Floats) -> Ints:
    """TPs on X around which the close view is: of one APA and one face."""
    on_x = table["plane"] == X
    if not on_x.any():
        raise ValueError("no TP on plane X")
    for chosen in (on_x & main, on_x & (table["is_signal"] == 1), on_x):
        rows = np.flatnonzero(chosen)
        if len(rows):
            best = rows[np.argmax(weight[rows])]
            near = (table["apa"][rows] == table["apa"][best]) & (table["face"][rows] == table["face"][best])
            near &= np.abs(tick[rows] - tick[best]) < _MOST_HALF[0]
            return rows[near] if chosen is not on_x else np.array([best])
    raise AssertionError("one of the choices is not empty")


def _center(
    table: Columns, own: Ints, main: npt.NDArray[np.bool_], tick: Floats, weight: Floats, center_tick: float,
    detector: Detector,
) -> int:  # fmt: skip
    """Local channel in the middle of the close view: the heaviest TP of the main cluster, the signal, or nearby."""
    local = detector.local(table["channel"][own])
    near = np.abs(tick[own] - center_tick) < _LEAST_HALF[0]
    for chosen in (main[own], near & (table["is_signal"][own] == 1), near):
        if chosen.any():
            return int(local[chosen][np.argmax(weight[own][chosen])])
    return int(np.median(local)) if len(local) else 0


def _arrow(table: Columns, volume: Volume, plane: int, center: int, detector: Detector) -> Arrow | None:
    """The electron from its vertex on, as this plane of this volume would see it; None without truth."""
    vertex = np.array([table[f"vertex_{axis}_cm"][0] for axis in "xyz"], np.float64)
    direction = np.array([table[f"direction_{axis}"][0] for axis in "xyz"], np.float64)
    if not np.isfinite([*vertex, *direction]).all() or _absolute(table, detector):
        return None
    energy = float(table["energy_true_mev"][0])
    length = max(2.0, _CM_PER_MEV * energy if np.isfinite(energy) else 0.0)
    wires = volume.wires[plane]
    channel = float(volume.channel(plane, vertex[1], vertex[2]))
    if wires.modulus:
        channel = center + (channel - center + wires.modulus / 2) % wires.modulus - wires.modulus / 2
    start = float(detector.drift_tick(volume, vertex[0])) + detector.time_offsets_ticks[plane]
    along = wires.dch_dy * direction[1] + wires.dch_dz * direction[2]
    return Arrow(
        channel, start, length * along, length * float(direction[0]) * volume.time_sign * detector.ticks_per_cm
    )


def _extent(
    channel: Floats, tick: Floats, length: Floats, important: npt.NDArray[np.bool_], arrow: Arrow | None,
    center: int, center_tick: float,
) -> tuple[float, float]:  # fmt: skip
    """How far the important TPs and the arrow reach from the center [ticks, channels]."""
    channels, ticks = [0.0], [0.0]
    if important.any():
        near = important & (np.abs(tick - center_tick) < _MOST_HALF[0])
        channels += np.abs(channel[near] - center).tolist()
        ticks += np.abs(np.concatenate([tick[near], (tick + length)[near]]) - center_tick).tolist()
    if arrow is not None:
        ends = [
            (arrow.channel + share * arrow.channels - center, arrow.tick + share * arrow.ticks - center_tick)
            for share in (0.0, 1.0)
        ]
        if all(abs(c) < _NEAR[1] and abs(t) < _NEAR[0] for c, t in ends):
            channels += [abs(c) for c, _ in ends]
            ticks += [abs(t) for _, t in ends]
    return max(ticks), max(channels)


def image_panels(shard: Columns, row: int, detector: Detector, canonical: bool) -> Close:
    """The TPs of an image of a shard; in the canonical frame also the electron's direction, through the center."""
    panels, reach = [], []
    direction = shard["direction"][row].astype(np.float64)
    energy = float(shard["energy_true_mev"][row])
    length = max(2.0, _CM_PER_MEV * energy if np.isfinite(energy) else 0.0)
    recipe = detector.canonical(int(shard["apa"][row]), int(shard["face"][row])) if canonical else None
    volume = detector.volume(int(shard["apa"][row]), int(shard["face"][row])) if canonical else None
    for slot, name in enumerate("ABX" if canonical else PLANES):
        begin, end = shard["offsets"][3 * row + slot : 3 * row + slot + 2]
        own = slice(int(begin), int(end))
        channel, tick = shard["channel"][own].astype(np.float64), shard["tick"][own].astype(np.float64)
        size, main = shard["samples_over_threshold"][own].astype(np.float64), shard["in_main"][own] == 1
        arrow = None
        if recipe is not None and volume is not None and np.isfinite(direction).all():
            plane, flip = recipe.planes[slot]
            wires = volume.wires[plane]
            along = (wires.dch_dy * direction[1] + wires.dch_dz * direction[2]) * (-1 if flip else 1) * length
            ticks = direction[0] * detector.ticks_per_cm * length
            arrow = Arrow(-along / 2, -ticks / 2, along, ticks)
        panels.append(Panel(str(name), channel, tick, size, np.where(main, 1, NOTHING), main, arrow))
        reach.append((np.abs(tick).max(initial=0), np.abs(channel).max(initial=0)))
    half = [float(max(_LEAST_HALF[axis], 1.05 * max(pair[axis] for pair in reach))) for axis in (0, 1)]
    where = f"APA {int(shard['apa'][row])}, face {int(shard['face'][row]):+d}"
    return Close((panels[0], panels[1], panels[2]), 0.0, (0.0, 0.0, 0.0), half[0], half[1], where)
