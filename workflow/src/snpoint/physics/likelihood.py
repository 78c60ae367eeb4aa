"""P(cos theta | E): the density of the angle between a predicted and a true direction, per reconstructed energy.

Model, in c = cos(theta): a von Mises-Fisher peak around the prediction, a second one around its opposite (head and
tail confused), and an isotropic share,

    p(c) = f vMF(c; kf) + b vMF(-c; kb) + (1 - f - b)/2,    vMF(c; k) = k/(2 sinh k) exp(k c).

The shares and concentrations are the maximum-likelihood ones, found by expectation-maximization, with kb <= kf: an
event whose ends are confused has the axis no better than one whose ends are right, and a handful of reversed events
must not make a spike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

_MAX_KAPPA = 2000.0
_SMALL_KAPPA = 1e-4


@dataclass(frozen=True)
class Mixture:
    """Parameters of the density of one table row."""

    forward_share: float
    forward_kappa: float
    backward_share: float
    backward_kappa: float

    @property
    def isotropic_share(self) -> float:
        """What the two peaks leave."""
        return max(0.0, 1.0 - self.forward_share - self.backward_share)

    def pdf(self, cosines: Floats) -> Floats:
        """Density per unit cosine at ``cosines`` (any shape)."""
        forward = self.forward_share * np.exp(log_vmf(cosines, self.forward_kappa))
        backward = self.backward_share * np.exp(log_vmf(-np.asarray(cosines), self.backward_kappa))
        return np.asarray(forward + backward + 0.5 * self.isotropic_share, np.float64)

    def cdf(self, cosines: Floats) -> Floats:
        """Probability of a cosine below ``cosines`` (any shape)."""
        cosines = np.asarray(cosines, np.float64)
        forward = self.forward_share * vmf_cdf(cosines, self.forward_kappa)
        backward = self.backward_share * (1.0 - vmf_cdf(-cosines, self.backward_kappa))
        return np.asarray(forward + backward + 0.5 * self.isotropic_share * (cosines + 1.0), np.float64)


@dataclass(frozen=True)
class Tables:
    """Rows P(cos | E) of one event class.

    pdf (E, M) density per unit cosine; energy_edges_mev (E + 1,), the first and the last bin being open ended;
    cos_edges (M + 1,); n_events (E,) events behind each row; fallback (E,) True where a row is the table of all
    energies.
    """

    pdf: Floats
    energy_edges_mev: Floats
    cos_edges: Floats
    n_events: NDArray[np.int64]
    fallback: NDArray[np.bool_]

    def rows(self, energies_mev: Floats) -> NDArray[np.int64]:
        """Row numbers (N,) for reconstructed energies (N,) in MeV; the outer bins take what lies beyond them."""
        return energy_rows(energies_mev, self.energy_edges_mev)

    def log_pdf(self, row: int, cosines: Floats) -> Floats:
        """Log density of one row at ``cosines`` (any shape).

        Linear in the density between bin centres and constant in the outer half bins: smooth on the sky, and its
        integral over the cosine is exactly that of the histogram, 1.
        """
        centres = 0.5 * (self.cos_edges[1:] + self.cos_edges[:-1])
        return np.asarray(np.log(np.interp(cosines, centres, self.pdf[row])), np.float64)


def log_vmf(cosines: Floats, kappa: float) -> Floats:
    """Log of the von Mises-Fisher density in the cosine, k/(2 sinh k) exp(k c), stable for any k >= 0."""
    cosines = np.asarray(cosines, np.float64)
    if kappa < _SMALL_KAPPA:
        return np.asarray(kappa * cosines - np.log(2.0), np.float64)
    return np.asarray(kappa * (cosines - 1.0) + np.log(kappa) - np.log(-np.expm1(-2.0 * kappa)), np.float64)


def vmf_cdf(cosines: Floats, kappa: float) -> Floats:
    """Probability of a cosine below ``cosines`` for a von Mises-Fisher density with concentration ``kappa``."""
    cosines = np.asarray(cosines, np.float64)
    if kappa < _SMALL_KAPPA:
        return 0.5 * (cosines + 1.0)
    tail = np.exp(-2.0 * kappa)
    return np.asarray((np.exp(kappa * (cosines - 1.0)) - tail) / (1.0 - tail), np.float64)


def concentration(mean_cosine: float) -> float:
    """Maximum-likelihood kappa of a von Mises-Fisher density: the solution of coth(k) - 1/k = ``mean_cosine``.

    A mean of zero or less gives 0 (isotropic). Newton's method from the start value R (3 - R^2)/(1 - R^2)
    (Banerjee et al., JMLR 6 (2005) 1345).
    """
    if mean_cosine <= 0.0:
        return 0.0
    mean = min(mean_cosine, 1.0 - 1.0 / _MAX_KAPPA)
    kappa = mean * (3.0 - mean**2) / (1.0 - mean**2)
    for _ in range(20):
        if kappa < 1e-2:
            return 3.0 * mean
        coth = 1.0 / np.tanh(kappa)
        step = (coth - 1.0 / kappa - mean) / (1.0 - coth**2 + 1.0 / kappa**2)
        kappa = float(np.clip(kappa - step, 0.5 * kappa, 2.0 * kappa))
        if abs(step) < 1e-10 * kappa:
            break
    return min(kappa, _MAX_KAPPA)


def fit_mixture(cosines: Floats, iterations: int = 3000, tolerance: float = 1e-9) -> Mixture:
    """Maximum-likelihood mixture for measured cosines (N,).

    Expectation-maximization from a fixed start; it stops when the mean log-likelihood grows by less than
    ``tolerance``. The concentrations are at most 2000 (1.9 deg), so that few events cannot make a spike.

    Raises
    ------
    ValueError
        There is no event.
    """
    cosines = np.clip(np.asarray(cosines, np.float64), -1.0, 1.0)
    if cosines.size == 0:
        raise ValueError("a mixture needs at least one event")
    shares, kappas = np.array([0.6, 0.2, 0.2]), (8.0, 4.0)
    previous = -np.inf
    for _ in range(iterations):
        logs = np.stack(
            [log_vmf(cosines, kappas[0]), log_vmf(-cosines, kappas[1]), np.full(cosines.shape, -np.log(2.0))]
        )
        with np.errstate(divide="ignore"):
            logs += np.log(shares)[:, None]
        norm = special.logsumexp(logs, axis=0)
        weights = np.exp(logs - norm)
        current = float(norm.mean())
        shares = weights.sum(axis=1) / cosines.size
        kappas = _concentrations(weights, cosines)
        if current - previous < tolerance:
            break
        previous = current
    return Mixture(float(shares[0]), kappas[0], float(shares[1]), kappas[1])


def _concentrations(weights: Floats, cosines: Floats) -> tuple[float, float]:
    """Best concentrations (forward, backward) for given weights (3, N); pooled where the backward one were larger."""
    forward, backward = float(weights[0] @ cosines), -float(weights[1] @ cosines)
    n_forward, n_backward = (max(float(total), 1e-300) for total in weights[:2].sum(axis=1))
    kappas = concentration(forward / n_forward), concentration(backward / n_backward)
    if kappas[1] <= kappas[0]:
        return kappas
    pooled = concentration((forward + backward) / (n_forward + n_backward))
    return pooled, pooled


def table_row(mixture: Mixture, cos_edges: Floats, min_pdf: float) -> Floats:
    """Density (M,) of a mixture averaged over the bins of ``cos_edges`` (M + 1,), floored and renormalized.

    The floor ``min_pdf`` keeps one badly measured event from excluding a direction by itself; the row integrates
    to 1 over the cosine.
    """
    widths = np.diff(cos_edges)
    density = np.maximum(np.diff(mixture.cdf(cos_edges)) / widths, min_pdf)
    return np.asarray(density / np.sum(density * widths), np.float64)


def energy_rows(energies_mev: Floats, edges_mev: Floats) -> NDArray[np.int64]:
    """Bin number (N,) of energies (N,) in MeV for edges (E + 1,); below and above go to the outer bins."""
    rows = np.searchsorted(edges_mev[1:-1], np.asarray(energies_mev, np.float64), side="right")
    return np.asarray(rows, np.int64)


def build_tables(
    cosines: Floats, energies_mev: Floats, edges_mev: Floats, cos_bins: int, min_events: int, min_pdf: float
) -> tuple[Tables, list[Mixture]]:
    """Tables of one class from its calibration events.

    Parameters
    ----------
    cosines : (N,)
        Cosine of the angle between predicted and true direction.
    energies_mev : (N,)
        Reconstructed energy.
    edges_mev : (E + 1,)
        Energy bins, the outer ones open ended.
    cos_bins
        Bins of equal width over [-1, 1].
    min_events
        Bins with fewer events take the table of all energies.
    min_pdf
        Smallest density before the last normalization.

    Returns
    -------
    tables, mixtures
        The rows, and the parameters behind each of them.
    """
    cos_edges = np.linspace(-1.0, 1.0, cos_bins + 1)
    rows = energy_rows(energies_mev, edges_mev)
    counts = np.bincount(rows, minlength=len(edges_mev) - 1)
    fallback = counts < min_events
    common = fit_mixture(cosines)
    mixtures = [common if fallback[i] else fit_mixture(cosines[rows == i]) for i in range(counts.size)]
    pdf = np.stack([table_row(mixture, cos_edges, min_pdf) for mixture in mixtures])
    behind = np.where(fallback, len(cosines), counts).astype(np.int64)
    return Tables(pdf, np.asarray(edges_mev, np.float64), cos_edges, behind, fallback), mixtures


METHODS: dict[str, Callable[[Floats, Floats, Floats, int, int, float], tuple[Tables, list[Mixture]]]] = {
    "vmf_mixture": build_tables
}
"""Ways to make the tables, by the name a version gives; called as `build_tables`."""


def kolmogorov_smirnov(cosines: Floats, row_pdf: Floats, cos_edges: Floats) -> tuple[float, float]:
    """Distance and p-value of the Kolmogorov-Smirnov test of cosines (N,) against one table row (M,).

    The p-value is the asymptotic one (Kolmogorov distribution with the correction of Stephens, 1970); for the
    events the row was fitted to it is too large.
    """
    values = np.sort(np.asarray(cosines, np.float64))
    n = values.size
    cumulative = np.concatenate([[0.0], np.cumsum(row_pdf * np.diff(cos_edges))])
    expected = np.interp(values, cos_edges, cumulative)
    ranks = np.arange(n)
    distance = float(max(np.max((ranks + 1) / n - expected), np.max(expected - ranks / n)))
    root = np.sqrt(n)
    return distance, float(special.kolmogorov((root + 0.12 + 0.11 / root) * distance))


def mean_log_likelihood(tables: Tables, cosines: Floats, energies_mev: Floats) -> float:
    """Mean log density of events (N,) under the tables; isotropic is log(1/2) = -0.693."""
    rows = tables.rows(energies_mev)
    logs = np.empty(len(rows))
    for row in np.unique(rows):
        chosen = rows == row
        logs[chosen] = tables.log_pdf(int(row), np.asarray(cosines, np.float64)[chosen])
    return float(logs.mean())
