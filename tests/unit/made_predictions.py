"""Predictions with known residuals, for the tests of everything that reads ``predictions.npz``."""

from __future__ import annotations

import numpy as np

from snpoint.data import contracts
from snpoint.physics.angles import random_directions
from snpoint.physics.sphere import normalized, tangents


def vmf_cosines(n: int, kappa: float, rng: np.random.Generator) -> np.ndarray:
    """Cosines to the mean direction of a von Mises-Fisher sample (inverse of its distribution function)."""
    return np.clip(1 + np.log1p(-rng.uniform(size=n) * -np.expm1(-2 * kappa)) / kappa, -1, 1)


def predictions(n: int, seed: int = 1, **changes: np.ndarray) -> dict[str, np.ndarray]:
    """Predictions whose angle to the neutrino is vMF with kappa 8, and 20% of them turned round."""
    rng = np.random.default_rng(seed)
    truth = random_directions(rng, n)
    cosines = vmf_cosines(n, 8.0, rng) * np.where(rng.uniform(size=n) < 0.2, -1, 1)
    east, north = tangents(truth)
    azimuth = rng.uniform(0, 2 * np.pi, (n, 1))
    across = np.cos(azimuth) * east + np.sin(azimuth) * north
    predicted = cosines[:, None] * truth + np.sqrt(1 - cosines[:, None] ** 2) * across
    energy = rng.uniform(5, 25, n)
    arrays = {
        "format_version": np.array(contracts.FORMAT_VERSION, np.uint16),
        "event_uid": np.arange(n, dtype=np.uint64),
        "split": rng.choice(4, n, p=[0.2, 0.1, 0.4, 0.3]).astype(np.uint8),
        "direction_true": truth.astype(np.float32),
        "direction_pred": normalized(predicted).astype(np.float32),
        "axis": truth.astype(np.float32),
        "kappa": np.full(n, 8, np.float32),
        "head_probability": np.full(n, 0.8, np.float32),
        "energy_true_mev": energy.astype(np.float32),
        "energy_reco_mev": np.repeat(energy[:, None], 3, axis=1).astype(np.float32),
        "interaction": np.ones(n, np.uint8),
        "neutrino_direction": truth.astype(np.float32),
    } | changes
    contracts.validate(arrays, contracts.PREDICTIONS, "test")
    return arrays
