"""A picture of one event: TPs as bars on their channels, clusters in color, the truth as an arrow."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from snpoint.physics.eventview import NOTHING, SIGNAL, Close, Panel
from snpoint.plots.canvas import COLORS, figure, style

_CLUSTERS = ("#0b5394", "#cc5500", "#3a7d44", "#8e44ad", "#00838f", "#b8860b", "#ad1457", "#5d4037")
_NOTHING = "#b0b0b0"
_SIGNAL = "#cc5500"


@style()
def event(title: str, subtitle: str, close: Close, whole: tuple[Panel, Panel, Panel] | None = None) -> Figure:
    """The three planes of an event.

    Parameters
    ----------
    title, subtitle
        Two lines above the picture.
    close
        The surroundings of the main cluster.
    whole
        All TPs of the event, drawn above; None leaves that row out.
    """
    heights = [1.0] if whole is None else [0.75, 1.0]
    canvas, axes = figure(
        11.0, 1.2 + 4.2 * sum(heights), nrows=len(heights), ncols=3, squeeze=False, height_ratios=heights
    )
    for axis, panel in zip(axes[0], whole or (), strict=False):
        _overview(axis, panel)
    for number, (axis, panel) in enumerate(zip(axes[-1], close.panels, strict=True)):
        _close(axis, panel, close, number)
    axes[-1, 0].set_ylabel("tick")
    if whole is not None:
        axes[0, 0].set_ylabel("tick")
    canvas.suptitle(f"{title}\n{subtitle}", x=0.01, ha="left", fontsize=11)
    _legend(canvas, [*close.panels, *(whole or ())])
    return canvas


def _overview(axis: Any, panel: Panel) -> None:
    for seam in panel.seams:
        axis.axvline(seam, color=COLORS["baseline"], linewidth=0.6, linestyle=":")
    order = np.argsort(panel.group, kind="stable")
    colors = [_color(group) for group in panel.group[order].tolist()]
    sizes = np.where(panel.group[order] == NOTHING, 1.5, 9.0)
    axis.scatter(panel.channel[order], panel.tick[order] + panel.length[order] / 2, s=sizes, c=colors, linewidths=0)
    if panel.main.any():
        middle = panel.channel[panel.main].mean(), panel.tick[panel.main].mean()
        axis.plot(*middle, marker="o", markersize=15, markerfacecolor="none", markeredgecolor="black", linewidth=0)
    axis.set_title(f"{panel.name}, all APAs")
    axis.set_xlabel("channel of the plane, APA after APA")
    axis.margins(0.01)


def _close(axis: Any, panel: Panel, close: Close, number: int) -> None:
    center = close.center_channels[number]
    order = np.argsort(panel.group, kind="stable")
    left, right = panel.channel[order] - 0.42, panel.channel[order] + 0.42
    low, high = panel.tick[order] - 0.5, panel.tick[order] + panel.length[order] - 0.5
    corners = np.stack([np.stack([left, right, right, left], 1), np.stack([low, low, high, high], 1)], axis=2)
    main = panel.main[order]
    axis.add_collection(
        PolyCollection(
            list(corners),
            facecolors=[_color(group) for group in panel.group[order].tolist()],
            edgecolors=["black" if own else "none" for own in main.tolist()],
            linewidths=np.where(main, min(0.8, 15.0 / close.half_channels), 0.0),
        )
    )
    if panel.arrow is not None:
        begin = (panel.arrow.channel, panel.arrow.tick)
        end = (begin[0] + panel.arrow.channels, begin[1] + panel.arrow.ticks)
        shape = {"arrowstyle": "-|>", "color": COLORS["truth"], "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0}
        axis.annotate("", xy=end, xytext=begin, arrowprops=shape, annotation_clip=True)
    axis.set_xlim(center - close.half_channels, center + close.half_channels)
    axis.set_ylim(close.center_tick - close.half_ticks, close.center_tick + close.half_ticks)
    axis.set_title(f"{panel.name}, {close.where}")
    axis.set_xlabel("channel")


def _color(group: int) -> str:
    if group in (NOTHING, SIGNAL):
        return _NOTHING if group == NOTHING else _SIGNAL
    return _CLUSTERS[(group - 1) % len(_CLUSTERS)]


def _legend(canvas: Figure, panels: list[Panel]) -> None:
    found = set(np.concatenate([panel.group for panel in panels]).tolist())
    marks: list[tuple[str, dict[str, Any]]] = []
    if SIGNAL in found:
        marks.append(("TP of the neutrino", {"color": _SIGNAL, "linewidth": 6}))
    if any(group > 0 for group in found):
        marks.append(("cluster, one color per link", {"color": _CLUSTERS[0], "linewidth": 6}))
    if any(panel.main.any() for panel in panels):
        edge = {"marker": "s", "markerfacecolor": "none", "markeredgecolor": "black", "markersize": 8, "linewidth": 0}
        marks.append(("main cluster", edge))
    if NOTHING in found:
        marks.append(("other TP", {"color": _NOTHING, "linewidth": 6}))
    if any(panel.arrow is not None for panel in panels):
        marks.append(("true electron", {"color": COLORS["truth"], "linewidth": 1.6}))
    handles = [Line2D([], [], label=label, **look) for label, look in marks]
    canvas.legend(handles=handles, loc="outside lower center", ncols=len(handles))
