"""``interpret``: what a network uses, by blanking one plane of the test images at a time."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snpoint.data import contracts
from snpoint.data.atomic import write_json, write_npz
from snpoint.data.shards import Events, load_dataset
from snpoint.errors import DataError
from snpoint.interpretation.ablation import ABLATIONS, ablate, summarize
from snpoint.models.network import load_network
from snpoint.models.prediction import predict
from snpoint.plots import interpretation as plots
from snpoint.plots.canvas import write_figure, write_pdf
from snpoint.plots.pages import text_page
from snpoint.settings import InterpretSettings

_log = logging.getLogger(__name__)


def run(
    settings: InterpretSettings,
    *,
    dataset: Path,
    model: Path,
    training: Path,
    attributions: Path,
    interpretation: Path,
    report: Path,
) -> None:
    """Ablate the planes of at most ``max_events`` test events and write errors, figures and sentences.

    Raises
    ------
    DataError
        The `test` split holds no event with a true direction, or files do not belong together.
    NumericError
        The network gave NaN.
    """
    network = load_network(model, training)
    events = _test_events(settings, dataset)
    errors = ablate(
        network.draw(events),
        lambda draw: predict(network.model, draw, len(events), settings.batch_size).direction,
        events.direction,
    )
    content = {
        "format_version": np.array(contracts.FORMAT_VERSION, np.uint16),
        "event_uid": events.event_uid,
        "ablations": np.array(ABLATIONS),
        "angular_error_deg": errors,
        "energy_true_mev": events.energy_true_mev,
    }
    contracts.validate(content, contracts.ATTRIBUTIONS, attributions)
    summary = summarize(errors, events.energy_true_mev, settings.bootstrap_samples, settings.seed)
    _write_figures(summary, errors, attributions.parent / "plots", report)
    write_json(interpretation, {"format_version": contracts.FORMAT_VERSION, **summary})
    write_npz(attributions, content)
    for sentence in summary["sentences"]:
        _log.info("%s", sentence)


def _test_events(settings: InterpretSettings, dataset: Path) -> Events:
    events = load_dataset(dataset, ("test",))
    rows = np.flatnonzero(np.isfinite(events.direction).all(axis=1))
    if rows.size == 0:
        raise DataError(
            f"{dataset}: split 'test' holds no event with a true direction; raise dataset.split.test or the number of "
            "events"
        )
    if rows.size > settings.max_events:
        rng = np.random.default_rng(settings.seed)
        rows = np.sort(rng.choice(rows, settings.max_events, replace=False))
    return events.take(rows)


def _write_figures(summary: dict[str, Any], errors_deg: NDArray[np.float32], folder: Path, report: Path) -> None:
    bars = plots.containments(summary, "What each plane is worth to the network")
    curves = plots.distributions(errors_deg, "Angular error with one plane blank")
    write_figure(bars, folder / "plane_ablation.png", plots.containments_table(summary))
    write_figure(curves, folder / "plane_ablation_errors.png", plots.distributions_table(errors_deg))
    title = f"Plane ablation of {report.parent.parent.name}"
    write_pdf([text_page(title, summary["sentences"]), bars, curves], report)
