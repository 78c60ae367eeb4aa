"""``evaluate``: a trained network on val, calib and test -> predictions; metrics, plots and report of test alone."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from snpoint.data.atomic import write_json, write_npz
from snpoint.data.contracts import FORMAT_VERSION
from snpoint.data.shards import SPLITS, Events, load_dataset
from snpoint.errors import DataError, InputMissingError
from snpoint.models.network import Network, load_network
from snpoint.models.tables import predictions_table
from snpoint.physics import baselines
from snpoint.physics.angles import angle_deg, cosine
from snpoint.physics.metrics import by_energy, direction_metrics
from snpoint.plots import evaluation as plots
from snpoint.plots.canvas import write_figure, write_pdf
from snpoint.plots.training import loss_curves
from snpoint.settings import EvaluateSettings

_log = logging.getLogger(__name__)

TEST = SPLITS.index("test")
AXIS_BASELINE, CHANCE = "principal_axis_blip_vote", "isotropic"

Arrays = dict[str, NDArray[Any]]
Pages = dict[str, tuple[Figure, pd.DataFrame | None]]


def run(
    settings: EvaluateSettings,
    *,
    dataset: Path,
    model: Path,
    training: Path,
    predictions: Path,
    metrics: Path,
    report: Path,
) -> None:
    """Predict, measure, draw. Plots go to ``plots/`` beside the metrics, each with its numbers as CSV.

    Raises
    ------
    DataError
        There is no test event with a true direction, or files do not belong together.
    NumericError
        The network gave NaN.
    """
    network = load_network(model, training)
    events = load_dataset(dataset, ("val", "calib", "test"))
    table = predictions_table(network, events, settings.batch_size, predictions)
    chosen = np.flatnonzero((table["split"] == TEST) & np.isfinite(table["direction_true"]).all(axis=1))
    if len(chosen) == 0:
        raise DataError(
            f"{dataset}: no image of split 'test' has a true direction; raise dataset.split.test or add events"
        )
    test = {key: values[chosen] for key, values in table.items() if values.ndim}
    guesses = _baselines(settings, events.take(chosen))
    figures = _metrics(settings, test, guesses)
    title = f"{metrics.absolute().parents[2].name} / {metrics.absolute().parents[1].name}"
    pages = _pages(network, test, guesses, figures, model)
    write_npz(predictions, table)
    for name, (canvas, numbers) in pages.items():
        write_figure(canvas, metrics.parent / "plots" / f"{name}.png", numbers)
    write_pdf([_summary(title, figures), *(canvas for canvas, _ in pages.values())], report)
    write_json(metrics, figures)


def _baselines(settings: EvaluateSettings, test: Events) -> Arrays:
    """Directions of the test events without any network."""
    axis, _ = baselines.principal_axis_blip_vote(vars(test), settings.seed)
    return {CHANCE: baselines.isotropic(test.direction, settings.seed), AXIS_BASELINE: axis}


def _metrics(settings: EvaluateSettings, test: Arrays, guesses: Arrays) -> dict[str, Any]:
    truth, samples, seed = test["direction_true"], settings.bootstrap_samples, settings.seed

    def bins(directions: NDArray[Any]) -> list[dict[str, Any]]:
        return by_energy(truth, directions, test["energy_true_mev"], settings.energy_edges_mev, samples, seed)

    result = {"format_version": FORMAT_VERSION, "split": "test"}
    result |= direction_metrics(truth, test["direction_pred"], samples, seed)
    result["by_energy"] = bins(test["direction_pred"])
    result["baselines"] = {name: direction_metrics(truth, guess, samples, seed) for name, guess in guesses.items()}
    result["baselines"][CHANCE]["expectation"] = baselines.ISOTROPIC_EXPECTATION
    result["baselines"][AXIS_BASELINE]["by_energy"] = bins(guesses[AXIS_BASELINE])
    for name, figures in (("network", result), *result["baselines"].items()):
        low, high = figures["ci95"]["containment_68_deg"]
        _log.info(
            "%s: 68%% of %d test events within %.1f deg (%.1f to %.1f), %.0f%% more than 90 deg off",
            *(name, figures["n"], figures["containment_68_deg"], low, high, 100 * figures["flipped_fraction"]),
        )
    return result


def _pages(network: Network, test: Arrays, guesses: Arrays, figures: dict[str, Any], model: Path) -> Pages:
    """Figures by file name, with the numbers they show."""
    truth, predicted, axis = test["direction_true"], test["direction_pred"], guesses[AXIS_BASELINE]
    errors = angle_deg(truth, predicted)
    low, high = figures["ci95"]["containment_68_deg"]
    containment = plots.Interval(figures["containment_68_deg"], low, high)
    pages: Pages = {
        "angular_error": plots.angular_error(errors, angle_deg(truth, axis), containment),
        "cosine": plots.cosine(cosine(truth, predicted), cosine(truth, axis), figures["fractions"]),
        "energy": plots.energy(figures["by_energy"], figures["baselines"][AXIS_BASELINE]["by_energy"]),
        "components": plots.components(truth, predicted, figures["component_bias"]),
    }
    if np.isfinite(test["kappa"]).all():
        pages["confidence"] = plots.confidence(errors, test["kappa"], test["head_probability"])
    history = _history(model)
    pages["loss"] = (loss_curves(history, network.loss), history)
    return pages


def _history(model: Path) -> pd.DataFrame:
    path = model.with_name("history.csv")
    try:
        return pd.read_csv(path)
    except FileNotFoundError as error:
        raise InputMissingError(f"{path} does not exist beside the model; run `train` again") from error
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path}: not a readable history ({error}); run `train` again") from error


_ROWS = {
    "containment_68_deg": ("68% containment", "{:.1f}°", 1.0),
    "angular_error_median_deg": ("median", "{:.1f}°", 1.0),
    "angular_error_mean_deg": ("mean", "{:.1f}°", 1.0),
    "axis_error_68_deg": ("68% containment of the axis", "{:.1f}°", 1.0),
    "flipped_fraction": ("flipped (> 90°)", "{:.1f}%", 100.0),
    "reversed_fraction": ("reversed (cos < -0.7)", "{:.1f}%", 100.0),
    "mean_cosine": ("mean cosine", "{:.3f}", 1.0),
}


def _summary(title: str, figures: dict[str, Any]) -> Figure:
    """The first page: what the numbers say, in words and as a table."""
    chance, axis = figures["baselines"][CHANCE], figures["baselines"][AXIS_BASELINE]
    low, high = figures["ci95"]["containment_68_deg"]
    axis_low, axis_high = axis["ci95"]["containment_68_deg"]
    gain = "better than" if high < axis_low else "worse than" if low > axis_high else "not told apart from"
    sentences = [
        f"Of {figures['n']:,} test events, which the network never saw, 68% are predicted within "
        f"{figures['containment_68_deg']:.1f}° of the true electron",
        f"direction (95% interval {low:.1f}° to {high:.1f}°); half of them within "
        f"{figures['angular_error_median_deg']:.1f}°.",
        f"This is {gain} the principal axis of the charge with a vote of the blips "
        f"({axis['containment_68_deg']:.1f}°, {axis_low:.1f}° to {axis_high:.1f}°); chance is 111.1°.",
        f"Head and tail: {100 * figures['flipped_fraction']:.1f}% of the events are more than 90° off. Not counting "
        f"that, the axis itself is found within {figures['axis_error_68_deg']:.1f}°",
        f"for 68% (a random axis: 71.3°). {100 * figures['fractions']['cos_above_0.9']:.0f}% of the predictions have "
        f"cos θ > 0.9, {100 * figures['reversed_fraction']:.0f}% are reversed (cos θ < -0.7).",
        "Mean of predicted minus true component: "
        + ", ".join(f"{name} {value:+.3f}" for name, value in figures["component_bias"].items())
        + ". Intervals are bootstrap intervals over test events.",
    ]
    columns = (figures, axis, chance)
    rows = [
        [label, *(_cell(column, key, form, factor) for column in columns)]
        for key, (label, form, factor) in _ROWS.items()
    ]
    return plots.summary(title, sentences, ["", plots.NETWORK, plots.AXIS, plots.CHANCE], rows)


def _cell(figures: dict[str, Any], key: str, form: str, factor: float) -> str:
    low, high = figures["ci95"][key]
    return f"{form.format(figures[key] * factor)}  ({form.format(low * factor)} to {form.format(high * factor)})"
