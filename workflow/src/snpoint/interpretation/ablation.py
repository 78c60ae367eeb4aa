"""Plane ablation: how much worse a network points when the image of one plane is empty.

A blank plane is an input the network was not trained on (a linked event has all three), so the loss is what the
network makes of the plane, not the least that the other two planes would allow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snpoint.physics.angles import angle_deg
from snpoint.physics.statistics import bootstrap_interval, containment, paired_bootstrap_difference

_log = logging.getLogger(__name__)

Draw = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Images of given rows: (n,) -> (n, planes, ticks, channels)."""
Predict = Callable[[Draw], NDArray[np.float32]]
"""Directions (N, 3) of all events whose images the argument draws."""

PLANES = ("A", "B", "X")
ABLATIONS = ("none", *PLANES)
_FEWEST_FOR_TERCILES = 30


def without_plane(draw: Draw, plane: str) -> Draw:
    """The same images with one plane set to zero; ``none`` changes nothing."""
    if plane == "none":
        return draw
    index = PLANES.index(plane)

    def blank(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        images = np.array(draw(rows), np.float32)
        images[:, index] = 0.0
        return images

    return blank


def ablate(draw: Draw, predict: Predict, directions: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Angular errors (deg), shape (ablations, N), of all events with no plane and with one plane blank.

    Parameters
    ----------
    draw : callable
        Makes the images.
    predict : callable
        Applies the network to all images that a drawing function makes.
    directions : ndarray, shape (N, 3)
        True directions.
    """
    errors = np.empty((len(ABLATIONS), len(directions)), np.float32)
    for row, plane in enumerate(ABLATIONS):
        errors[row] = angle_deg(predict(without_plane(draw, plane)), directions)
        _log.info("blank plane %s: 68%% containment %.1f deg", plane, containment(errors[row]))
    return errors


def summarize(
    errors_deg: NDArray[np.float32], energies_mev: NDArray[np.floating[Any]], samples: int, seed: int
) -> dict[str, Any]:
    """Figures of an ablation: all events, terciles of the true energy, and sentences that say what they mean.

    Parameters
    ----------
    errors_deg : ndarray, shape (ablations, N)
        In the order of `ABLATIONS`.
    energies_mev : ndarray, shape (N,)
        True kinetic energies.
    samples, seed : int
        Number of bootstrap samples and seed of their drawing.

    Returns
    -------
    dict
        n, ablations {name: {containment_68_deg, ci95, difference_deg, difference_ci95}}, by_energy (list of
        {low_mev, high_mev, n, ablations}), sentences. Differences are ablated - none, of the paired bootstrap.
    """
    result: dict[str, Any] = {
        "n": int(errors_deg.shape[1]),
        "ablations": _figures(errors_deg, samples, seed),
        "by_energy": _terciles(errors_deg, np.asarray(energies_mev, np.float64), samples, seed),
    }
    return {**result, "sentences": sentences(result)}


def _figures(errors_deg: NDArray[np.float32], samples: int, seed: int) -> dict[str, Any]:
    whole, figures = errors_deg[0], {}
    for name, errors in zip(ABLATIONS, errors_deg, strict=True):
        difference, low, high = paired_bootstrap_difference(errors, whole, containment, samples, seed)
        figures[name] = {
            "containment_68_deg": containment(errors),
            "ci95": list(bootstrap_interval(errors, containment, samples, seed)),
            "difference_deg": difference,
            "difference_ci95": [low, high],
        }
    return figures


def _terciles(
    errors_deg: NDArray[np.float32], energies_mev: NDArray[np.float64], samples: int, seed: int
) -> list[dict[str, Any]]:
    known = np.isfinite(energies_mev)
    if known.sum() < _FEWEST_FOR_TERCILES:
        return []
    edges = np.quantile(energies_mev[known], [0.0, 1 / 3, 2 / 3, 1.0])
    bins = []
    for index, (low, high) in enumerate(pairwise(edges)):
        inside = known & (energies_mev >= low) & ((energies_mev < high) | (index == 2))
        if inside.any():
            figures = _figures(errors_deg[:, inside], samples, seed)
            bins.append({"low_mev": float(low), "high_mev": float(high), "n": int(inside.sum()), "ablations": figures})
    return bins


def sentences(summary: dict[str, Any]) -> list[str]:
    """What the figures say, in words; a difference counts where its 95% interval leaves out zero."""
    figures = summary["ablations"]
    whole = figures["none"]
    low, high = whole["ci95"]
    lines = [
        f"With all planes the 68% containment is {whole['containment_68_deg']:.1f} deg "
        f"(95% interval {low:.1f} to {high:.1f}, {summary['n']:,} test events)."
    ]
    lines += [_effect(plane, figures[plane]) for plane in PLANES]
    lines.append(_ranking(figures))
    if summary["by_energy"]:
        lines.append(_energy_dependence(summary))
    return lines


def _effect(plane: str, figure: dict[str, Any]) -> str:
    low, high = figure["difference_ci95"]
    interval = f"95% interval {low:+.1f} to {high:+.1f}"
    if low <= 0.0 <= high:
        return f"Without plane {plane} it does not change measurably ({figure['difference_deg']:+.1f} deg, {interval})."
    verb = "grows" if low > 0.0 else "shrinks"
    return (
        f"Without plane {plane} it {verb} by {abs(figure['difference_deg']):.1f} deg to "
        f"{figure['containment_68_deg']:.1f} deg ({interval})."
    )


def _ranking(figures: dict[str, Any]) -> str:
    order = sorted(PLANES, key=lambda plane: -figures[plane]["difference_deg"])
    first, second = figures[order[0]], figures[order[1]]
    if first["difference_ci95"][0] <= 0.0:
        return "No plane is needed measurably: the network has learned little, or the events are few."
    if first["difference_ci95"][0] > second["difference_ci95"][1]:
        return f"The network leans most on plane {order[0]}."
    return f"Planes {order[0]} and {order[1]} matter most; their intervals overlap."


def _energy_dependence(summary: dict[str, Any]) -> str:
    most = max(PLANES, key=lambda plane: summary["ablations"][plane]["difference_deg"])
    parts = [
        f"{part['ablations'][most]['difference_deg']:+.1f} deg at {part['low_mev']:.0f}-{part['high_mev']:.0f} MeV"
        for part in summary["by_energy"]
    ]
    return f"Plane {most} by energy: {', '.join(parts)}."
