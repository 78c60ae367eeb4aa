"""First page of the evaluation report: what the figures of merit say, in words and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from snpoint.plots.evaluation import AXIS, CHANCE, FRACTION, NETWORK
from snpoint.plots.pages import text_page

_ROWS = {
    "containment_68_deg": ("68% containment", "{:.1f}°", 1.0),
    "angular_error_median_deg": ("median", "{:.1f}°", 1.0),
    "angular_error_mean_deg": ("mean", "{:.1f}°", 1.0),
    "axis_error_68_deg": ("68% containment of the axis", "{:.1f}°", 1.0),
    "flipped_fraction": ("flipped (> 90°)", "{:.1f}%", 100.0),
    "reversed_fraction": ("reversed (cos < -0.7)", "{:.1f}%", 100.0),
    "mean_cosine": ("mean cosine", "{:.3f}", 1.0),
}

NEVER_SEEN = "of the test split, which the network never saw"

_COSINE = "cos\u00a0θ"  # with spaces that no line is broken at

Figures = Mapping[str, Any]


def first_page(title: str, figures: Figures, axis: Figures | None, chance: Figures, which: str = NEVER_SEEN) -> Figure:
    """The page for the figures of a network, of the principal axis (None where it does not apply) and of chance.

    ``which`` says what kind of events these are.
    """
    low, high = figures["ci95"]["containment_68_deg"]
    paragraphs = [
        f"Of {figures['n']:,} events {which}, 68% are predicted within "
        f"{figures['containment_68_deg']:.1f}° of the true electron direction (95% interval {low:.1f}° to "
        f"{high:.1f}°); half of them within {figures['angular_error_median_deg']:.1f}°. A random direction has "
        f"{chance['containment_68_deg']:.1f}°.",
        f"Head and tail: {100 * figures['flipped_fraction']:.1f}% of the events are more than 90° off. Not counting "
        f"that, the axis itself is found within {figures['axis_error_68_deg']:.1f}° for 68% (a random axis: "
        f"{chance['axis_error_68_deg']:.1f}°). {100 * figures['fractions']['cos_above_0.9']:.0f}% of the predictions "
        f"have {_COSINE}\u00a0>\u00a00.9, {100 * figures['reversed_fraction']:.0f}% are reversed "
        f"({_COSINE}\u00a0<\u00a0-0.7).",
        _about_axis(figures, axis, chance),
        "Mean of predicted minus true component: "
        + ", ".join(f"{name} {value:+.3f}" for name, value in figures["component_bias"].items())
        + ". Intervals are 95% bootstrap intervals over these events; the figures of a random direction are exact.",
    ]
    columns = {NETWORK: figures, AXIS: axis, CHANCE: chance}
    shown = {name: column for name, column in columns.items() if column is not None}
    rows = [
        [label, *(_cell(column, key, form, factor) for column in shown.values())]
        for key, (label, form, factor) in _ROWS.items()
    ]
    return text_page(title, paragraphs, ["", *shown], rows)


def _about_axis(figures: Figures, axis: Figures | None, chance: Figures) -> str:
    if axis is None:
        return (
            "The principal axis of the charge with a vote of the blips is not shown: there are no canonical images to "
            "take it from."
        )
    (low, high), (axis_low, axis_high) = (each["ci95"]["containment_68_deg"] for each in (figures, axis))
    gain = "better than" if high < axis_low else "worse than" if low > axis_high else "not told apart from"
    text = (
        f"The network is {gain} the principal axis of the charge with a vote of the blips ({axis_low:.1f}° to "
        f"{axis_high:.1f}°). That axis is right within {axis['axis_error_68_deg']:.1f}° for 68%, but which end is the "
        f"head is a coin for the {100 * axis['no_blip_fraction']:.0f}% of events without a blip, and a vote of few "
        "blips for the others."
    )
    if axis["flipped_fraction"] > 1.0 - FRACTION:
        text += (
            f" With more than 32% of the heads wrong (here {100 * axis['flipped_fraction']:.0f}%) the 68% point lies "
            f"among the reversed events, which can be worse than the {chance['containment_68_deg']:.1f}° of chance."
        )
    return text


def _cell(figures: Figures, key: str, form: str, factor: float) -> str:
    value = form.format(figures[key] * factor)
    if "ci95" not in figures:
        return value
    low, high = (form.format(bound * factor) for bound in figures["ci95"][key])
    return f"{value}  ({low} to {high})"
