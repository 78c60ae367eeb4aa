"""Pages of text and tables for the reports, with margins on all sides, and pages of plots of the same size."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from snpoint.plots.canvas import figure, style

_WIDTH_IN, _HEIGHT_IN, _MARGIN_IN = 9.8, 6.6, 0.75
_FONT_SIZE = 10.5
_CHARACTERS = 110
"""Width of a line of text: what fits between the margins with some room for broad letters."""
_LINE_IN, _GAP_IN, _TITLE_IN, _ROW_IN = 0.22, 0.09, 0.6, 0.31


@style()
def text_page(
    title: str, paragraphs: Sequence[str], header: Sequence[str] = (), rows: Sequence[Sequence[str]] = ()
) -> Figure:
    """One page: a title, paragraphs, and below them a table whose first column holds the names of its rows."""
    canvas, axes = figure(_WIDTH_IN, _HEIGHT_IN)
    canvas.set_layout_engine("none")
    axes.set_axis_off()
    left, top = _MARGIN_IN / _WIDTH_IN, 1.0 - _MARGIN_IN / _HEIGHT_IN
    canvas.text(left, top, title, ha="left", va="top", fontsize=16, fontweight="bold")
    below_in = _HEIGHT_IN - _MARGIN_IN - _TITLE_IN
    for paragraph in paragraphs:
        lines = textwrap.wrap(paragraph, _CHARACTERS, break_on_hyphens=False)
        for line in lines:
            canvas.text(left, below_in / _HEIGHT_IN, line, ha="left", va="top", fontsize=_FONT_SIZE)
            below_in -= _LINE_IN
        below_in -= _GAP_IN
    if rows:
        height_in = min(_ROW_IN * (len(rows) + 1), below_in - _MARGIN_IN)
        bottom_in = below_in - 0.1 - height_in
        axes.set_position((left, bottom_in / _HEIGHT_IN, 1.0 - 2.0 * left, height_in / _HEIGHT_IN))
        _table(axes, header, rows)
    return canvas


@style()
def plot_page(title: str, caption: str, **subplots: Any) -> tuple[Figure, Any]:
    """One page of plots, as large as a page of text: a title, what is to be seen in a few lines, and axes below."""
    canvas, axes = figure(_WIDTH_IN, _HEIGHT_IN, **subplots)
    edge_in = 0.15
    canvas.text(edge_in / _WIDTH_IN, 1.0 - edge_in / _HEIGHT_IN, title, va="top", fontsize=14, fontweight="bold")
    below_in = _HEIGHT_IN - edge_in - 0.34
    for line in textwrap.wrap(caption, 128, break_on_hyphens=False):
        canvas.text(edge_in / _WIDTH_IN, below_in / _HEIGHT_IN, line, va="top", fontsize=9.5)
        below_in -= 0.19
    # the lower corner stays where it is: legends of the whole page are put below the axes
    canvas.get_layout_engine().set(rect=(0.0, 0.0, 1.0, (below_in - 0.05) / _HEIGHT_IN), w_pad=0.12, h_pad=0.1)
    return canvas, axes


def _table(axes: object, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    cells = axes.table(  # type: ignore[attr-defined]
        cellText=rows, colLabels=header, cellLoc="center", bbox=(0.0, 0.0, 1.0, 1.0), edges="horizontal"
    )
    cells.auto_set_font_size(False)
    cells.set_fontsize(9.5)
    for (row, column), cell in cells.get_celld().items():
        cell.set_edgecolor("#c9c9c9")
        cell.PAD = 0.0 if column == 0 else 0.1
        cell.set_text_props(ha="left" if column == 0 else "center", fontweight="bold" if row == 0 else "normal")
