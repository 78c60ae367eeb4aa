"""Predictions of the predecessor's direction networks as a table of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.angles import angle_deg
from snpoint.physics.constants import UNKNOWN, X
from snpoint.physics.legacy_layouts import named_clusters, named_volumes, recognize

Columns = dict[str, npt.NDArray[Any]]
Json = dict[str, Any]

PREDICTED, TRUE = ("predictions", "y_pred"), ("true_directions", "y_true")
"""What its trainers called the two arrays that must be there."""
_SAME_DEG = 1.0
_FORMER = ("direction_true", "direction_pred")


def predictions_of(arrays: Mapping[str, npt.NDArray[Any]], split: int) -> tuple[Columns, Json]:
    """A table of predictions from the arrays of a ``val_predictions.npz``, and what is to be said about it.

    Its keys are ``predictions`` and ``true_directions`` (or ``y_pred`` and ``y_true``), and in most files ``energies``,
    ``angular_errors`` and ``metadata``: rows of one of the layouts of images, or dicts of volumes. Vectors are brought
    to length 1; what the file does not know is NaN (energies that were reconstructed 0, an interaction 255).

    Parameters
    ----------
    arrays
        Arrays of the file, N rows.
    split
        Number of the split that all events are put into.

    Returns
    -------
    tuple
        Columns of ``predictions.npz`` without its version; and ``n``, ``without_truth`` (events whose true direction is
        0), ``metadata`` (layout, or why there is none), ``labels_off_momentum`` (events whose label is more than 1 deg
        from the momentum in the metadata; None if not known) and ``largest_change_deg`` of the stored angular errors.

    Raises
    ------
    ValueError
        The directions are missing, of a wrong shape, or a predicted one is 0 or not finite.
    """
    predicted, true = _vectors(arrays, PREDICTED), _vectors(arrays, TRUE)
    if len(predicted) != len(true) or len(true) == 0:
        raise ValueError(f"{len(predicted)} predicted and {len(true)} true directions")
    bad = int((~np.isfinite(predicted).all(axis=1) | (np.linalg.norm(predicted, axis=1) == 0)).sum())
    if bad:
        raise ValueError(f"{bad} of {len(predicted)} predicted directions that are 0 or not finite")
    rows, described = _metadata(arrays, len(true))
    label = _units(true)
    table = _columns(label, _units(predicted), rows, split)
    table["energy_reco_mev"] = _reco(arrays, rows, len(true))
    return table, {
        "n": len(true),
        "without_truth": int(np.isnan(label).any(axis=1).sum()),
        "metadata": described,
        "labels_off_momentum": _labels_off(label, rows),
        "largest_change_deg": _change(arrays, table),
    }


def _vectors(arrays: Mapping[str, npt.NDArray[Any]], names: tuple[str, ...]) -> npt.NDArray[np.float64]:
    for name in names:
        if name in arrays:
            values = arrays[name]
            if values.ndim != 2 or values.shape[1] != 3 or values.dtype.kind not in "fiu":
                raise ValueError(f"'{name}' of shape {values.shape}, where directions (N, 3) are expected")
            return values.astype(np.float64)
    raise ValueError(f"no array '{names[0]}' (nor '{names[1]}'), only {sorted(arrays)}")


def _units(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, np.nan)


def _metadata(arrays: Mapping[str, npt.NDArray[Any]], n: int) -> tuple[Columns | None, str]:
    """Metadata by name, and its layout; None, and why, where it cannot be read for certain."""
    found = arrays.get("metadata")
    if found is None:
        return None, "none"
    if len(found) != n:
        return None, f"not used: {len(found)} rows for {n} events"
    try:
        if found.dtype == object:
            return named_volumes(list(found)), "volumes"
        values = found.astype(np.float64)
        if values.ndim == 2 and values.shape[1] == 13:  # without pixels its energy may be one or the other
            rows = named_clusters(values, "13_cluster")
            rows["energy_reco_mev"] = np.full(n, np.nan)
            return rows, "13"
        layout = recognize(values, None)
        return named_clusters(values, layout), layout
    except (ValueError, TypeError, AttributeError) as error:
        return None, f"not used: {error}"


def _columns(label: npt.NDArray[Any], predicted: npt.NDArray[Any], rows: Columns | None, split: int) -> Columns:
    n = len(label)
    nothing = np.full(n, np.nan, np.float32)
    known = rows or {}
    event = known.get("event", np.full(n, -1))
    return {
        "event_uid": np.where((event < 0).any(), np.arange(n), event).astype(np.uint64),
        "split": np.full(n, split, np.uint8),
        "direction_true": label.astype(np.float32),
        "direction_pred": predicted.astype(np.float32),
        "axis": np.full((n, 3), np.nan, np.float32),
        "kappa": nothing,
        "head_probability": nothing,
        "energy_true_mev": known.get("energy_true_mev", nothing).astype(np.float32),
        "interaction": known.get("interaction", np.full(n, UNKNOWN)).astype(np.uint8),
        "neutrino_direction": known.get("neutrino_direction", np.full((n, 3), np.nan)).astype(np.float32),
    }


def _reco(arrays: Mapping[str, npt.NDArray[Any]], rows: Columns | None, n: int) -> npt.NDArray[np.float32]:
    """Reconstructed energies by plane; 0 where they are not known.

    ``energies`` is a column of the metadata by its number, whatever that column held: it counts only without metadata.
    """
    energy = np.zeros((n, 3), np.float32)
    if rows is not None:
        plane = np.clip(rows["plane"], 0, X)
        energy[np.arange(n), plane] = np.nan_to_num(rows["energy_reco_mev"], nan=0.0)
    elif "metadata" not in arrays and "energies" in arrays and arrays["energies"].shape == (n,):
        values = np.nan_to_num(arrays["energies"].astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        energy[:, X] = np.maximum(values, 0.0)
    return energy


def _labels_off(label: npt.NDArray[Any], rows: Columns | None) -> int | None:
    if rows is None:
        return None
    angle = angle_deg(label, rows["direction"])
    return int((angle > _SAME_DEG).sum()) if np.isfinite(angle).any() else None


def _change(arrays: Mapping[str, npt.NDArray[Any]], table: Columns) -> float | None:
    stored = arrays.get("angular_errors")
    if stored is None or stored.shape != (len(table["split"]),) or stored.dtype.kind != "f":
        return None
    change = np.abs(stored - angle_deg(*(table[key] for key in _FORMER)))
    change = change[np.isfinite(change)]
    return float(change.max()) if len(change) else None
