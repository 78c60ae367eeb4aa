"""``calibrate``: TPs with truth -> ADC per MeV and per electron of each plane, and two studies of the energy."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from snpoint.data.calibration import write_calibration
from snpoint.data.tables import TP_TABLE, Columns, iter_table
from snpoint.errors import DataError
from snpoint.physics import energystudies as studies
from snpoint.physics.calibration import LEAST_ELECTRONS, NEEDED, calibrate, usable
from snpoint.physics.geometry import PLANES, Detector, load_detector
from snpoint.plots import calibration as plots
from snpoint.plots.canvas import write_figure, write_pdf
from snpoint.plots.pages import text_page
from snpoint.settings import PREDECESSOR_ADC_PER_MEV, CalibrateSettings

log = logging.getLogger(__name__)

Pages = dict[str, tuple[Figure, pd.DataFrame]]


def run(settings: CalibrateSettings, *, tps: list[Path], calibration: Path, report: Path) -> None:
    """Measure the factors on all tables together and write them, a report and its plots.

    Raises
    ------
    InputMissingError, DataError
        A table is missing, broken or of another detector, or the tables hold no TP with truth on some plane.
    ConfigError
        There is no such detector.
    """
    table, n_read = _usable(settings, tps)
    if not len(table["plane"]):
        raise DataError(
            f"{tps[0]}: no TP in {len(tps)} tables has a known deposit (of {n_read}); calibrate on a sample whose "
            "match.truth is not 'none', or lower calibrate.min_tot and calibrate.min_edep_mev"
        )
    try:
        found = calibrate(table, settings.bootstrap_samples, settings.seed)
    except ValueError as error:
        raise DataError(f"{tps[0]}: {error}, in {len(tps)} tables; calibrate on a larger sample") from error
    tracks = studies.dominant_tracks(table)
    factors = (found["adc_per_mev"]["U"], found["adc_per_mev"]["V"], found["adc_per_mev"]["X"])
    mismatch = studies.mismatch_study(tracks, PREDECESSOR_ADC_PER_MEV, factors)
    per_tp = studies.per_tp_study(tracks, PREDECESSOR_ADC_PER_MEV)
    text = {
        "Momentum against energy": studies.mismatch_sentences(mismatch),
        "Energy per TP": studies.per_tp_sentences(per_tp),
    }
    content: dict[str, Any] = {
        "detector": settings.detector,
        **found,
        "predecessor_adc_per_mev": dict(zip(PLANES, PREDECESSOR_ADC_PER_MEV, strict=True)),
        "n_tps_read": n_read,
        "tables": [path.name for path in tps],
        "studies": {"momentum_energy": mismatch, "energy_per_tp": per_tp},
        "sentences": [sentence for part in text.values() for sentence in part],
        "settings": settings.model_dump(mode="json"),
    }
    pages = _pages(table, tracks, content, factors)
    for name, (canvas, numbers) in pages.items():
        write_figure(canvas, report.parent / "plots" / f"{name}.png", numbers)
    first = [_first_page(_title(report, content), content)]
    first += [text_page(title, part) for title, part in text.items() if part]
    write_pdf([*first, *(canvas for canvas, _ in pages.values())], report)
    write_calibration(calibration, content)
    for plane in PLANES:
        log.info(
            "plane %s: %s ADC/MeV from %d TPs of %s",
            *(plane, _factor(found, plane), found["n_tps"][plane], _counted(found["n_events"], "event")),
        )


def _usable(settings: CalibrateSettings, tps: list[Path]) -> tuple[Columns, int]:
    """TPs of all tables that measure the scale, and how many TPs were read.

    Where there are neutrino interactions, the TPs of these alone: of the small deposits of radioactivity only those
    pass the threshold that noise has lifted, and they are many.
    """
    detector = load_detector(settings.detector)
    parts: list[Columns] = []
    n_read = 0
    for path in tps:
        for group in iter_table(path, TP_TABLE, NEEDED):
            n_read += len(group["plane"])
            _check_planes(path, group, detector)
            chosen = usable(group, settings.min_tot, settings.min_edep_mev)
            parts.append({key: values[chosen] for key, values in group.items()})
    if not parts:
        return {key: np.zeros(0) for key in NEEDED}, n_read
    table = {key: np.concatenate([part[key] for part in parts]) for key in NEEDED}
    signal = table["is_signal"] == 1
    return {key: values[signal] for key, values in table.items()} if signal.any() else table, n_read


def _check_planes(path: Path, tps: Columns, detector: Detector) -> None:
    """The factors are those of a detector's planes: its channels must be on the planes that the table says."""
    other = detector.plane(tps["channel"]) != tps["plane"]
    other |= tps["channel"] >= detector.n_channels
    if other.any():
        row = int(np.argmax(other))
        raise DataError(
            f"{path}: {detector.name} has no channel {tps['channel'][row]} on plane {PLANES[tps['plane'][row]]}; set "
            "calibrate.detector to that of match.detector"
        )


