"""ADC per MeV and per electron of each plane, measured on trigger primitives whose deposits are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.geometry import PLANES

Columns = Mapping[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Json = dict[str, Any]

NEEDED = (
    *("event_uid", "channel", "plane", "samples_over_threshold", "adc_integral", "edep_mev", "n_electrons", "track_id"),
    *("is_signal", "is_overlay", "energy_true_mev"),
)
"""Columns of a table of TPs that calibration and studies take."""
REFERENCE_ELECTRONS = 30_000.0
"""Charge at which the power law gives its value."""
LEAST_ELECTRONS = 10_000.0
"""Charge from which TPs enter the power law: of smaller deposits only upward fluctuations pass the threshold."""


def usable(tps: Columns, min_tot: int, min_edep_mev: float) -> Bools:
    """Which TPs measure the scale: long enough, with a charge, and made by a known deposit of some size, (T,)."""
    edep = np.nan_to_num(tps["edep_mev"])
    long_enough = tps["samples_over_threshold"] >= min_tot
    return np.asarray(long_enough & (tps["adc_integral"] > 0) & (edep >= min_edep_mev))


def calibrate(tps: Columns, bootstrap_samples: int, seed: int) -> Json:
    """ADC per MeV and per electron of each plane.

    The factor is the ratio of sums, sum(ADC) / sum(MeV): the one that makes the total energy of a sample right. Its
    error is the spread over bootstrap samples of whole events, since TPs of one event share a track and a drift.

    Parameters
    ----------
    tps
        Usable TPs (`usable`) with the columns `NEEDED`.
    bootstrap_samples, seed
        Number of bootstrap samples, and the seed of their drawing.

    Returns
    -------
    dict
        For each quantity plane -> number. Electrons may be unknown (None), and so are errors on planes where fewer than
        two events have usable TPs.

    Raises
    ------
    ValueError
        A plane has no usable TP.
    """
    events, index = np.unique(tps["event_uid"], return_inverse=True)
    found: Json = {key: {} for key in _QUANTITIES}
    for number, plane in enumerate(PLANES):
        own = tps["plane"] == number
        if not own.any():
            raise ValueError(f"plane {plane} has no TP with a known deposit")
        adc, edep = tps["adc_integral"][own].astype(np.float64), tps["edep_mev"][own].astype(np.float64)
        electrons = np.nan_to_num(tps["n_electrons"][own].astype(np.float64))
        of_event = index.reshape(-1)[own]
        sums = [_sums(of_event, values, len(events)) for values in (adc, edep, electrons)]
        found["adc_per_mev"][plane], found["adc_per_mev_error"][plane] = _ratio(
            sums[0], sums[1], bootstrap_samples, seed
        )
        found["adc_per_electron"][plane], found["adc_per_electron_error"][plane] = _ratio(
            sums[0], sums[2], bootstrap_samples, seed
        )
        low, median, high = np.quantile(adc / edep, (0.16, 0.5, 0.84)).tolist()
        found["adc_per_mev_of_tps"][plane] = {"p16": low, "median": median, "p84": high}
        found["power_law"][plane] = power_law(adc, electrons)
        found["n_tps"][plane] = int(own.sum())
    return found | {"n_events": len(events)}


_QUANTITIES = (
    *("adc_per_mev", "adc_per_mev_error", "adc_per_electron", "adc_per_electron_error", "adc_per_mev_of_tps"),
    *("power_law", "n_tps"),
)


def power_law(adc: Floats, electrons: Floats) -> Json | None:
    """Least-squares fit of log(ADC / electrons) against log(electrons) over TPs above `LEAST_ELECTRONS`.

    Returns
    -------
    dict or None
        ``adc_per_electron`` at `REFERENCE_ELECTRONS`, ``power`` of the charge, ``log_scatter`` around the line and
        ``n``; None with fewer than 10 such TPs, or of one charge alone.
    """
    chosen = (electrons >= LEAST_ELECTRONS) & (adc > 0)
    if chosen.sum() < 10 or np.ptp(electrons[chosen]) == 0:
        return None
    x, y = np.log(electrons[chosen] / REFERENCE_ELECTRONS), np.log(adc[chosen] / electrons[chosen])
    power, level = np.polyfit(x, y, 1)
    scatter = float(np.std(y - (power * x + level)))
    return {
        "adc_per_electron": float(np.exp(level)),
        "power": float(power),
        "log_scatter": scatter,
        "n": int(chosen.sum()),
    }


def _sums(of_event: npt.NDArray[np.int64], values: Floats, n_events: int) -> Floats:
    return np.asarray(np.bincount(of_event, values, n_events), np.float64)


def _ratio(above: Floats, below: Floats, samples: int, seed: int) -> tuple[float | None, float | None]:
    """Ratio of the sums over events, and its standard error over bootstrap samples of events.

    Without a denominator both are unknown; with that of a single event nothing says how far events differ.
    """
    if below.sum() <= 0:
        return None, None
    ratio = float(above.sum() / below.sum())
    if np.count_nonzero(below) < 2:
        return ratio, None
    rng = np.random.default_rng(seed)
    draws = np.full(samples, np.nan)
    for sample in range(samples):
        times = np.bincount(rng.integers(0, len(above), len(above)), minlength=len(above))
        total = times @ below
        if total > 0:
            draws[sample] = times @ above / total
    return ratio, float(np.nanstd(draws))
