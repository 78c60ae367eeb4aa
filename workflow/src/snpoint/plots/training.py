"""Figures of a training: how loss and resolution went, epoch by epoch."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snpoint.plots.canvas import COLORS, figure, style


@style()
def loss_curves(history: pd.DataFrame, loss: str) -> Figure:
    """Loss of training and validation, and the watched 68% containment; the epoch that was kept is marked.

    Parameters
    ----------
    history : DataFrame
        As in ``history.csv``: epoch, loss, val_loss, val_containment_68_deg, learning_rate, seconds.
    loss : str
        Name of the loss.
    """
    canvas, (left, right) = figure(9.6, 3.9, ncols=2)
    best = history.loc[history["val_loss"].idxmin()]
    marker = "o" if len(history) < 40 else None
    left.plot(history["epoch"], history["loss"], color=COLORS["baseline"], marker=marker, ms=3.5, label="training")
    left.plot(history["epoch"], history["val_loss"], color=COLORS["main"], marker=marker, ms=3.5, label="validation")
    left.set(xlabel="epoch", ylabel=f"loss ({loss})", title="Loss")
    right.plot(history["epoch"], history["val_containment_68_deg"], color=COLORS["main"], marker=marker, ms=3.5)
    right.set(xlabel="epoch", ylabel="68% containment on validation [deg]", title="Resolution")
    right.set_ylim(bottom=0)
    for axes, column in ((left, "val_loss"), (right, "val_containment_68_deg")):
        axes.axvline(best["epoch"], color=COLORS["second"], lw=1.0, ls="--")
        axes.plot(
            best["epoch"], best[column], "o", ms=7, color=COLORS["second"], label=f"kept: epoch {best['epoch']:g}"
        )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _mark_learning_rate(axes, history)
    left.legend()
    right.legend()
    return canvas


def _mark_learning_rate(axes: object, history: pd.DataFrame) -> None:
    """A dotted line before each epoch that starts with a lower learning rate."""
    lowered = history["epoch"][history["learning_rate"].diff() < 0]
    for epoch in lowered:
        axes.axvline(epoch - 0.5, color=COLORS["baseline"], lw=0.8, ls=":")  # type: ignore[attr-defined]
