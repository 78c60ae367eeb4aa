"""The project's look, and how figures become files. Arrays in, figures out; no global state of pyplot."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from snpoint.data.atomic import replacing, write_text

COLORS = {
    "main": "#0b5394",
    "second": "#cc5500",
    "third": "#3a7d44",
    "baseline": "#7f7f7f",
    "truth": "#b3001b",
    "band": "#9fc5e8",
}
_STYLE = Path(__file__).with_name("snpoint.mplstyle")


def style() -> AbstractContextManager[None]:
    """The project's style, for a block or as decorator (``@style()``): titles and legends need it when made."""
    return mpl.rc_context(mpl.rc_params_from_file(_STYLE, use_default_template=False))


def figure(width_in: float = 6.4, height_in: float = 4.2, **subplots: Any) -> tuple[Figure, Any]:
    """A figure in the project's style, and its axes (as ``Figure.subplots`` returns them)."""
    with style():
        canvas = Figure(figsize=(width_in, height_in), layout="constrained")
        FigureCanvasAgg(canvas)
        axes = canvas.subplots(**subplots)
    return canvas, axes


def write_figure(canvas: Figure, path: str | Path, table: pd.DataFrame | None = None) -> None:
    """Write a figure, and the numbers it shows as CSV beside it."""
    with replacing(path) as temporary:
        canvas.savefig(temporary)
    if table is not None:
        write_text(Path(path).with_suffix(".csv"), table.to_csv(index=False))


def write_pdf(figures: Iterable[Figure], path: str | Path) -> None:
    """Write figures as the pages of one PDF."""
    with replacing(path) as temporary, PdfPages(temporary) as pages:
        for page in figures:
            pages.savefig(page)
