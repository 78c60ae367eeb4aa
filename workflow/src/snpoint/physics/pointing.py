"""From the directions of a burst's events to the direction of its neutrinos.

For a direction of flight n, log L(n) = sum_i log P(cos(n, d_i) | E_i), with the predicted directions d_i, the
reconstructed energies E_i, and P from the tables of `snpoint.physics.likelihood`. With a flat prior on the sphere
L is, once normalized, the posterior probability of each pixel. The supernova itself lies at -n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from snpoint.physics import angles, sphere
from snpoint.physics.likelihood import Tables

Floats = NDArray[np.float64]

_BLOCK_VALUES = 4_000_000


def log_likelihood(sky: Floats, directions: Floats, energies_mev: Floats, tables: Tables) -> Floats:
    """Log-likelihood (P,) of each sky direction (P, 3), for events with directions (N, 3) and energies (N,) in MeV.

    Worked out in blocks of sky directions, so that memory stays below 100 MB for any sky and any burst.
    """
    directions, rows = sphere.normalized(directions), tables.rows(energies_mev)
    groups = [(int(row), directions[rows == row]) for row in np.unique(rows)]
    total = np.zeros(len(sky))
    block = max(1, _BLOCK_VALUES // max(1, len(directions)))
    for start in range(0, len(sky), block):
        part = slice(start, start + block)
        for row, members in groups:
            total[part] += tables.log_pdf(row, sky[part] @ members.T).sum(axis=1)
    return total


def posterior(log_likelihoods: Floats) -> Floats:
    """Probability (P,) of each pixel from log-likelihoods (P,), for a flat prior and pixels of equal area."""
    return np.asarray(special.softmax(log_likelihoods), np.float64)


def credible_set(probability: Floats, level: float) -> NDArray[np.bool_]:
    """Pixels (P,) of the smallest set holding at least ``level`` of the probability (P,)."""
    order = np.argsort(-probability, kind="stable")
    before = np.cumsum(probability[order]) - probability[order]
    inside = np.zeros(len(probability), bool)
    # The margin keeps rounding in the sum from adding one more pixel.
    inside[order[before < level - 1e-12]] = True
    return inside


def credible_area_deg2(probability: Floats, level: float) -> float:
    """Area (deg^2) of the smallest set of pixels holding at least ``level`` of the probability (12 nside^2,)."""
    return float(credible_set(probability, level).sum() * sphere.FULL_SKY_DEG2 / len(probability))


def level_of(probability: Floats, pixel: int) -> float:
    """Credible level at which a pixel enters: the probability of all pixels at least as likely, itself included."""
    return float(min(1.0, probability[probability >= probability[pixel]].sum()))


def mean_direction(probability: Floats, sky: Floats) -> Floats | None:
    """Mean of the posterior as a unit vector (3,); None where it has none (an even sky)."""
    mean = probability @ sky
    return sphere.normalized(mean) if np.linalg.norm(mean) > 1e-6 else None


@dataclass(frozen=True)
class Burst:
    """Events that point at one supernova.

    directions (N, 3) predicted, energies_mev (N,) reconstructed, rows (N,) which predictions they are, true_direction
    (3,) direction of flight of the neutrinos or None, n_true_directions how many different ones there are (None where
    one is unknown; more than 1 for events that are no burst).
    """

    directions: Floats
    energies_mev: Floats
    rows: NDArray[np.int64]
    true_direction: Floats | None
    n_true_directions: int | None


def draw_burst(
    directions: Floats,
    neutrino_directions: Floats,
    energies_mev: Floats,
    candidates: NDArray[np.int64],
    n_events: int,
    direction: Floats | None,
    rng: np.random.Generator,
) -> Burst:
    """Draw events and turn each as a rigid whole until its neutrino flies along one common direction.

    Simulated neutrinos come from everywhere, those of a supernova from one direction. The turn that takes an
    event's true neutrino direction to the common one is applied to its prediction too, so that every residual keeps
    its size; the free angle about the common direction is drawn at random, which averages over the orientations
    the detector may have to the supernova. Not kept is any dependence of the residual on the direction in the
    detector: the burst is one for an average orientation.

    Parameters
    ----------
    directions, neutrino_directions : (N, 3)
        Predicted and true directions of all predictions.
    energies_mev : (N,)
        Reconstructed energies.
    candidates : (C,)
        Rows that may be drawn; without replacement, unless there are fewer than ``n_events``.
    direction : (3,) or None
        Direction of flight of the burst's neutrinos; None draws an isotropic one.
    """
    target = angles.random_directions(rng, 1)[0] if direction is None else sphere.normalized(direction)
    rows = rng.choice(candidates, size=n_events, replace=n_events > len(candidates))
    turns = sphere.rotations_onto(
        sphere.normalized(neutrino_directions[rows]), target, rng.uniform(0.0, 2.0 * np.pi, n_events)
    )
    turned = sphere.normalized(np.einsum("nij,nj->ni", turns, np.asarray(directions, np.float64)[rows]))
    return Burst(turned, np.asarray(energies_mev, np.float64)[rows], np.asarray(rows, np.int64), target, 1)


def whole(directions: Floats, neutrino_directions: Floats, energies_mev: Floats) -> Burst:
    """All events as they are: directions predicted (N, 3), true ones of the neutrinos (N, 3), energies (N,) in MeV."""
    common = common_direction(neutrino_directions)
    count = 1 if common is not None else _count_directions(neutrino_directions)
    return Burst(directions, energies_mev, np.arange(len(directions)), common, count)


def _count_directions(neutrino_directions: Floats) -> int | None:
    if not np.isfinite(neutrino_directions).all():
        return None
    return len(np.unique(np.round(sphere.normalized(neutrino_directions), 5), axis=0))


def common_direction(neutrino_directions: Floats, tolerance_deg: float = 1.0) -> Floats | None:
    """The one direction (3,) of true neutrino directions (N, 3), if all are known and within a tolerance of it."""
    if len(neutrino_directions) == 0 or not np.isfinite(neutrino_directions).all():
        return None
    vectors = sphere.normalized(neutrino_directions)
    mean = vectors.sum(axis=0)
    if np.linalg.norm(mean) < 1e-6:
        return None
    mean = sphere.normalized(mean)
    return mean if (vectors @ mean).min() >= np.cos(np.radians(tolerance_deg)) else None
