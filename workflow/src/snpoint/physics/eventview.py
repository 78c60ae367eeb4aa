"""What a picture of one event shows: its TPs on each plane, the main cluster, and the truth projected beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import X
from snpoint.physics.eventpanels import NOTHING, OVERLAY, SIGNAL, Arrow, Close, Overview, Panel
from snpoint.physics.geometry import PLANES, Detector, Volume
from snpoint.physics.orientation import wrapped

Columns = Mapping[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NEEDED = (
    *("run", "subrun", "event", "event_uid", "apa", "plane", "face", "channel", "time_start"),
    *("samples_over_threshold", "adc_integral", "is_signal", "is_overlay", "interaction"),
    *("energy_true_mev", "neutrino_energy_mev"),
    *(name.format(axis) for name in ("direction_{}", "vertex_{}_cm") for axis in "xyz"),
)
"""Columns of a table of TPs that a picture takes."""
CLUSTERS_NEEDED = (*NEEDED, "cluster_id", "link_id", "is_main")
"""Those of a table of clusters."""
_CM_PER_MEV = 0.45
"""Path of an electron in argon per MeV; it sets the length of the truth arrow."""
_MARGIN = 1.25
LEAST_HALF = (70.0, 18.0)
_MOST_HALF = (600.0, 150.0)
"""Half sizes of the close view [ticks, channels]."""
_NEAR = (150.0, 40.0)
"""What lies further from the center than this is shown only if it is of the main cluster [ticks, channels]."""


def groups(table: Columns) -> tuple[Ints, Bools]:
    """Group of each TP, and whether it is of the main cluster.

    Clusters are numbered from 1 as links, so that the parts of a link share a number; what is not linked follows. TPs
    of no cluster have the groups signal, overlay and nothing.
    """
    n = len(table["channel"])
    group = np.where(table["is_overlay"] == 1, OVERLAY, NOTHING).astype(np.int64)
    group[table["is_signal"] == 1] = SIGNAL
    if "cluster_id" not in table:
        return group, np.zeros(n, bool)
    inside = table["cluster_id"] >= 0
    key = np.where(table["link_id"] >= 0, -2 - table["link_id"].astype(np.int64), table["cluster_id"])
    # The heaviest first: they get the colors that are easiest to tell apart.
    names, inverse = np.unique(key[inside], return_inverse=True)
    weight = np.bincount(inverse.reshape(-1), table["adc_integral"][inside], minlength=len(names))
    rank = np.empty(len(names), np.int64)
    rank[np.argsort(-weight, kind="stable")] = np.arange(len(names))
    group[inside] = 1 + rank[inverse.reshape(-1)]
    return group, np.asarray(table["is_main"] == 1)


def heights(table: Columns, rows: Any) -> Floats:
    """Mean height of some TPs [ADC]."""
    return np.asarray(table["adc_integral"][rows] / np.maximum(table["samples_over_threshold"][rows], 1.0))


def whole(table: Columns, detector: Detector) -> tuple[Overview, Overview, Overview]:
    """All TPs of the event: the APAs side by side."""
    group, main = groups(table)
    tick, plane = ticks_of(table, detector), detector.plane(table["channel"])
    planes = detector.plane(np.arange(detector.channels_per_apa))
    end = float(tick.max(initial=0.0))
    if not _absolute(table, detector):
        end = max(end, float(detector.n_ticks))
    found = []
    for number, name in enumerate(PLANES):
        own = plane == number
        first, n = int(np.argmax(planes == number)), int((planes == number).sum())
        at = detector.apa(table["channel"][own]) * n + detector.local(table["channel"][own]) - first
        length = table["samples_over_threshold"][own].astype(np.float64)
        height, overlay = heights(table, own), table["is_overlay"][own] == 1
        panel = Panel(
            name, at.astype(np.float64), tick[own], length, group[own], main[own], overlay, height, None,
            (first, first + n), _wraps(detector, number),
        )  # fmt: skip
        middle = _middle(panel, np.maximum(table["adc_integral"][own], 1), n)
        found.append(Overview(panel, n, detector.n_apas, (0.0, end), middle))
    return found[0], found[1], found[2]


def _wraps(detector: Detector, plane: int) -> bool:
    return detector.volumes[0].wires[plane].modulus is not None


def _middle(panel: Panel, weight: npt.NDArray[Any], per_apa: int) -> tuple[float, float] | None:
    """Middle of the main cluster, in the APA of its heaviest TP, around the wrap where the wires are wrapped."""
    if not panel.main.any():
        return None
    channel, weight = panel.channel[panel.main].astype(np.int64), weight[panel.main].astype(np.float64)
    apa, origin = divmod(int(channel[np.argmax(weight)]), per_apa)
    modulus = np.full(len(channel), per_apa if panel.wraps else 0, np.int64)
    center = origin + float(np.average(wrapped(channel - apa * per_apa - origin, modulus), weights=weight))
    tick = panel.tick[panel.main] + panel.length[panel.main] / 2
    return apa * per_apa + (center % per_apa if panel.wraps else center), float(np.average(tick, weights=weight))


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
            important = (table["is_signal"][own] == 1) & (np.abs(channel - center) < _NEAR[1])
            important &= np.abs(tick[own] - center_tick) < _NEAR[0]
        extents.append(_extent(channel, tick[own], length[own], important, arrow, center, center_tick))
        wires = volume.wires[plane]
        limits = (float(wires.first_channel), float(wires.first_channel + wires.n_channels))
        overlay, height = table["is_overlay"][own] == 1, heights(table, own)
        shown = (name, channel, tick[own], length[own], group[own], main[own], overlay, height, arrow)
        panels.append(Panel(*shown, limits, wires.modulus is not None))
        centers.append(float(center))
    half = [
        float(np.clip(_MARGIN * max(extent[axis] for extent in extents), LEAST_HALF[axis], _MOST_HALF[axis]))
        for axis in (0, 1)
    ]
    where = f"APA {apa}, face {face:+d}"
    view, middle = (panels[0], panels[1], panels[2]), (centers[0], centers[1], centers[2])
    return Close(view, center_tick, middle, half[0], half[1], where, detector.cm_per_tick)


def _anchor(table: Columns, main: Bools, tick: Floats, weight: Floats) -> Ints:
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
    table: Columns, own: Ints, main: Bools, tick: Floats, weight: Floats, center_tick: float,
    detector: Detector,
) -> int:  # fmt: skip
    """Local channel in the middle of the close view: the heaviest TP of the main cluster, the signal, or nearby."""
    local = detector.local(table["channel"][own])
    near = np.abs(tick[own] - center_tick) < LEAST_HALF[0]
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
    length = electron_length(float(table["energy_true_mev"][0]))
    wires = volume.wires[plane]
    channel = float(volume.channel(plane, vertex[1], vertex[2]))
    if wires.modulus:
        channel = center + (channel - center + wires.modulus / 2) % wires.modulus - wires.modulus / 2
    start = float(detector.drift_tick(volume, vertex[0])) + detector.time_offsets_ticks[plane]
    along = wires.dch_dy * direction[1] + wires.dch_dz * direction[2]
    return Arrow(
        channel, start, length * along, length * float(direction[0]) * volume.time_sign * detector.ticks_per_cm
    )


def electron_length(energy_mev: float) -> float:
    """How long the arrow of an electron is [cm]; at least so long that it can be seen."""
    return max(2.0, _CM_PER_MEV * energy_mev if np.isfinite(energy_mev) else 0.0)


def _extent(
    channel: Floats, tick: Floats, length: Floats, important: Bools, arrow: Arrow | None,
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
