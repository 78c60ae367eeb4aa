"""Toy showers and read-outs: charge of deposits on the wires, and the TPs it makes."""

from __future__ import annotations

from typing import Any

import numpy as np

from snpoint.physics.geometry import Detector, load_detector
from snpoint.physics.simulation import charge as chg
from snpoint.physics.simulation import detector as det
from snpoint.physics.simulation.wires import layout_of
from snpoint.settings import Noise

DETECTOR = load_detector("fdhd_1x2x2")
DENSITY = 1.75
"""Ionization along the track of a fast electron [MeV/cm]."""
YIELD = chg.ELECTRONS_PER_MEV * chg.escaping(DENSITY)
"""Electrons per MeV that escape recombination at this density."""
NOISE_FREE: dict[str, Any] = {
    "sigma_adc": {"U": 0.0, "V": 0.0, "X": 0.0},
    "wire_spread": 0.0,
    "tps_per_event": {"U": 0.0, "V": 0.0, "X": 0.0},
}
AS_MEASURED: dict[str, Any] = {
    "sigma_adc": {"U": 17.2, "V": 17.2, "X": 14.9},
    "wire_spread": 0.0,
    "tps_per_event": {"U": 365.0, "V": 365.0, "X": 540.0},
}


def random_state(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 2**63, 4, dtype=np.uint64)


def drift(
    points: np.ndarray,
    mev: float = 1.0,
    density: float = DENSITY,
    owners: np.ndarray | int = 0,
    classes: np.ndarray | int = 0,
    times_us: np.ndarray | float = 0.0,
    detector: Detector = DETECTOR,
    rows: int = 65536,
) -> tuple[chg.Charge, np.ndarray]:
    """Charge of deposits of ``mev`` each, and the order of its rows; one time per particle."""
    charge, n = chg.new_charge(rows), len(points)
    deposits = np.column_stack([points, np.full(n, mev), np.full(n, density)])
    owner = np.broadcast_to(np.asarray(owners, np.int64), n).copy()
    kind = np.broadcast_to(np.asarray(classes, np.int64), n).copy()
    times = np.broadcast_to(np.asarray(times_us, np.float64), max(owner.max(initial=0) + 1, np.size(times_us))).copy()
    chg.drift_deposits(deposits, kind, owner, times, layout_of(detector), charge)
    return charge, chg.order_rows(charge)


def read_out(
    charge: chg.Charge,
    order: np.ndarray,
    noise: dict[str, Any] = NOISE_FREE,
    seed: int = 2,
    detector: Detector = DETECTOR,
) -> det.TPs:
    tps, readout, state = det.new_tps(65536), det.electronics_of(detector, Noise(**noise)), random_state(seed)
    det.find_tps(charge, order, state, readout, tps)
    det.add_noise_tps(state, readout, tps)
    n = tps.counts[det.TPS]
    return det.TPs(tps.rows[:n], tps.truth[:n], tps.counts)


def noise_tps(events: int, noise: dict[str, Any] = AS_MEASURED, detector: Detector = DETECTOR) -> np.ndarray:
    """TPs of windows without charge, columns of `snpoint.physics.simulation.detector`."""
    readout, tps, windows = det.electronics_of(detector, Noise(**noise)), det.new_tps(16384), []
    for k in range(events):
        tps.counts[:] = 0
        det.add_noise_tps(random_state(k), readout, tps)
        windows.append(tps.rows[: tps.counts[det.TPS]].copy())
    return np.concatenate(windows)
