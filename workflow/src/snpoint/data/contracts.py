"""What is in every result file: keys, dtypes, shapes, units, ranges, and the version of the format.

Writers call `validate` before they write and `snpoint check` calls it on what lies on disk, so there is one
description of each file. Shapes name their axes: an axis of the same name has the same length in all arrays
of a file; a number is that length; ``3N+1`` is worked out from ``N``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from snpoint.errors import DataError

FORMAT_VERSION = 2
"""Version of all formats below; its history is kept in docs/formats.md."""


@dataclass(frozen=True)
class Array:
    """Contract of one array: numpy dtype code, named shape, unit, and the range of finite values."""

    dtype: str
    shape: tuple[str | int, ...]
    unit: str
    low: float | None = None
    high: float | None = None
    nan: bool = False
    unit_vector: bool = False


N = ("N",)
DIRECTION = Array("f4", ("N", 3), "unit vector, detector frame", -1.0001, 1.0001, nan=True, unit_vector=True)
INTERACTION = Array("u1", N, "0 background, 1 ES, 2 CC, 255 unknown", 0, 255)

SHARD: dict[str, Array] = {
    "format_version": Array("u2", (), "1", 1, FORMAT_VERSION),
    "orientation": Array("U", (), "frame of channel and tick: canonical or predecessor"),
    "detector": Array("U", (), "name of the detector layout"),
    "sources": Array("U", (), "JSON: input files of the chunk, what was laid over, truth; as in the tables"),
    "event_uid": Array("u8", N, "run << 44 | subrun << 32 | event; several images of an event share it"),
    "run": Array("u4", N, "1"),
    "subrun": Array("u4", N, "1"),
    "event": Array("u4", N, "1"),
    "offsets": Array("i8", ("3N+1",), "first TP of (image, plane A|B|X)", 0),
    "channel": Array("i2", ("T",), "channels from the box center"),
    "tick": Array("i2", ("T",), "ticks from the box center, start of the TP"),
    "samples_over_threshold": Array("u2", ("T",), "ticks", 1),
    "samples_to_peak": Array("u2", ("T",), "ticks from the start"),
    "adc_integral": Array("u4", ("T",), "ADC ticks"),
    "adc_peak": Array("u2", ("T",), "ADC"),
    "in_main": Array("u1", ("T",), "1 = TP of the clusters that the image is about", 0, 1),
    "direction": replace(DIRECTION, unit="unit vector, detector frame, none for background"),
    "vertex_cm": Array("f4", ("N", 3), "cm, detector frame, none for background", nan=True),
    "energy_true_mev": Array("f4", N, "MeV, kinetic", 0, nan=True),
    "energy_reco_mev": Array("f4", ("N", 3), "MeV, planes A|B|X", 0),
    "interaction": replace(
        INTERACTION, unit="0 background (in any event: signal_fraction < 0.5), 1 ES, 2 CC, 255 unknown"
    ),
    "is_main": Array("u1", N, "1 = image of the event's main cluster", 0, 1),
    "apa": Array("u1", N, "1", 0, 255),
    "face": Array("i1", N, "side of the APA; FD-HD: sign of x", -1, 1),
    "neutrino_direction": DIRECTION,
    "neutrino_energy_mev": Array("f4", N, "MeV", 0, nan=True),
    "fingerprint": Array("u8", N, "content hash of the cluster's TPs on all planes; the same for copies"),
    "background_uid": Array("u8", N, "event_uid of the background event laid over; 0 none"),
    "background_fingerprint": Array("u8", N, "content hash of that background event; 0 none"),
    "link_margin": Array("f4", N, "cost of the best other link minus that of this; NaN without one", nan=True),
    "signal_fraction": Array(
        "f4", N, "share of the cluster's ADC made by the neutrino; NaN without truth", 0, 1, nan=True
    ),
}

SPLIT: dict[str, Array] = {
    "format_version": Array("u2", (), "1", 1, FORMAT_VERSION),
    "shards": Array("U", ("S",), "file names in the dataset's image folder"),
    "shard_sha256": Array("U", ("S",), "checksums of the shards, so that data cannot change between stages"),
    "shard": Array("u4", N, "index into shards", 0),
    "row": Array("u4", N, "image of the shard", 0),
    "event_uid": Array("u8", N, "run << 44 | subrun << 32 | event"),
    "split": Array("u1", N, "0 train, 1 val, 2 calib, 3 test", 0, 3),
}

PREDICTIONS: dict[str, Array] = {
    "format_version": Array("u2", (), "1", 1, FORMAT_VERSION),
    "event_uid": Array("u8", N, "run << 44 | subrun << 32 | event"),
    "split": Array("u1", N, "0 train, 1 val, 2 calib, 3 test, 255 none", 0, 255),
    "direction_true": DIRECTION,
    "direction_pred": Array("f4", ("N", 3), "unit vector, detector frame", -1.0001, 1.0001, unit_vector=True),
    "axis": Array("f4", ("N", 3), "principal axis, unit vector", -1.0001, 1.0001, nan=True, unit_vector=True),
    "kappa": Array("f4", N, "vMF concentration; NaN where the loss has none", 0, nan=True),
    "head_probability": Array("f4", N, "probability of direction_pred against its opposite", 0.5, 1, nan=True),
    "energy_true_mev": Array("f4", N, "MeV, kinetic", 0, nan=True),
    "energy_reco_mev": Array("f4", ("N", 3), "MeV, planes A|B|X", 0),
    "interaction": INTERACTION,
    "neutrino_direction": DIRECTION,
}

LIKELIHOOD: dict[str, Array] = {
    "format_version": Array("u2", (), "1", 1, FORMAT_VERSION),
    "pdf": Array("f8", ("C", "E", "M"), "density per unit cosine; rows integrate to 1", 0),
    "classes": Array("U", ("C",), "event classes"),
    "energy_edges_mev": Array("f8", ("E+1",), "MeV, reconstructed (plane X)", 0),
    "cos_edges": Array("f8", ("M+1",), "cosine of the angle to the predicted direction", -1, 1),
    "n_events": Array("i8", ("C", "E"), "events behind each row", 0),
    "fallback": Array("u1", ("C", "E"), "1 = too few events in the bin: the row is that of all energies", 0, 1),
    "method": Array("U", (), "how the rows were made"),
    "target": Array("U", (), "neutrino or electron"),
}

ATTRIBUTIONS: dict[str, Array] = {
    "format_version": Array("u2", (), "1", 1, FORMAT_VERSION),
    "event_uid": Array("u8", N, "run << 44 | subrun << 32 | event"),
    "ablations": Array("U", ("K",), "planes set to zero"),
    "angular_error_deg": Array("f4", ("K", "N"), "deg", 0, 180.001),
    "energy_true_mev": Array("f4", N, "MeV, kinetic", 0, nan=True),
}


def validate(arrays: Mapping[str, np.ndarray], contract: Mapping[str, Array], where: object) -> None:
    """Check arrays against a contract.

    Raises
    ------
    DataError
        A key is missing or unknown, or an array has the wrong dtype, shape, range or norm; the message names
        the file, the key, what was found and what was expected.
    """
    missing, unknown = sorted(contract.keys() - arrays.keys()), sorted(arrays.keys() - contract.keys())
    if missing or unknown:
        raise DataError(
            f"{where}: missing keys {missing}, unknown keys {unknown}; written by another version of snpoint?"
        )
    axes: dict[str, int] = {}
    for key, expected in contract.items():
        _check_array(np.asarray(arrays[key]), expected, axes, f"{where}: '{key}'")


def _check_array(array: np.ndarray, expected: Array, axes: dict[str, int], where: str) -> None:
    found = "U" if array.dtype.kind == "U" else array.dtype.str[1:]
    if found != expected.dtype:
        raise DataError(f"{where} has dtype {found}, expected {expected.dtype}")
    if array.ndim != len(expected.shape):
        raise DataError(f"{where} has shape {array.shape}, expected {expected.shape}")
    for size, axis in zip(array.shape, expected.shape, strict=True):
        wanted = _axis_length(axis, size, axes)
        if size != wanted:
            raise DataError(f"{where} has shape {array.shape}, expected {expected.shape} with {axis} = {wanted}")
    if found != "U" and array.size:
        _check_values(array, expected, where)


def _axis_length(axis: str | int, size: int, axes: dict[str, int]) -> int:
    if isinstance(axis, int):
        return axis
    match = re.fullmatch(r"(\d*)([A-Z])(?:\+(\d+))?", axis)
    if match is None:
        raise ValueError(f"axis {axis!r} of a contract is not of the form N, 3N or 3N+1")
    factor, name, plus = int(match[1] or 1), match[2], int(match[3] or 0)
    axes.setdefault(name, (size - plus) // factor)
    return factor * axes[name] + plus


def _check_values(array: np.ndarray, expected: Array, where: str) -> None:
    finite = np.isfinite(array) if array.dtype.kind == "f" else np.ones(array.shape, bool)
    if not expected.nan and not finite.all():
        raise DataError(f"{where} holds {int((~finite).sum())} values that are NaN or infinite")
    values = array[finite]
    if values.size and expected.low is not None and values.min() < expected.low:
        raise DataError(f"{where} holds {values.min()}, below the smallest legal value {expected.low}")
    if values.size and expected.high is not None and values.max() > expected.high:
        raise DataError(f"{where} holds {values.max()}, above the largest legal value {expected.high}")
    if expected.unit_vector:
        norms = np.linalg.norm(array[finite.all(axis=-1)], axis=-1)
        if norms.size and np.abs(norms - 1).max() > 1e-3:
            raise DataError(
                f"{where} holds a vector of length {norms[np.abs(norms - 1).argmax()]:.4f}, expected unit vectors"
            )
