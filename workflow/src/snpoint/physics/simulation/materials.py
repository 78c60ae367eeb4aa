"""Liquid argon: constants, cross sections and the tables the transport interpolates in.

Lengths in cm, energies in MeV. Sources: ICRU collision stopping power with Sternheimer's density effect,
Seltzer-Berger bremsstrahlung (integrated and in shape), screened Rutherford scattering with Moliere's screening,
Moller, Klein-Nishina, and tabulated pair production and photoelectric coefficients.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import AVOGADRO, ELECTRON_MASS_MEV, FINE_STRUCTURE, HBAR_C_MEV_CM

FloatArray = npt.NDArray[np.float64]

ELECTRON_RADIUS_CM = 2.8179403e-13
BOHR_RADIUS_CM = 5.29177e-9

ATOMIC_NUMBER = 18.0
ATOMIC_MASS = 39.948
"""Mean molar mass of natural argon [g/mol]."""
DENSITY_G_CM3 = 1.396
"""Density of liquid argon in LArSoft."""
ATOMS_PER_CM3 = AVOGADRO * DENSITY_G_CM3 / ATOMIC_MASS
MEAN_EXCITATION_MEV = 188e-6
STERNHEIMER = {"a": 0.19559, "k": 3.0, "x0": 0.2, "x1": 3.0, "c": 5.2146}
"""Density effect of liquid argon."""

DELTA_CUT_MEV = 0.10
"""Delta rays above are followed, below they are part of the continuous loss."""
OWN_DELTA_MEV = 0.343
"""Delta rays above have a class of their own; the charge of softer ones counts as that of the particle.

