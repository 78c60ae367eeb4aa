"""``evaluate``: a trained network on val, calib and test -> predictions; metrics, plots and report of test alone."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from snpoint.data.atomic import write_json, write_npz
from snpoint.data.contracts import FORMAT_VERSION, PREDICTIONS, validate
from snpoint.data.legacy_npz import read_legacy_npz
from snpoint.data.shards import Events, load_dataset
from snpoint.errors import DataError, InputMissingError, UsageError
from snpoint.models.network import load_network
from snpoint.models.tables import predictions_table
from snpoint.physics import baselines
from snpoint.physics.angles import angle_deg, cosine
from snpoint.physics.legacy_predictions import predictions_of
from snpoint.physics.metrics import by_energy, direction_metrics
from snpoint.plots import evaluation as plots
from snpoint.plots.canvas import write_figure, write_pdf
from snpoint.plots.headlines import NEVER_SEEN, first_page
from snpoint.plots.training import loss_curves
from snpoint.provenance import fingerprint
from snpoint.settings import SPLITS, EvaluateSettings

_log = logging.getLogger(__name__)

TEST = SPLITS.index("test")
OLD_VAL = "of the predecessor's validation split (which also steered its training, so that the figures are too good)"
OLD_EVENTS = "validation events of the predecessor"
_ROUNDING_DEG = 1.0
"""arccos of a float32 cosine may be this much off where directions agree."""
AXIS_BASELINE, CHANCE = "principal_axis_blip_vote", "isotropic"

Arrays = dict[str, NDArray[Any]]
Pages = dict[str, tuple[Figure, pd.DataFrame | None]]


@dataclass(frozen=True)
class _Evaluated:
    """What is measured and drawn: predictions, the test events of them, and what came with them."""

    table: Arrays
    test: Arrays
    guess: baselines.Guess | None
    events: str = "test events"
    imported: dict[str, Any] | None = None
    loss: str = ""
    history: pd.DataFrame | None = None


def run(
    settings: EvaluateSettings,
    *,
    predictions: Path,
    metrics: Path,
    report: Path,
    dataset: Path | None = None,
    model: Path | None = None,
    training: Path | None = None,
    history: Path | None = None,
    imported: Path | None = None,
) -> None:
    """Predict, measure, draw. Plots go to ``plots/`` beside the metrics, each with its numbers as CSV.

    A network comes as ``dataset``, ``model``, ``training`` and ``history``; the predecessor's ``val_predictions.npz``
    comes as ``imported``, instead of these.

    Raises
    ------
    UsageError
        Neither a network nor imported predictions are given, or both.
    DataError
        There is no test event with a true direction, or files do not belong together.
    UntrustedInputError
        The imported file would execute something.
    NumericError
        The network gave NaN.
    """
    of_network = (dataset, model, training, history)
    if imported is not None and not any(of_network):
        evaluated = _imported(imported, predictions)
    elif imported is None and dataset and model and training and history:
        evaluated = _of_network(settings, dataset, model, training, history, predictions)
    else:
        raise UsageError("evaluate: give --dataset, --model, --training and --history, or --imported alone")
    figures = _metrics(settings, evaluated) | {"imported": evaluated.imported}
    title = f"{metrics.absolute().parents[2].name} / {metrics.absolute().parents[1].name}"
    if imported is not None:  # the folder tells networks apart whose predictions have the same name
        title = f"{imported.absolute().parent.name}/{imported.name} (imported)"
    pages = _pages(evaluated, figures)
    seen = NEVER_SEEN if evaluated.imported is None else OLD_VAL
    first = first_page(title, figures, figures["baselines"][AXIS_BASELINE], figures["baselines"][CHANCE], seen)
    write_npz(predictions, evaluated.table)
    for name, (canvas, numbers) in pages.items():
        write_figure(canvas, metrics.parent / "plots" / f"{name}.png", numbers)
    write_pdf([first, *(canvas for canvas, _ in pages.values())], report)
    write_json(metrics, figures)


def _of_network(
    settings: EvaluateSettings, dataset: Path, model: Path, training: Path, history: Path, predictions: Path
) -> _Evaluated:
    network = load_network(model, training)
    events = load_dataset(dataset, ("val", "calib", "test"))
    table = predictions_table(network, events, settings.batch_size, predictions)
    chosen = np.flatnonzero((table["split"] == TEST) & np.isfinite(table["direction_true"]).all(axis=1))
    if len(chosen) == 0:
        raise DataError(
            f"{dataset}: no image of split 'test' has a true direction; raise dataset.split.test or add events"
        )
    guess = _axis_guess(settings, events.take(chosen))
    return _Evaluated(table, _taken(table, chosen), guess, loss=network.loss, history=_history(history))


def _imported(path: Path, predictions: Path) -> _Evaluated:
    """Predictions of a network of the predecessor; all of its validation events count as test."""
    arrays = read_legacy_npz(path)
    try:
        columns, described = predictions_of(arrays, TEST)
    except ValueError as error:
        raise DataError(f"{path}: {error}; is this a val_predictions.npz of a direction network?") from error
    table = {"format_version": np.array(FORMAT_VERSION, np.uint16), **columns}
    validate(table, PREDICTIONS, predictions)
    chosen = np.flatnonzero(np.isfinite(table["direction_true"]).all(axis=1))
    if len(chosen) == 0:
        raise DataError(f"{path}: none of {described['n']} events has a true direction; export the labels again")
    _warn(path, described)
    record = {"file": path.name, "sha256": fingerprint(path)["sha256"], "keys": sorted(arrays), **described}
    record |= {"note": f"events {OLD_VAL}"}
    return _Evaluated(table, _taken(table, chosen), None, events=OLD_EVENTS, imported=record)


def _warn(path: Path, described: dict[str, Any]) -> None:
    """Say what is wrong with old predictions; all of it is in the metrics, too."""
    for problem, count in (
        ("have no true direction", described["without_truth"]),
        ("have a label that is not the direction of their momentum", described["labels_off_momentum"]),
    ):
        if count:
            _log.warning("%s: %d of %d events %s", path, count, described["n"], problem)
    if (described["largest_change_deg"] or 0.0) > _ROUNDING_DEG:
        _log.warning("%s: its angular errors are up to %.1f deg off", path, described["largest_change_deg"])


def _taken(table: Arrays, rows: NDArray[Any]) -> Arrays:
    return {key: values[rows] for key, values in table.items() if values.ndim}


def _axis_guess(settings: EvaluateSettings, test: Events) -> baselines.Guess | None:
    """Directions of the test events without any network; None where the images are not in the canonical frame."""
    if test.orientation != baselines.ORIENTATION:
        _log.info("no principal axis: it needs canonical images, these are '%s'", test.orientation)
        return None
    return baselines.principal_axis_blip_vote(vars(test), test.detector, settings.seed)


def _metrics(settings: EvaluateSettings, evaluated: _Evaluated) -> dict[str, Any]:
    test, guess = evaluated.test, evaluated.guess
    truth, samples, seed = test["direction_true"], settings.bootstrap_samples, settings.seed

    def measured(name: str, directions: NDArray[Any]) -> dict[str, Any]:
        figures = direction_metrics(truth, directions, samples, seed)
        low, high = figures["ci95"]["containment_68_deg"]
        _log.info(
            "%s: 68%% of %d %s within %.1f deg (%.1f to %.1f), %.0f%% more than 90 deg off",
            *(
                name,
                figures["n"],
                evaluated.events,
                figures["containment_68_deg"],
                low,
                high,
                100 * figures["flipped_fraction"],
            ),
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


def _pages(evaluated: _Evaluated, figures: dict[str, Any]) -> Pages:
    """Figures by file name, with the numbers they show."""
    test, guess = evaluated.test, evaluated.guess
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
    }
    if any(entry["n"] for entry in figures["by_energy"]):
        pages["energy"] = plots.energy(figures["by_energy"], axis_figures and axis_figures["by_energy"])
    pages["components"] = plots.components(truth, predicted, figures["component_bias"])
    if np.isfinite(test["kappa"]).all():
        pages["confidence"] = plots.confidence(errors, test["kappa"], test["head_probability"])
    if evaluated.history is not None:
        pages["loss"] = (loss_curves(evaluated.history, evaluated.loss), evaluated.history)
    return pages


def _history(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except FileNotFoundError as error:
        raise InputMissingError(f"{path} does not exist; run `train` again") from error
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path}: not a readable history ({error}); run `train` again") from error
