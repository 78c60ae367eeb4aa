"""Contracts of the JSON results: top-level keys, their kinds and ranges. NaN and Infinity are never legal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from snpoint.data.contracts import FORMAT_VERSION
from snpoint.errors import DataError, InputMissingError

KINDS: dict[str, type | tuple[type, ...]] = {
    "number": (int, float),
    "count": int,
    "text": str,
    "list": list,
    "object": dict,
}


@dataclass(frozen=True)
class Key:
    """One key: its kind, its range if it is a number, and whether null is legal."""

    kind: Literal["number", "count", "text", "list", "object"]
    low: float | None = None
    high: float | None = None
    null: bool = False


VERSION = Key("count", 1, FORMAT_VERSION)
ANGLE = Key("number", 0, 180)
COSINE = Key("number", -1, 1)
SHARE = Key("number", 0, 1)
COUNT = Key("count", 0)
POSITIVE = Key("number", 0)
OBJECT, LIST, TEXT = Key("object"), Key("list"), Key("text")

SUMMARIES: dict[str, dict[str, Key]] = {
    "smoke.json": {
        "format_version": VERSION,
        "called": TEXT,
        "host": TEXT,
        "job_id": TEXT,
        "finished": TEXT,
        "seconds": POSITIVE,
        "checks": LIST,
    },
    "card.json": {
        "format_version": VERSION,
        "problems": LIST,
        "counts": OBJECT,
        "frame": OBJECT,
        "interactions": OBJECT,
        "labels": Key("object", null=True),
        "label_checks": Key("object", null=True),
        "main": OBJECT,
        "places": Key("object", null=True),
        "slopes": LIST,
        "energy_true_mev": Key("object", null=True),
        "energy_true_mev_of": OBJECT,
        "neutrino_energy_mev": Key("object", null=True),
        "energy_reco_mev": OBJECT,
        "response": Key("object", null=True),
        "planes_found": OBJECT,
        "tps_per_image": OBJECT,
        "link_margin": Key("object", null=True),
        "signal_fraction": Key("object", null=True),
        "charge_inside": OBJECT,
        "volumes": LIST,
        "splits": OBJECT,
        "in_several_splits": OBJECT,
        "duplicates": OBJECT,
        "files": LIST,
        "background": LIST,
        "productions": LIST,
        "background_productions": LIST,
        "stand_ins": LIST,
        "truth": TEXT,
        "overlay": Key("object", null=True),
        "truth_agreement": LIST,
        "shards": LIST,
        "settings": OBJECT,
    },
    "calibration.json": {
        "format_version": VERSION,
        "detector": TEXT,
        "adc_per_mev": OBJECT,
        "adc_per_mev_error": OBJECT,
        "adc_per_electron": OBJECT,
        "adc_per_electron_error": OBJECT,
        "adc_per_mev_of_tps": OBJECT,
        "power_law": OBJECT,
        "n_tps": OBJECT,
        "n_events": Key("count", 1),
        "predecessor_adc_per_mev": OBJECT,
        "n_tps_read": Key("count", 1),
        "tables": LIST,
        "studies": OBJECT,
        "sentences": LIST,
        "settings": OBJECT,
    },
    "training.json": {
        "format_version": VERSION,
        "image": OBJECT,
        "loss": TEXT,
        "planes": LIST,
        "n_parameters": Key("count", 1),
        "n_train": Key("count", 1),
        "n_val": Key("count", 1),
        "epochs_run": Key("count", 1),
        "best_epoch": Key("count", 1),
        "best_val_loss": Key("number"),
        "best_val_containment_68_deg": ANGLE,
        "seconds": POSITIVE,
        "samples_per_second": POSITIVE,
        "backend": TEXT,
        "device": TEXT,
        "orientation": TEXT,
        "model_sha256": TEXT,
        "settings": OBJECT,
    },
    "metrics.json": {
        "format_version": VERSION,
        "split": TEXT,
        "n": Key("count", 1),
        "angular_error_mean_deg": ANGLE,
        "angular_error_median_deg": ANGLE,
        "containment_68_deg": ANGLE,
        "containment_68_cosine": COSINE,
        "flipped_fraction": SHARE,
        "reversed_fraction": SHARE,
        "axis_error_68_deg": Key("number", 0, 90),
        "mean_cosine": COSINE,
        "fractions": OBJECT,
        "component_bias": OBJECT,
        "ci95": OBJECT,
        "by_energy": LIST,
        "baselines": OBJECT,
        "imported": Key("object", null=True),
    },
    "validation.json": {
        "format_version": VERSION,
        "method": TEXT,
        "target": TEXT,
        "rows": LIST,
        "test": OBJECT,
    },
    "interpretation.json": {
        "format_version": VERSION,
        "n": Key("count", 1),
        "ablations": OBJECT,
        "by_energy": LIST,
        "sentences": LIST,
    },
    "pointing.json": {
        "format_version": VERSION,
        "nside": Key("count", 1),
        "burst": TEXT,
        "n_events": Key("count", 1),
        "n_different_events": Key("count", 1),
        "n_true_directions": Key("count", 1, null=True),
        "likelihood_class": TEXT,
        "likelihood_target": TEXT,
        "n_tables_fallback": COUNT,
        "n_events_fallback": COUNT,
        "log_likelihood_over_isotropic": Key("number"),
        "area_deg2": OBJECT,
        "pixel_area_deg2": POSITIVE,
        "best_direction": LIST,
        "best_longitude_deg": Key("number", -180, 180),
        "best_latitude_deg": Key("number", -90, 90),
        "mean_direction": Key("list", null=True),
        "true_direction": Key("list", null=True),
        "offset_deg": Key("number", 0, 180, null=True),
        "mean_offset_deg": Key("number", 0, 180, null=True),
        "true_direction_inside": Key("object", null=True),
        "true_direction_level": Key("number", 0, 1.0001, null=True),
    },
    "registry.json": {"format_version": VERSION, "versions": LIST},
}


def read_strict_json(path: str | Path) -> dict[str, Any]:
    """A JSON object; NaN, Infinity and duplicate keys are errors.

    Raises
    ------
    InputMissingError
        The file does not exist or cannot be opened.
    DataError
        It is not strict JSON, or not an object.
    """
    try:
        content = json.loads(
            Path(path).read_text(encoding="utf-8"),
            parse_constant=_refuse_constant,
            object_pairs_hook=_refuse_duplicates,
        )
    except OSError as error:
        raise InputMissingError(f"{path}: cannot be read ({error.strerror}); run the stage that makes it") from error
    except ValueError as error:
        raise DataError(f"{path}: not strict JSON ({error}); delete it and run its stage again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds {type(content).__name__}, expected an object; run its stage again")
    return content


def check_summary(path: Path, contract: Mapping[str, Key]) -> None:
    """Check a JSON result against its contract.

    Raises
    ------
    DataError
        A key is missing, unknown, of the wrong kind or out of range.
    """
    content = read_strict_json(path)
    missing, unknown = sorted(contract.keys() - content.keys()), sorted(content.keys() - contract.keys())
    if missing or unknown:
        raise DataError(f"{path}: missing keys {missing}, unknown keys {unknown}; written by another version?")
    for name, expected in contract.items():
        _check_key(content[name], expected, f"{path}: '{name}'")


def _check_key(value: Any, expected: Key, where: str) -> None:
    if value is None and expected.null:
        return
    if not isinstance(value, KINDS[expected.kind]) or isinstance(value, bool):
        raise DataError(f"{where} = {value!r:.60} is not a {expected.kind}")
    if isinstance(value, (int, float)):
        if expected.low is not None and value < expected.low:
            raise DataError(f"{where} = {value} is below the smallest legal value {expected.low}")
        if expected.high is not None and value > expected.high:
            raise DataError(f"{where} = {value} is above the largest legal value {expected.high}")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"key '{max(set(names), key=names.count)}' is given twice")
    return dict(pairs)