So do LArSoft's files, where no particle is made below a range of 0.7 mm: about 0.34 MeV in liquid argon as Geant4
converts it (quoted, not derived here: the range integral gives 0.26). The share of energy under the track of ten real
ES electrons, 0.87 +- 0.05 with 0.78 here, is too uncertain to fix it.
"""
BREMS_CUT_MEV = 0.02
"""Bremsstrahlung photons above are followed."""
ELECTRON_CUT_MEV = 0.05
"""Electrons and positrons below deposit their energy where they are."""
PHOTON_CUT_MEV = 0.01
"""Photons below deposit their energy where they are."""
MAX_STEP_CM = 0.05
HARD_COSINE_LOSS = 0.05
"""Mean (1 - cos) allowed per path between two hard elastic collisions."""
ELECTRON_SHARE = 0.5
"""Contribution of the atomic electrons to elastic scattering: Z (Z + share)."""

SPIN_BOUND = 1.035
"""The spin factor of elastic scattering is below; hard collisions are tried this much more often."""

N_POINTS = 240
LOG_FIRST = float(np.log(0.01))
LOG_STEP = float((np.log(100.0) - np.log(0.01)) / (N_POINTS - 1))

LOSS, MOLLER, BREMS, HARD, SCREENING, HARD_BORDER, SOFT, COMPTON, PAIR, PHOTO, END_LOSS = range(11)
"""Rows of `argon_tables`."""

# Radiative stopping power of argon [MeV cm2 / g] against kinetic energy [MeV].
_RADIATIVE_ENERGY = np.array([0.1, 0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50])
_RADIATIVE = np.array(
    [0.009932, 0.01611, 0.02741, 0.05569, 0.08806, 0.1595, 0.2360, 0.3569, 0.5682, 0.7872, 1.2396, 1.7041, 2.1765]
)

# Seltzer-Berger shape chi(y) / int chi at y = k / T = 0, 0.1, ..., 1, at three electron energies.
BREMS_SHAPE_LOG_ENERGY = np.log(np.array([6.0, 20.0, 50.0]))
_BREMS_SHAPES = np.array(
    [
        [2.27, 1.78, 1.49, 1.26, 1.07, 0.92, 0.78, 0.66, 0.53, 0.37, 0.10],
        [1.91, 1.54, 1.36, 1.20, 1.07, 0.97, 0.87, 0.78, 0.68, 0.52, 0.08],
        [1.72, 1.41, 1.27, 1.15, 1.05, 0.97, 0.91, 0.85, 0.78, 0.65, 0.07],
    ]
)
BREMS_SHAPES = _BREMS_SHAPES / np.trapezoid(_BREMS_SHAPES, dx=0.1, axis=1)[:, None]

# Mass attenuation coefficients [cm2 / g] against photon energy [MeV].
_PAIR = np.array(
    [
        [1.022, 0.0], [1.5, 2.0e-4], [2, 8.67e-4], [3, 2.514e-3], [5, 5.526e-3], [7, 7.906e-3], [10, 1.0647e-2],
        [15, 1.3912e-2], [20, 1.6258e-2], [30, 1.9525e-2], [40, 2.177e-2], [50, 2.345e-2], [60, 2.4774e-2],
        [100, 2.8e-2],
    ]
).T  # fmt: skip
_PHOTOELECTRIC = np.array(
    [
        [0.01, 63.0], [0.1, 5.395e-2], [0.5, 4.457e-4], [1, 8.18e-5], [2, 2.36e-5], [3, 1.30e-5], [5, 6.7e-6],
        [10, 2.96e-6], [60, 4.4e-7],
    ]
).T  # fmt: skip


@lru_cache(maxsize=1)
def argon_tables() -> FloatArray:
    """Everything that depends on energy, shape (11, `N_POINTS`), rows as named above, read-only.

    Points are spaced evenly in the logarithm of the kinetic (photon) energy from 0.01 to 100 MeV. `LOSS` is the
    restricted stopping power [MeV/cm]; `MOLLER`, `BREMS`, `HARD` (with `SPIN_BOUND`) and the photon rows are rates
    [1/cm]; `SOFT` is
    the mean (1 - cos) per cm of soft elastic scattering; `SCREENING` and `HARD_BORDER` are in mu = (1 - cos)/2;
    `END_LOSS` is the energy over the range: the mean density of an electron's ionization until it rests [MeV/cm].
    """
    energy = np.exp(LOG_FIRST + LOG_STEP * np.arange(N_POINTS))
    moller_rate, moller_loss = np.array([_moller(t) for t in energy]).T
    brems_rate, soft_brems_loss = np.array([_brems(t) for t in energy]).T
    screening, border, hard_rate, soft = _elastic(energy)
    table = np.empty((11, N_POINTS))
    table[LOSS] = collision_loss(energy) - moller_loss + soft_brems_loss
    table[MOLLER], table[BREMS], table[HARD] = moller_rate, brems_rate, SPIN_BOUND * hard_rate
    table[SCREENING], table[HARD_BORDER], table[SOFT] = screening, border, soft
    table[COMPTON] = _klein_nishina(energy)
    table[PAIR] = DENSITY_G_CM3 * np.interp(np.log(energy), np.log(_PAIR[0]), _PAIR[1])
    table[PHOTO] = DENSITY_G_CM3 * _log_log(energy, _PHOTOELECTRIC[0], _PHOTOELECTRIC[1])
    table[END_LOSS] = energy / electron_range(energy)
    table.setflags(write=False)
    return table


def electron_range(energy_mev: FloatArray) -> FloatArray:
    """Range [cm] of electrons of these energies, rising from 0.01 MeV: the integral of 1 / collision loss.

    Below the first energy, where the formula ends, the loss goes on as the power of the energy that it follows there.
    """
    loss = collision_loss(energy_mev)
    power = np.log(loss[1] / loss[0]) / np.log(energy_mev[1] / energy_mev[0])
    steps = 0.5 * (1 / loss[1:] + 1 / loss[:-1]) * np.diff(energy_mev)
    return np.asarray(energy_mev[0] / loss[0] / (1 - power) + np.concatenate([[0.0], np.cumsum(steps)]))


def collision_loss(energy_mev: FloatArray) -> FloatArray:
    """Unrestricted collision stopping power of electrons in liquid argon [MeV/cm] (ICRU 37)."""
    tau = energy_mev / ELECTRON_MASS_MEV
    beta2 = tau * (tau + 2) / (tau + 1) ** 2
    x = 0.5 * np.log10(tau * (tau + 2))
    s = STERNHEIMER
    tail = np.where(x < s["x1"], s["a"] * np.maximum(s["x1"] - x, 0.0) ** s["k"], 0.0)
    delta = np.where(x < s["x0"], 0.0, 2 * np.log(10) * x - s["c"] + tail)
    shape = (1 - beta2) * (1 + tau**2 / 8 - (2 * tau + 1) * np.log(2))
    bracket = 2 * np.log(energy_mev / MEAN_EXCITATION_MEV) + np.log1p(tau / 2) + shape - delta
    return np.asarray(DENSITY_G_CM3 * 0.153537 / beta2 * ATOMIC_NUMBER / ATOMIC_MASS * bracket)


def radiative_loss(energy_mev: npt.ArrayLike) -> FloatArray:
    """Radiative stopping power [MeV/cm] (Seltzer-Berger, integrated)."""
    return DENSITY_G_CM3 * _log_log(np.asarray(energy_mev, np.float64), _RADIATIVE_ENERGY, _RADIATIVE)


def _log_log(x: FloatArray, x_table: FloatArray, y_table: FloatArray) -> FloatArray:
    """Interpolate in logarithms, and go on straight beyond the ends."""
    lx, ly, at = np.log(x_table), np.log(y_table), np.log(x)
    inside = np.interp(at, lx, ly)
    low, high = (ly[1] - ly[0]) / (lx[1] - lx[0]), (ly[-1] - ly[-2]) / (lx[-1] - lx[-2])
    return np.asarray(np.exp(inside + low * np.minimum(at - lx[0], 0) + high * np.maximum(at - lx[-1], 0)))


def _moller(energy: float) -> tuple[float, float]:
    """Rate [1/cm] of delta rays above the cut and the energy they take [MeV/cm]."""
    if energy <= 2 * DELTA_CUT_MEV:
        return 0.0, 0.0
    tau = energy / ELECTRON_MASS_MEV
    beta2 = tau * (tau + 2) / (tau + 1) ** 2
    # Even in ln x: the cross section falls as 1/x^2.
    x = np.geomspace(DELTA_CUT_MEV / energy, 0.5, 2001)
    weight = 1 / x**2 + 1 / (1 - x) ** 2 + (tau / (tau + 1)) ** 2 - (2 * tau + 1) / (tau + 1) ** 2 / (x * (1 - x))
    constant = 2 * np.pi * ELECTRON_RADIUS_CM**2 * ELECTRON_MASS_MEV * ATOMS_PER_CM3 * ATOMIC_NUMBER
    cross_section = constant / (beta2 * energy) * weight
    return float(np.trapezoid(cross_section, x)), float(np.trapezoid(cross_section * x * energy, x))


def brems_shape(y: FloatArray, energy: float) -> FloatArray:
    """Seltzer-Berger shape chi(y) / int chi at photon fraction ``y``, clamped to 6 .. 50 MeV electrons."""
    grid = np.linspace(0.0, 1.0, BREMS_SHAPES.shape[1])
    log_energy = np.clip(np.log(energy), BREMS_SHAPE_LOG_ENERGY[0], BREMS_SHAPE_LOG_ENERGY[-1])
    rows = [np.interp(log_energy, BREMS_SHAPE_LOG_ENERGY, column) for column in BREMS_SHAPES.T]
    return np.asarray(np.interp(y, grid, rows))


def _brems(energy: float) -> tuple[float, float]:
    """Rate [1/cm] of photons above the cut and the energy [MeV/cm] that softer ones take."""
    total = float(radiative_loss(energy))
    border = BREMS_CUT_MEV / energy
    if border >= 1.0:
        return 0.0, total
    hard = np.geomspace(border, 1.0, 2001)
    soft = np.linspace(0.0, border, 201)
    rate = total / energy * np.trapezoid(brems_shape(hard, energy) / hard, hard)
    return float(rate), float(total * np.trapezoid(brems_shape(soft, energy), soft))


def _elastic(energy: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Screened Rutherford scattering in two parts: screening, border in mu, hard rate [1/cm], soft rate [1/cm].

    The hard rate is without the spin factor, the soft one with it.
    """
    momentum2 = energy * (energy + 2 * ELECTRON_MASS_MEV)
    beta2 = momentum2 / (energy + ELECTRON_MASS_MEV) ** 2
    radius = 0.885 * BOHR_RADIUS_CM * ATOMIC_NUMBER ** (-1 / 3)
    moliere = 1.13 + 3.76 * (FINE_STRUCTURE * ATOMIC_NUMBER) ** 2 / beta2
    screening = (HBAR_C_MEV_CM / radius) ** 2 / momentum2 * moliere / 4
    charge2 = ATOMIC_NUMBER * (ATOMIC_NUMBER + ELECTRON_SHARE)
    rutherford = np.pi * (FINE_STRUCTURE * HBAR_C_MEV_CM) ** 2 * charge2 * ATOMS_PER_CM3
    total = rutherford / (momentum2 * beta2) / (screening * (1 + screening))

    def transport_rate(border: FloatArray | float) -> FloatArray:
        inner = np.log((border + screening) / screening) + screening / (border + screening) - 1
        return np.asarray(2 * total * screening * (1 + screening) * inner)

    free_path = np.maximum(np.maximum(1 / total, 0.004), np.minimum(HARD_COSINE_LOSS / transport_rate(1.0), 0.1))
    share = 1 / (free_path * total)
    border = screening * (1 - share) / (share + screening)
    mu = border * np.geomspace(1e-6, 1.0, 601)[:, None]
    weight = mu / (mu + screening) ** 2
    spin = np.trapezoid(weight * spin_factor(mu, beta2), mu, axis=0) / np.trapezoid(weight, mu, axis=0)
    return screening, border, 1 / free_path, spin * transport_rate(border)


def spin_factor(mu: FloatArray, beta2: FloatArray | float, charge: float = -1.0) -> FloatArray:
    """Elastic scattering of electrons (charge -1) and positrons (+1) over Rutherford's, mu = (1 - cos) / 2.

    W. A. McKinley and H. Feshbach, Phys. Rev. 74 (1948) 1759: first order in Z / 137.
    """
    sine = np.sqrt(mu)
    interference = np.pi * FINE_STRUCTURE * ATOMIC_NUMBER * np.sqrt(beta2) * sine * (1 - sine)
    return np.asarray(1 - beta2 * mu - charge * interference)


def _klein_nishina(energy: FloatArray) -> FloatArray:
    """Compton rate on free electrons [1/cm]."""
    a = energy / ELECTRON_MASS_MEV
    log = np.log1p(2 * a)
    per_electron = (
        (1 + a) / a**2 * (2 * (1 + a) / (1 + 2 * a) - log / a) + log / (2 * a) - (1 + 3 * a) / (1 + 2 * a) ** 2
    )
    return np.asarray(2 * np.pi * ELECTRON_RADIUS_CM**2 * per_electron * ATOMS_PER_CM3 * ATOMIC_NUMBER)
