"""What a picture of one image of a shard shows: its TPs, and the electron's direction where the frame is that of x."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.eventpanels import NOTHING, Arrow, Close, Panel
from snpoint.physics.eventview import LEAST_HALF, electron_length, heights
from snpoint.physics.geometry import PLANES, Detector, Volume

Columns = Mapping[str, npt.NDArray[Any]]

_FIRST_CLUSTER = 1


def image_panels(shard: Columns, row: int, detector: Detector, canonical: bool) -> Close:
    """The TPs of an image; in the canonical frame of a known volume also the electron's direction, through the center.

    Parameters
    ----------
    shard
        Arrays of a shard.
    row
        The image.
    detector, canonical
        Its layout, and whether its frame is the canonical one.
    """
    apa, face = int(shard["apa"][row]), int(shard["face"][row])
    volume = next((own for own in detector.volumes if (own.apa, own.face) == (apa, face)), None)
    panels, reach, note = [], [], ""
    known = bool(np.isfinite(shard["direction"][row]).all())
    if known and not (canonical and volume is not None):
        note = f"direction known, {'side of the APA not' if canonical else 'frame of the predecessor'}"
    for slot, name in enumerate("ABX" if canonical else PLANES):
        begin, end = shard["offsets"][3 * row + slot : 3 * row + slot + 2]
        own = slice(int(begin), int(end))
        channel, tick = shard["channel"][own].astype(np.float64), shard["tick"][own].astype(np.float64)
        size, main = shard["samples_over_threshold"][own].astype(np.float64), shard["in_main"][own] == 1
        arrow = _arrow(shard, row, slot, volume, detector) if known and canonical and volume is not None else None
        group = np.where(main, _FIRST_CLUSTER, NOTHING)
        panels.append(
            Panel(str(name), channel, tick, size, group, main, np.zeros(len(main), bool), heights(shard, own), arrow)
        )
        reach.append((np.abs(tick).max(initial=0), np.abs(channel).max(initial=0)))
    half = [float(max(LEAST_HALF[axis], 1.05 * max(pair[axis] for pair in reach))) for axis in (0, 1)]
    where = f"APA {apa}, face {face:+d}" if volume is not None else "APA unknown"
    view = (panels[0], panels[1], panels[2])
    return Close(view, 0.0, (0.0, 0.0, 0.0), half[0], half[1], where, detector.cm_per_tick, True, note)


def _arrow(shard: Columns, row: int, slot: int, volume: Volume, detector: Detector) -> Arrow:
    """The direction on one plane, as long as the electron goes, with its middle at the center."""
    direction = shard["direction"][row].astype(np.float64)
    length = electron_length(float(shard["energy_true_mev"][row]))
    plane, flip = detector.canonical(volume.apa, volume.face).planes[slot]
    wires = volume.wires[plane]
    channels = float(wires.dch_dy * direction[1] + wires.dch_dz * direction[2]) * (-1 if flip else 1) * length
    ticks = float(direction[0]) * detector.ticks_per_cm * length
    return Arrow(-channels / 2, -ticks / 2, channels, ticks)
