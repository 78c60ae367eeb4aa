"""The parts of a picture of one event: planes, the arrow of the electron, a close view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NOTHING, OVERLAY, SIGNAL = -2, -1, 0
"""Groups of TPs that are no cluster; clusters count from 1."""


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

    ``overlay`` marks TPs of background laid over, and ``height`` is their mean height [ADC]. ``channels``
    are the first channel of the plane and the one after the last; where ``wraps`` is set the channels are unwrapped,
    so that TPs beyond these are those of the other end.
    """

    name: str
    channel: Floats
    tick: Floats
    length: Floats
    group: Ints
    main: Bools
    overlay: Bools
    height: Floats
    arrow: Arrow | None = None
    channels: tuple[float, float] | None = None
    wraps: bool = False


@dataclass(frozen=True)
class Overview:
    """All TPs of a plane, its APAs side by side: limits of the axes, and the middle of the main cluster."""

    panel: Panel
    per_apa: int
    n_apas: int
    ticks: tuple[float, float]
    main: tuple[float, float] | None


@dataclass(frozen=True)
class Close:
    """The surroundings of the main cluster, or of what comes nearest to one; centers and half sizes.

    ``is_image``: an image of a shard, whose arrow is a direction alone. ``note`` says what cannot be drawn.
    """

    panels: tuple[Panel, Panel, Panel]
    center_tick: float
    center_channels: tuple[float, float, float]
    half_ticks: float
    half_channels: float
    where: str
    cm_per_tick: float
    is_image: bool = False
    note: str = ""

    def shows_arrow(self, plane: int) -> bool:
        """Whether some of the arrow lies inside of the view of a plane."""
        arrow, center = self.panels[plane].arrow, self.center_channels[plane]
        if arrow is None:
            return False
        shares = [0.0, 1.0]
        for start, step, half in (
            (arrow.channel - center, arrow.channels, self.half_channels),
            (arrow.tick - self.center_tick, arrow.ticks, self.half_ticks),
        ):
            if step == 0.0:
                inside = [0.0, 1.0] if abs(start) <= half else [1.0, 0.0]
            else:
                inside = sorted(((-half - start) / step, (half - start) / step))
            shares = [max(shares[0], inside[0]), min(shares[1], inside[1])]
        return shares[0] <= shares[1]
