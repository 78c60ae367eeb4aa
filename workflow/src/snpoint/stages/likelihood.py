"""``likelihood``: predictions of the `calib` split -> P(cos theta | E) tables, checked on the `test` split."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snpoint.data import contracts
from snpoint.data.atomic import write_json, write_npz
from snpoint.data.results import PLANE_X, read_predictions
from snpoint.errors import DataError
from snpoint.physics import likelihood as physics
from snpoint.physics.angles import cosine
from snpoint.plots import likelihood as plots
from snpoint.plots.canvas import write_figure
from snpoint.settings import SPLITS, LikelihoodSettings

_log = logging.getLogger(__name__)

CALIB, TEST = SPLITS.index("calib"), SPLITS.index("test")
CLASSES = {1: "ES", 2: "CC"}
TRUTH = {"neutrino": "neutrino_direction", "electron": "direction_true"}


@dataclass(frozen=True)
class _Class:
    """Events of one class with known truth, and the tables made from them."""

    name: str
    cosines: NDArray[np.float64]
    energies_mev: NDArray[np.float64]
    split: NDArray[np.uint8]
    tables: physics.Tables
    mixtures: list[physics.Mixture]

    def of(self, split: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Cosines and energies of one split."""
        return self.cosines[self.split == split], self.energies_mev[self.split == split]


def run(settings: LikelihoodSettings, *, predictions: Path, likelihood: Path, validation: Path) -> None:
    """Build the tables, write them, their validation and their plots.

    Raises
    ------
    DataError
        The `calib` split holds no ES or CC event with a true direction.
    """
    arrays = read_predictions(predictions)
    classes = _classes(settings, arrays, predictions)
    content = {
        "format_version": np.array(contracts.FORMAT_VERSION, np.uint16),
        "pdf": np.stack([each.tables.pdf for each in classes]),
        "classes": np.array([each.name for each in classes]),
        "energy_edges_mev": classes[0].tables.energy_edges_mev,
        "cos_edges": classes[0].tables.cos_edges,
        "n_events": np.stack([each.tables.n_events for each in classes]),
        "fallback": np.stack([each.tables.fallback for each in classes]).astype(np.uint8),
        "method": np.array(settings.method),
        "target": np.array(settings.target),
    }
    contracts.validate(content, contracts.LIKELIHOOD, likelihood)
    folder = likelihood.parent / "plots"
    for each in classes:
        _write_plots(settings, each, folder)
    write_json(validation, _validation(settings, classes))
    write_npz(likelihood, content)


def _classes(settings: LikelihoodSettings, arrays: dict[str, NDArray[Any]], predictions: Path) -> list[_Class]:
    truth = arrays[TRUTH[settings.target]]
    cosines = cosine(arrays["direction_pred"], truth)
    known = np.isfinite(cosines)
    counts = {
        code: int((known & (arrays["split"] == CALIB) & (arrays["interaction"] == code)).sum()) for code in CLASSES
    }
    if not any(counts.values()):
        raise DataError(
            f"{predictions}: '{TRUTH[settings.target]}': no ES or CC event of the calib split has a true direction; "
            "raise dataset.split.calib or the number of events"
        )
    largest = max(counts, key=lambda code: counts[code])
    chosen = [code for code in CLASSES if code == largest or counts[code] >= settings.min_events]
    made = []
    for code in chosen:
        rows = known & (arrays["interaction"] == code)
        energies = arrays["energy_reco_mev"][rows, PLANE_X].astype(np.float64)
        made.append(_class(settings, CLASSES[code], cosines[rows], energies, arrays["split"][rows]))
    return made


def _class(
    settings: LikelihoodSettings,
    name: str,
    cosines: NDArray[np.float64],
    energies_mev: NDArray[np.float64],
    split: NDArray[np.uint8],
) -> _Class:
    calib = split == CALIB
    if calib.sum() < settings.min_events:
        _log.warning(
            "class %s: only %d calibration events, fewer than min_events = %d; one table of all energies",
            name,
            calib.sum(),
            settings.min_events,
        )
    tables, mixtures = physics.METHODS[settings.method](
        cosines[calib],
        energies_mev[calib],
        np.asarray(settings.energy_edges_mev),
        settings.cos_bins,
        settings.min_events,
        settings.min_pdf,
    )
    _log.info("class %s: %d calibration events, %d energy bins", name, calib.sum(), len(mixtures))
    return _Class(name, cosines, energies_mev, split, tables, mixtures)


def _validation(settings: LikelihoodSettings, classes: list[_Class]) -> dict[str, Any]:
    return {
        "format_version": contracts.FORMAT_VERSION,
        "method": settings.method,
        "target": settings.target,
        "rows": [row for each in classes for row in _row_checks(each)],
        "test": {each.name: _test_check(each) for each in classes},
    }


def _row_checks(each: _Class) -> list[dict[str, Any]]:
    cosines, energies = each.of(CALIB)
    rows, tables, checks = each.tables.rows(energies), each.tables, []
    for row, mixture in enumerate(each.mixtures):
        members = cosines[rows == row]
        distance, p_value = (
            physics.kolmogorov_smirnov(members, tables.pdf[row], tables.cos_edges) if members.size else (None, None)
        )
        checks.append(
            {
                "class": each.name,
                "low_mev": float(tables.energy_edges_mev[row]),
                "high_mev": float(tables.energy_edges_mev[row + 1]),
                "n": int(members.size),
                "n_behind": int(tables.n_events[row]),
                "fallback": bool(tables.fallback[row]),
                "forward_share": mixture.forward_share,
                "forward_kappa": mixture.forward_kappa,
                "backward_share": mixture.backward_share,
                "backward_kappa": mixture.backward_kappa,
                "isotropic_share": mixture.isotropic_share,
                "ks_distance": distance,
                "ks_p_value": p_value,
            }
        )
    return checks


def _test_check(each: _Class) -> dict[str, Any]:
    cosines, energies = each.of(TEST)
    isotropic = float(np.log(0.5))
    mean = physics.mean_log_likelihood(each.tables, cosines, energies) if cosines.size else None
    return {
        "n": int(cosines.size),
        "mean_log_likelihood": mean,
        "isotropic": isotropic,
        "gain_per_event": None if mean is None else mean - isotropic,
    }


def _write_plots(settings: LikelihoodSettings, each: _Class, folder: Path) -> None:
    angle = f"prediction to {settings.target}"
    name, numbers = each.name.lower(), plots.rows_as_table(each.tables)
    panels = plots.rows_with_data(
        each.tables, *each.of(CALIB), f"P(cos θ | E), {each.name}: tables and calibration events", angle
    )
    write_figure(panels, folder / f"tables_and_events_{name}.png", numbers)
    curves = plots.all_rows(each.tables, f"How sharply an {each.name} event points", angle)
    write_figure(curves, folder / f"density_by_angle_{name}.png", numbers)
