"""A picture of one event: TPs as bars on their channels, clusters in color, the truth as an arrow."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from snpoint.physics.eventpanels import NOTHING, OVERLAY, SIGNAL, Close, Overview, Panel
from snpoint.plots.canvas import COLORS, figure, style

_CLUSTERS = ("#0b5394", "#cc5500", "#3a7d44", "#8e44ad", "#b8860b", "#5d4037", "#7f9a2f", "#34618c")
_NO_CLUSTER = {NOTHING: "#a0a0a0", OVERLAY: "#00a5c8", SIGNAL: "#e91e63"}
_FAINTEST = 0.25
"""Opacity of the TP of least charge."""
_LINE = 130
"""Characters of a line above the picture."""
_MOST_NAMED = 6
"""APAs whose numbers fit below an axis."""


@style()
def event(title: str, subtitle: str, close: Close, whole: tuple[Overview, Overview, Overview] | None = None) -> Figure:
    """The three planes of an event.

    Parameters
    ----------
    title, subtitle
        What stands above the picture.
    close
        The surroundings of the main cluster.
    whole
        All TPs of the event, drawn above; None leaves that row out.
    """
    heights = [1.0] if whole is None else [0.75, 1.0]
    canvas, axes = figure(
        11.5, 1.4 + 4.2 * sum(heights), nrows=len(heights), ncols=3, squeeze=False, height_ratios=heights
    )
    for axis, view in zip(axes[0], whole or (), strict=False):
        _overview(axis, view)
    for number, axis in enumerate(axes[-1]):
        _close(axis, close, number)
    axes[-1, 0].set_ylabel("tick")
    if whole is not None:
        axes[0, 0].set_ylabel("tick")
    _scale(axes[-1, -1], close)
    canvas.suptitle(
        "\n".join([title, *(part for line in subtitle.splitlines() for part in wrap(line, _LINE))]),
        x=0.01,
        ha="left",
        fontsize=11,
    )
    _legend(canvas, close, [*close.panels, *(view.panel for view in whole or ())])
    return canvas


def _overview(axis: Any, view: Overview) -> None:
    panel, end = view.panel, view.per_apa * view.n_apas
    for apa in range(1, view.n_apas):
        axis.axvline(apa * view.per_apa, color=COLORS["baseline"], linewidth=0.6, linestyle=":")
    order = np.argsort(panel.group, kind="stable")
    colors = [_color(group) for group in panel.group[order].tolist()]
    sizes = np.where(panel.group[order] == NOTHING, 1.5, np.where(panel.group[order] < 1, 4.0, 9.0))
    axis.scatter(panel.channel[order], panel.tick[order] + panel.length[order] / 2, s=sizes, c=colors, linewidths=0)
    if view.main is not None:
        axis.plot(*view.main, marker="o", markersize=15, markerfacecolor="none", markeredgecolor="black", linewidth=0)
    axis.set_xlim(0, end)
    axis.set_ylim(*view.ticks)
    named = range(0, view.n_apas, max(1, -(-view.n_apas // _MOST_NAMED)))
    axis.set_xticks([(apa + 0.5) * view.per_apa for apa in named], [f"APA {apa}" for apa in named])
    axis.grid(visible=False, axis="x")
    axis.tick_params(axis="x", length=0)
    axis.set_title(f"{panel.name}, all APAs")
    if panel.channels is not None:
        axis.set_xlabel(f"channels {panel.channels[0]:.0f} to {panel.channels[1] - 1:.0f} of each APA")


def _close(axis: Any, close: Close, number: int) -> None:
    panel, center = close.panels[number], close.center_channels[number]
    order = np.argsort(panel.group, kind="stable")
    left, right = panel.channel[order] - 0.42, panel.channel[order] + 0.42
    low, high = panel.tick[order] - 0.5, panel.tick[order] + panel.length[order] - 0.5
    corners = np.stack([np.stack([left, right, right, left], 1), np.stack([low, low, high, high], 1)], axis=2)
    main, over = panel.main[order], panel.overlay[order]
    seen = (np.abs(panel.channel - center) < close.half_channels) & (
        np.abs(panel.tick - close.center_tick) < close.half_ticks
    )
    largest = max(float(panel.height[seen].max(initial=0.0)), 1.0)
    opacity = _FAINTEST + (1 - _FAINTEST) * np.minimum(panel.height[order] / largest, 1.0)
    faces = [to_rgba(_color(g), a) for g, a in zip(panel.group[order].tolist(), opacity.tolist(), strict=True)]
    edges = np.where(main, "black", np.where(over, _NO_CLUSTER[OVERLAY], "none")).tolist()
    width = min(0.8, 15.0 / close.half_channels)
    axis.add_collection(
        PolyCollection(list(corners), facecolors=faces, edgecolors=edges, linewidths=np.where(main | over, width, 0.0))
    )
    if panel.arrow is not None:
        begin = (panel.arrow.channel, panel.arrow.tick)
        end = (begin[0] + panel.arrow.channels, begin[1] + panel.arrow.ticks)
        look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 12, "color": COLORS["truth"], "linewidth": 1.6}
        axis.add_patch(FancyArrowPatch(begin, end, shrinkA=0, shrinkB=0, clip_on=True, **look))
    axis.set_xlim(center - close.half_channels, center + close.half_channels)
    axis.set_ylim(close.center_tick - close.half_ticks, close.center_tick + close.half_ticks)
    axis.set_title(f"{panel.name}, {close.where}")
    axis.set_xlabel("channel from the center" if close.is_image else _name_channels(axis, panel))


def _name_channels(axis: Any, panel: Panel) -> str:
    """Mark where the channels of the plane end, in the view; what the axis is called."""
    if panel.channels is None:
        return "channel"
    first, stop = panel.channels
    low, high = axis.get_xlim()
    if low >= first - 0.5 and high <= stop - 0.5:
        return "channel of the APA"
    for edge, beyond in ((first - 0.5, (low, first - 0.5)), (stop - 0.5, (stop - 0.5, high))):
        if low < edge < high:
            axis.axvline(edge, color=COLORS["baseline"], linewidth=0.8, linestyle=":")
            if not panel.wraps:
                axis.axvspan(*beyond, color="#f0f0f0", zorder=0)
    if not panel.wraps:
        return f"channel of the APA (this side has {first:.0f} to {stop - 1:.0f})"
    n = stop - first
    below, above = f"add {n:.0f} below {first:.0f}", f"subtract {n:.0f} from {stop:.0f} on"
    named = [text for text, seen in ((below, low < first - 0.5), (above, high > stop - 0.5)) if seen]
    return f"channel, unwrapped ({', '.join(named)})"


def _scale(axis: Any, close: Close) -> None:
    """Ticks as lengths along the drift, on the right."""
    cm, middle = close.cm_per_tick, close.center_tick
    functions = (lambda tick: (tick - middle) * cm, lambda length: length / cm + middle)
    axis.secondary_yaxis("right", functions=functions).set_ylabel("along the drift, from the center [cm]")


def _color(group: int) -> str:
    return _NO_CLUSTER.get(group) or _CLUSTERS[(group - 1) % len(_CLUSTERS)]


def _legend(canvas: Figure, close: Close, panels: list[Panel]) -> None:
    found = set(np.concatenate([panel.group for panel in panels]).tolist())
    marks: list[tuple[str, dict[str, Any]]] = []
    if any(group > 0 for group in found):
        name = "clusters of the image" if close.is_image else "cluster, one color per link"
        marks.append((name, {"color": _CLUSTERS[0], "linewidth": 6}))
    if any(panel.main.any() for panel in panels) and not close.is_image:
        edge = {"marker": "s", "markerfacecolor": "none", "markeredgecolor": "black", "markersize": 8, "linewidth": 0}
        marks.append(("main cluster", edge))
    in_cluster = "" if not any(group > 0 for group in found) else " outside of clusters"
    if SIGNAL in found:
        marks.append((f"TP of the neutrino{in_cluster}", {"color": _NO_CLUSTER[SIGNAL], "linewidth": 6}))
    if any(panel.overlay.any() for panel in panels):
        marks.append(("TP of background laid over", {"color": _NO_CLUSTER[OVERLAY], "linewidth": 6}))
    if NOTHING in found:
        marks.append(("other TP", {"color": _NO_CLUSTER[NOTHING], "linewidth": 6}))
    if any(close.shows_arrow(number) for number in range(3)):
        name = "true electron, direction only" if close.is_image else "true electron"
        marks.append((name, {"color": COLORS["truth"], "linewidth": 1.6}))
    elif any(panel.arrow is not None for panel in panels):
        marks.append(("true electron lies outside of this view", {"linewidth": 0}))
    marks += [(text, {"linewidth": 0}) for text in (close.note, "darker: more charge per tick") if text]
    handles = [Line2D([], [], label=label, **look) for label, look in marks]
    canvas.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))
