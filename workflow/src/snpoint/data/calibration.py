"""Calibration files: ADC per MeV and per electron of each plane, and the factors a stage is to use."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from snpoint.data.atomic import write_json
from snpoint.data.contracts import FORMAT_VERSION
from snpoint.data.summaries import read_strict_json
from snpoint.errors import ConfigError, DataError
from snpoint.section import PerPlane
from snpoint.settings import PREDECESSOR_ADC_PER_MEV

PLANES = ("U", "V", "X")


def write_calibration(path: str | Path, content: dict[str, Any]) -> None:
    """Write a calibration; ``format_version`` is added.

    Raises
    ------
    DataError
        The content holds no usable factor for a plane.
    """
    _factors(content, path)
    write_json(path, {"format_version": FORMAT_VERSION, **content})


def read_calibration(path: str | Path) -> dict[str, Any]:
    """Read a calibration and check it.

    Raises
    ------
    InputMissingError
        There is no such file.
    DataError
        It is no JSON object, of another version, or holds no usable factor for a plane.
    """
    content = read_strict_json(path)
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise DataError(
            f"{path}: 'format_version' is {version}, this snpoint reads {FORMAT_VERSION}; run calibrate again"
        )
    _factors(content, path)
    return content


def resolved_adc_per_mev(
    value: PerPlane | Literal["predecessor", "calibrated"], calibration: Path | None
) -> tuple[float, float, float]:
    """ADC per MeV of planes U, V, X.

    Parameters
    ----------
    value
        Numbers, taken as they are; ``predecessor``: 900, 900, 3600; ``calibrated``: those of ``calibration``.
    calibration
        A ``calibration.json`` of the calibrate stage, read only where ``value`` asks for it.

    Raises
    ------
    ConfigError
        ``calibrated`` is asked for without a calibration.
    InputMissingError, DataError
        The calibration is missing or broken.
    """
    if isinstance(value, PerPlane):
        return value.as_tuple()
    if value == "predecessor":
        return PREDECESSOR_ADC_PER_MEV
    if calibration is None:
        raise ConfigError(
            "adc_per_mev: 'calibrated' needs a calibration, and none was given; "
            "pass --calibration, or give numbers for U, V, X"
        )
    return _factors(read_calibration(calibration), calibration)


def _factors(content: dict[str, Any], where: object) -> tuple[float, float, float]:
    factors = content.get("adc_per_mev")
    found = []
    for plane in PLANES:
        factor = factors.get(plane) if isinstance(factors, dict) else None
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < math.inf:
            raise DataError(
                f"{where}: 'adc_per_mev.{plane}' is {factor!r}, expected a positive number; "
                "run calibrate on a sample with truth on all planes"
            )
        found.append(float(factor))
    return found[0], found[1], found[2]
