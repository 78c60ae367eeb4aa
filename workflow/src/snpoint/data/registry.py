"""The registry: one row per version, worked out from what lies under ``results/`` and never edited.

A figure whose file does not exist yet is None (blank in the CSV).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from snpoint import paths, provenance
from snpoint.data.atomic import write_json, write_text
from snpoint.data.contracts import FORMAT_VERSION
from snpoint.data.summaries import read_strict_json

Row = dict[str, Any]

_INTERVALS = {
    "containment_68": "containment_68_deg",
    "angular_error_mean": "angular_error_mean_deg",
    "angular_error_median": "angular_error_median_deg",
    "axis_error_68": "axis_error_68_deg",
    "flipped": "flipped_fraction",
    "reversed": "reversed_fraction",
}
_BASELINES = {
    "isotropic_68_deg": ("isotropic", "containment_68_deg"),
    "principal_axis_68_deg": ("principal_axis_blip_vote", "containment_68_deg"),
    "principal_axis_axis_error_68_deg": ("principal_axis_blip_vote", "axis_error_68_deg"),
    "principal_axis_no_blip_fraction": ("principal_axis_blip_vote", "no_blip_fraction"),
}
"""Column -> baseline and its figure; a baseline that does not apply is null in ``metrics.json``."""
_TRAINING = ("n_train", "n_val", "n_parameters", "epochs_run", "best_epoch", "samples_per_second", "backend", "device")


def _interval_columns(stem: str, name: str) -> tuple[str, str, str]:
    unit = "_deg" if name.endswith("_deg") else "_fraction"
    return name, f"{stem}_low{unit}", f"{stem}_high{unit}"


COLUMNS = (
    "task",
    "version",
    "state",
    "status",
    "why",
    "lesson",
    "dataset",
    "n_train",
    "n_val",
    "n_test",
    *(column for stem, name in _INTERVALS.items() for column in _interval_columns(stem, name)),
    *_BASELINES,
    *_TRAINING[2:],
    "train_seconds",
    "git_commit",
    "date",
)
"""Columns of registry.csv, in their order, and the keys of each row of registry.json."""


def version_row(task: str, version: str, described: Row) -> Row:
    """The row of one version.

    Parameters
    ----------
    task, version : str
        Whose results are looked up.
    described : dict
        ``status``, ``why``, ``lesson`` and ``dataset``, as its configuration says.

    Raises
    ------
    DataError
        A result file is damaged.
    """
    training = _content(paths.version_file("train", "training.json", task, version))
    metrics = _content(paths.version_file("evaluate", "metrics.json", task, version))
    state = "evaluated" if metrics else "trained" if training else "not yet"
    row: Row = dict.fromkeys(COLUMNS)
    row |= {"task": task, "version": version, "state": state, **described}
    row |= {name: training.get(name) for name in _TRAINING}
    row |= {"train_seconds": training.get("seconds"), **_figures(metrics), **_origin(task, version)}
    return row


def _content(path: str) -> Row:
    return read_strict_json(path) if Path(path).exists() else {}


def _figures(metrics: Row) -> Row:
    row: Row = {"n_test": metrics.get("n")}
    for stem, name in _INTERVALS.items():
        value, low, high = _interval_columns(stem, name)
        interval = metrics.get("ci95", {}).get(name) or (None, None)
        row |= {value: metrics.get(name), low: interval[0], high: interval[1]}
    baselines = metrics.get("baselines", {})
    return row | {column: (baselines.get(name) or {}).get(key) for column, (name, key) in _BASELINES.items()}


def _origin(task: str, version: str) -> Row:
    model = paths.version_file("train", "model.keras", task, version)
    record = provenance.read(paths.provenance(model, "train")) or {}
    return {"git_commit": record.get("code", {}).get("git_commit"), "date": record.get("stopped")}


def write_registry(csv: str | Path, json: str | Path, rows: list[Row]) -> None:
    """Write the rows as a table and as JSON."""
    table = pd.DataFrame(rows, columns=pd.Index(COLUMNS), dtype=object)
    write_text(csv, table.to_csv(index=False))
    write_json(json, {"format_version": FORMAT_VERSION, "versions": rows})
