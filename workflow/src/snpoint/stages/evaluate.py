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
from snpoint.data.shards import Events, load_dataset
from snpoint.errors import DataError, InputMissingError
from snpoint.models.network import Network, load_network
from snpoint.models.tables import predictions_table
from snpoint.physics import baselines
from snpoint.physics.angles import angle_deg, cosine
from snpoint.physics.metrics import by_energy, direction_metrics
from snpoint.plots import evaluation as plots
from snpoint.plots.canvas import write_figure, write_pdf
from snpoint.plots.headlines import first_page
from snpoint.plots.training import loss_curves
from snpoint.settings import SPLITS, EvaluateSettings

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
    history: Path,
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
    guess = _axis_guess(settings, events.take(chosen))
    figures = _metrics(settings, test, guess)
    title = f"{metrics.absolute().parents[2].name} / {metrics.absolute().parents[1].name}"
    pages = _pages(network, test, guess, figures, _history(history))
    first = first_page(title, figures, figures["baselines"][AXIS_BASELINE], figures["baselines"][CHANCE])
    write_npz(predictions, table)
    for name, (canvas, numbers) in pages.items():
        write_figure(canvas, metrics.parent / "plots" / f"{name}.png", numbers)
    write_pdf([first, *(canvas for canvas, _ in pages.values())], report)
    write_json(metrics, figures)


def _axis_guess(settings: EvaluateSettings, test: Events) -> baselines.Guess | None:
    """Directions of the test events without any network; None where the images are not in the canonical frame."""
    if test.orientation != baselines.ORIENTATION:
        _log.info("no principal axis: it needs canonical images, these are '%s'", test.orientation)
        return None
    return baselines.principal_axis_blip_vote(vars(test), test.detector, settings.seed)


def _metrics(settings: EvaluateSettings, test: Arrays, guess: baselines.Guess | None) -> dict[str, Any]:
    truth, samples, seed = test["direction_true"], settings.bootstrap_samples, settings.seed

    def measured(name: str, directions: NDArray[Any]) -> dict[str, Any]:
        figures = direction_metrics(truth, directions, samples, seed)
        low, high = figures["ci95"]["containment_68_deg"]
        _log.info(
            "%s: 68%% of %d test events within %.1f deg (%.1f to %.1f), %.0f%% more than 90 deg off",
            *(name, figures["n"], figures["containment_68_deg"], low, high, 100 * figures["flipped_fraction"]),
        )
        bins = by_energy(truth, directions, test["energy_true_mev"], settings.energy_edges_mev, samples, seed)
        return figures | {"by_energy": bins}

    result = {"format_version": FORMAT_VERSION, "split": "test", **measured("network", test["direction_pred"])}
    axis = None
    if guess is not None:
        axis = measured(AXIS_BASELINE, guess.direction) | {"no_blip_fraction": float(1.0 - guess.has_blips.mean())}
    chance = baselines.ISOTROPIC_EXPECTATION
    _log.info("%s: 68%% within %.1f deg (exact)", CHANCE, chance["containment_68_deg"])
    return result | {"baselines": {CHANCE: chance, AXIS_BASELINE: axis}}


def _pages(
    network: Network, test: Arrays, guess: baselines.Guess | None, figures: dict[str, Any], history: pd.DataFrame
) -> Pages:
    """Figures by file name, with the numbers they show."""
    truth, predicted = test["direction_true"], test["direction_pred"]
    errors = angle_deg(truth, predicted)
    low, high = figures["ci95"]["containment_68_deg"]
    containment = plots.Interval(figures["containment_68_deg"], low, high)
    axis = None if guess is None else guess.direction
    axis_figures = figures["baselines"][AXIS_BASELINE]
    pages: Pages = {
        "angular_error": plots.angular_error(errors, None if axis is None else angle_deg(truth, axis), containment),
        "cosine": plots.cosine(
            cosine(truth, predicted), None if axis is None else cosine(truth, axis), figures["fractions"]
        ),
        "energy": plots.energy(figures["by_energy"], axis_figures and axis_figures["by_energy"]),
        "components": plots.components(truth, predicted, figures["component_bias"]),
    }
    if np.isfinite(test["kappa"]).all():
        pages["confidence"] = plots.confidence(errors, test["kappa"], test["head_probability"])
    pages["loss"] = (loss_curves(history, network.loss), history)
    return pages


def _history(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except FileNotFoundError as error:
        raise InputMissingError(f"{path} does not exist; run `train` again") from error
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path}: not a readable history ({error}); run `train` again") from error