def _factor(found: dict[str, Any], plane: str) -> str:
    return plots.with_error(found["adc_per_mev"][plane], found["adc_per_mev_error"][plane])


def _pages(
    table: Columns, tracks: studies.Tracks, content: dict[str, Any], factors: tuple[float, float, float]
) -> Pages:
    pages: Pages = {"scale": plots.scale(table, content, PREDECESSOR_ADC_PER_MEV)}
    linearity = plots.linearity(table, content)
    if len(linearity[1]):  # some methods of truth know no electrons
        pages["linearity"] = linearity
    if len(tracks.plane):
        energies = studies.energies_of(tracks, PREDECESSOR_ADC_PER_MEV, factors)
        pages["momentum_energy"] = plots.mismatch(tracks, energies)
        pages["energy_per_tp"] = plots.per_tp(content["studies"]["energy_per_tp"])
    return pages


def _title(report: Path, content: dict[str, Any]) -> str:
    """What was measured on; the name of the sample only where the report lies in its folder."""
    *_, results, samples, name, stage, _ = ("", "", "", "", *report.absolute().parts)
    sample = f"sample {name}, " if (results, samples, stage) == ("results", "samples", "calibrate") else ""
    return f"Calibration on {sample}{_counted(content['n_events'], 'event')}"


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def _tables(names: list[str]) -> str:
    """Few tables by their names, many by their number."""
    return " and ".join(names) if len(names) <= 2 else _counted(len(names), "table")


def _first_page(title: str, content: dict[str, Any]) -> Figure:
    made = content["settings"]
    text = [
        f"{_counted(sum(content['n_tps'].values()), 'TP')} of {_counted(content['n_events'], 'event')} in "
        f"{_tables(content['tables'])}: those of at least {_counted(made['min_tot'], 'tick')} with at least "
        f"{made['min_edep_mev']:g} MeV behind them, of {content['n_tps_read']:,} TPs in all.",
        "ADC per MeV is the ratio of sums over all these TPs, its error the spread over bootstrap samples of events "
        "(unknown with TPs of fewer than two). "
        f"The power is that of the charge in ADC per electron, from {LEAST_ELECTRONS:,.0f} electrons on: 0 for a "
        "linear response, negative where pulses cancel themselves in part (bipolar induction pulses of long tracks).",
    ]
    header = ("plane", "ADC per MeV", "predecessor", "ADC per e", "at 30k e", "power", "TPs")
    rows = []
    for plane in PLANES:
        law, per_electron = content["power_law"][plane], content["adc_per_electron"][plane]
        rows.append(
            (
                plane,
                _factor(content, plane),
                f"{content['predecessor_adc_per_mev'][plane]:.0f}",
                "unknown" if per_electron is None else f"{per_electron:.4f}",
                "unknown" if law is None else f"{law['adc_per_electron']:.4f}",
                "unknown" if law is None else f"{law['power']:+.3f}",
                f"{content['n_tps'][plane]:,}",
            )
        )
    return text_page(title, text, header, rows)
