"""Neutrons in liquid argon: how far they go, when they are captured, and the gammas that the new nucleus emits.

The cross section for capture falls as 1/v, so that the time until it is exponential whatever the energy:
1 / (n sigma v) = 321 us for 673 mb at 2200 m/s (ACED, Fischer et al., Phys. Rev. D 99, 103021 (2019)). Until then the
neutron scatters elastically and loses up to 10% of its energy each time. The argon has no end, or it ends at walls,
which send some of the neutrons back and keep the others. Inelastic scattering and nuclear recoils are left out.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.simulation.events import ARGON_40, MASS_MEV, NEUTRON, PHOTON, Particles, particles
from snpoint.physics.simulation.materials import ATOMS_PER_CM3
from snpoint.physics.simulation.nuclides import reference

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CAPTURE_MILLIBARN, CAPTURE_CM_US = 673.0, 0.22
"""Cross section for capture, and the velocity that it holds for (ACED)."""
CAPTURE_US = 1 / (ATOMS_PER_CM3 * CAPTURE_MILLIBARN * 1e-27 * CAPTURE_CM_US)
"""Mean time until capture in natural argon [us]: 321."""
SEPARATION_MEV = 6.0989
"""Energy that a capture sets free; Nesaraja & McCutchan, Nucl. Data Sheets 133, 1 (2016)."""
THERMAL_MEV = 7.5e-9
"""k T of liquid argon, 87 K: neutrons do not get slower."""
RETURNING, MODERATED, MODERATED_MEV = 0.4, 0.5, 1.5e-4
"""Share of the neutrons that walls send back, share of those that come back slow, and how slow. Fitted to a LArSoft
production (60 events): 4 of 10 came back, 2 of these with 0.13 and 0.19 keV, the others as fast as before."""
_COLLISIONS = 500
_LIGHT_CM_US = 29979.2458

_FREE_PATH_MEV = np.array([0.0, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 5.0e-2, 6.5e-2, 0.1, 0.2, 0.5, 1.0, 2.0])
_FREE_PATH_CM = np.array([70.0, 70.0, 20.0, 55.0, 68.0, 68.0, 480.0, 5.6, 33.5, 33.5, 44.8, 11.7, 25.8])
"""Mean free path from each of these energies up to the next. Below 100 eV: 0.68 b, Sears, Neutron News 3, 26 (1992).
Above: fitted to a LArSoft production (60 events, 240 collisions of 8 neutrons); 30-65 keV holds the antiresonance at
57 keV (ARTIE, Andringa et al., Phys. Rev. C 108, L011601 (2023))."""


class Leg(NamedTuple):
    """Way of a neutron through argon: until it is captured, or until a wall."""

    points_cm: FloatArray  # (n, 3) where it scatters; the last one is its end
    kinetic_mev: float  # at the end
    elapsed_us: float
    captured: bool


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
    left, elapsed = CAPTURE_US * float(rng.standard_exponential()), 0.0
    place, inward = np.asarray(position_cm, np.float64), np.zeros(3)
    while True:
        leg = travel(rng, place, kinetic_mev, left - elapsed, walls_cm, inward)
        elapsed += leg.elapsed_us
        if leg.captured or walls_cm is None:
            break
        if rng.random() >= RETURNING:
            return particles([], [], np.zeros((0, 3)), np.zeros((0, 3)))
        kinetic_mev = MODERATED_MEV if rng.random() < MODERATED else leg.kinetic_mev
        place = np.clip(leg.points_cm[-1], *walls_cm)
        inward = (place <= walls_cm[0]).astype(np.float64) - (place >= walls_cm[1])
    energies = cascade(rng)
    directions = rng.standard_normal((len(energies), 3))
    directions /= np.sqrt((directions**2).sum(axis=1))[:, None]
    return particles(np.full(len(energies), PHOTON), energies, leg.points_cm[-1], directions, time_us + elapsed)


def travel(
    rng: np.random.Generator,
    start_cm: FloatArray,
    kinetic_mev: float,
    left_us: float,
    walls_cm: tuple[FloatArray, FloatArray] | None = None,
    inward: FloatArray | None = None,
) -> Leg:
    """Follow a neutron that would be captured in ``left_us``.

    ``inward`` is +1 or -1 where its first direction must have this sign, 0 elsewhere. A neutron that meets a wall ends
    where it would have scattered next, outside.
    """
    energy, step, direction = _flight(rng, kinetic_mev)
    if inward is not None:
        direction[0] = np.where(inward != 0, inward * np.abs(direction[0]), direction[0])
    speed = _LIGHT_CM_US * np.sqrt(2 * energy / MASS_MEV[NEUTRON])
    elapsed = np.cumsum(step / speed)
    last = min(int(elapsed.searchsorted(left_us)), _COLLISIONS - 1)
    step[last] -= max(elapsed[last] - left_us, 0.0) * speed[last]
    elapsed[last] = left_us
    points = start_cm + np.cumsum(step[: last + 1, None] * direction[: last + 1], axis=0)
    captured = True
    if walls_cm is not None:
        outside = np.flatnonzero(((points < walls_cm[0]) | (points > walls_cm[1])).any(axis=1))
        if len(outside):
            last, captured = int(outside[0]), False
    return Leg(points[: last + 1], float(energy[last]), float(elapsed[last]), captured)


def _flight(rng: np.random.Generator, kinetic_mev: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Energy [MeV], free path [cm] and direction between collisions, shapes (n,), (n,) and (n, 3)."""
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
    cosine, azimuth = 2 * uniforms[:, 1] - 1, 2 * np.pi * uniforms[:, 2]
    sine = np.sqrt(1 - cosine**2)
    return energy, step, np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=1)


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
