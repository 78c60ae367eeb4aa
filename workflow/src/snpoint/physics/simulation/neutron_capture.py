"""Neutrons in liquid argon: how far they go, when they are captured, and the gammas that the new nucleus emits.

The cross section for capture falls as 1/v, so that the time until it is exponential whatever the energy:
1 / (n sigma v) = 321 us for 673 mb at 2200 m/s (ACED, Fischer et al., Phys. Rev. D 99, 103021 (2019)). Until then the
neutron scatters elastically and loses up to 10% of its energy each time. The argon has no end, or it ends at walls,
which send some of the neutrons back and keep the others. Inelastic scattering and nuclear recoils are left out.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from snpoint.physics.simulation.events import ARGON_40, MASS_MEV, NEUTRON, PHOTON, Particles, particles
from snpoint.physics.simulation.flux import ARGON_G_MOL, AVOGADRO
from snpoint.physics.simulation.nuclides import reference

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ARGON_G_CM3 = 1.396
CAPTURE_MILLIBARN, CAPTURE_CM_US = 673.0, 0.22
"""Cross section for capture, and the velocity that it holds for (ACED)."""
CAPTURE_US = 1 / (ARGON_G_CM3 / ARGON_G_MOL * AVOGADRO * CAPTURE_MILLIBARN * 1e-27 * CAPTURE_CM_US)
"""Mean time until capture in natural argon [us]: 321."""
SEPARATION_MEV = 6.0989
"""Energy that a capture sets free; Nesaraja & McCutchan, Nucl. Data Sheets 133, 1 (2016)."""
THERMAL_MEV = 7.5e-9
"""k T of liquid argon, 87 K: neutrons do not get slower."""
RETURNING = 0.5
"""Share of the neutrons that the walls send back; a LArSoft production (60 events): 6 of 12."""
_COLLISIONS = 500
_LIGHT_CM_US = 29979.2458

_FREE_PATH_MEV = np.array([0.0, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 5.0e-2, 6.5e-2, 0.1, 0.2, 0.5, 1.0, 2.0])
_FREE_PATH_CM = np.array([70.0, 70.0, 20.0, 55.0, 68.0, 68.0, 480.0, 5.6, 33.5, 33.5, 44.8, 11.7, 25.8])
"""Mean free path from each of these energies up to the next. Below 100 eV: 0.68 b, Sears, Neutron News 3, 26 (1992).
Above: fitted to a LArSoft production (60 events, 240 collisions of 8 neutrons); 30-65 keV holds the antiresonance at
57 keV (ARTIE, Andringa et al., Phys. Rev. C 108, L011601 (2023))."""


def capture(
    rng: np.random.Generator,
    position_cm: npt.ArrayLike,
    time_us: float,
    kinetic_mev: float = 1.0,
    walls_cm: tuple[FloatArray, FloatArray] | None = None,
) -> Particles:
    """Gammas of the capture of a neutron that starts at a place and time; no rows if a wall keeps it.

    ``walls_cm`` are the lower and upper corner of the argon, None: it has no end. The gammas have no mother.
    """
    way, delay = travel(rng, kinetic_mev)
    path = np.asarray(position_cm, np.float64) + way
    place, crossings = (path[-1], 0) if walls_cm is None else _between_walls(path, *walls_cm)
    energies = cascade(rng)
    directions = rng.standard_normal((len(energies), 3))
    directions /= np.sqrt((directions**2).sum(axis=1))[:, None]
    if rng.random() >= RETURNING**crossings:
        energies, directions = energies[:0], directions[:0]
    return particles(np.full(len(energies), PHOTON), energies, place, directions, time_us + delay)


def _between_walls(path: FloatArray, low: FloatArray, high: FloatArray) -> tuple[FloatArray, int]:
    """The last point of a path that walls reflect, and how often they do; (n, 3) as if there were no walls."""
    size = high - low
    place = (path - low) / size
    cell = np.floor(place)
    crossings = int(np.abs(cell[0]).sum() + np.abs(np.diff(cell, axis=0)).sum())
    inside = place[-1] - cell[-1]
    return np.asarray(low + size * np.where(cell[-1] % 2 == 0, inside, 1 - inside)), crossings


def travel(rng: np.random.Generator, kinetic_mev: float) -> tuple[FloatArray, float]:
    """Where a neutron scatters on its way, relative to its start, shape (n, 3) [cm], and when it is captured [us].

    The last point is that of the capture. The neutron starts with ``kinetic_mev``.
    """
    delay = CAPTURE_US * float(rng.standard_exponential())
    uniforms = rng.random((_COLLISIONS, 3))
    # Isotropic in the center of mass: the energy kept is even between ((A - 1) / (A + 1))^2 and 1; with A = 40 the
    # directions in the laboratory are isotropic, too, but for 1.7%.
    mass = MASS_MEV[ARGON_40] / MASS_MEV[NEUTRON]
    loss = 4 * mass / (mass + 1) ** 2
    energy = np.empty(_COLLISIONS)
    energy[0] = kinetic_mev
    np.cumprod(1 - loss * uniforms[:-1, 0], out=energy[1:])
    energy[1:] *= kinetic_mev
    np.maximum(energy, THERMAL_MEV, out=energy)
    free = _FREE_PATH_CM[np.searchsorted(_FREE_PATH_MEV, energy, side="right") - 1]
    step = free * rng.standard_exponential(_COLLISIONS)
    speed = _LIGHT_CM_US * np.sqrt(2 * energy / MASS_MEV[NEUTRON])
    elapsed = np.cumsum(step / speed)
    last = min(int(elapsed.searchsorted(delay)), _COLLISIONS - 1)
    step[last] -= max(elapsed[last] - delay, 0.0) * speed[last]
    step = step[: last + 1]
    cosine, azimuth = 2 * uniforms[: last + 1, 1] - 1, 2 * np.pi * uniforms[: last + 1, 2]
    sine = np.sqrt(1 - cosine**2)
    directions = np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=1)
    return np.cumsum(step[:, None] * directions, axis=0), delay


def cascade(rng: np.random.Generator) -> FloatArray:
    """Energies of the gammas of one capture [MeV]; they add up to `SEPARATION_MEV`."""
    energy, finals = _levels()
    level, gammas = len(energy) - 1, []
    while level:
        final, cumulated = finals[level]
        reached = int(final[min(int(cumulated.searchsorted(rng.random(), side="right")), len(final) - 1)])
        gammas.append(energy[level] - energy[reached])
        level = reached
    return np.array(gammas, np.float64)


@lru_cache(maxsize=1)
def _levels() -> tuple[list[float], list[tuple[IntArray, FloatArray]]]:
    """Energies of the levels of Ar-41, and of each the final levels with cumulated probabilities."""
    rows = reference("argon41")["levels"]
    finals = []
    for _, weights in rows:
        share = np.cumsum(np.array(list(weights.values()), np.float64))
        finals.append((np.array(list(weights), np.int64), share / share[-1] if len(share) else share))
    return [float(row[0]) for row in rows], finals
