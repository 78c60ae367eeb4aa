"""De-excitation of the nuclei that a neutrino leaves: gammas, neutrons, protons and alphas until the ground state.

Bound discrete levels emit the gammas of the evaluated schemes. Above them a compound nucleus decays as Hauser and
Feshbach have it (Phys. Rev. 87, 366 (1952)): every way out is as likely as its transmission coefficients times the
number of levels it leads to, with spin and parity conserved; so does MARLEY (Gardiner, Phys. Rev. C 103, 044604
(2021)), with other transmission coefficients. Particles leave isotropically in the rest frame of their nucleus.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.simulation.events import MASS_MEV, PHOTON
from snpoint.physics.simulation.nuclides import Nuclide, nuclides
from snpoint.physics.simulation.transmission import (
    FRAGMENTS,
    HIGHEST_L,
    Fragment,
    GammaTransmission,
    ParticleTransmission,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Vector = tuple[float, float, float]

_CELL_MEV = 0.1
"""Ways out of the continuum are worked out once for each cell of excitation energy this wide."""
_NEGLIGIBLE = 1e-6
"""Ways out that are less likely than this are left out."""


class State(NamedTuple):
    """An excited nucleus. ``level`` is its number, or -1 in the continuum."""

    nuclide: Nuclide
    energy_mev: float
    twice_spin: int
    parity: int
    level: int


class Emission(NamedTuple):
    """A particle from a nucleus: kinetic energy and unit vector in the laboratory."""

    pdg: int
    kinetic_mev: float
    direction: Vector


class _Ways(NamedTuple):
    """Ways out of a state: cumulated probability, and for each the channel and its target."""

    cumulated: FloatArray  # (n,)
    channel: IntArray  # (n,) 0: gamma, else place in the channels of the nuclide
    target: IntArray  # (n,) place in the targets of the nucleus that is left


class _Channel(NamedTuple):
    """A kind of particle that a nuclide can emit, and what is left."""

    fragment: Fragment
    left: Nuclide
    threshold_mev: float
    transmission: ParticleTransmission


class Deexcitation:
    """All nuclei and their ways out; those are worked out when first needed."""

    def __init__(self) -> None:
        self.nuclides = nuclides()
        self._channels: dict[tuple[int, int], tuple[_Channel, ...]] = {}
        self._ways: dict[tuple[int, int, int, int, int], _Ways] = {}

    def state(self, z: int, a: int, energy_mev: float, twice_spin: int, parity: int) -> State:
        """The level nearest to an excitation energy, or, above the levels, a state of exactly this energy."""
        nuclide = self.nuclides[z, a]
        if energy_mev > nuclide.continuum_mev:
            return State(nuclide, energy_mev, twice_spin, parity, -1)
        return _level(nuclide, nuclide.nearest_level(energy_mev))

    def cascade(self, rng: np.random.Generator, state: State, momentum_mev: Vector) -> tuple[list[Emission], Emission]:
        """Everything that a moving excited nucleus emits, in order, and the nucleus that remains."""
        out: list[Emission] = []
        while state.level != 0:
            fragment, following, released = self._decay(rng, state)
            emission, momentum_mev = _emit(rng, state, following, released, fragment, momentum_mev)
            out.append(emission)
            state = following
        size = math.sqrt(sum(p * p for p in momentum_mev))
        mass = state.nuclide.mass_mev
        direction = _scaled(momentum_mev, 1 / size) if size > 0 else (0.0, 0.0, 1.0)
        return out, Emission(state.nuclide.pdg, size * size / (math.hypot(size, mass) + mass), direction)

    def probabilities(self, state: State) -> dict[int, float]:
        """How likely the first particle is a gamma, neutron, proton or alpha, by PDG code."""
        ways = self._ways_of(state)
        channels = self._channels_of(state.nuclide)
        share = np.bincount(ways.channel, np.diff(ways.cumulated, prepend=0.0), minlength=len(channels) + 1)
        return dict(zip([PHOTON, *(c.fragment.pdg for c in channels)], share.tolist(), strict=True))

    def _decay(self, rng: np.random.Generator, state: State) -> tuple[int, State, float]:
        """PDG code of what is emitted, the state it leads to, and the energy that is set free [MeV]."""
        nuclide = state.nuclide
        if state.level > 0 and len(nuclide.branches[state.level][0]):
            final, cumulated = nuclide.branches[state.level]
            number = int(final[min(int(cumulated.searchsorted(rng.random(), side="right")), len(final) - 1)])
            return PHOTON, _level(nuclide, number), float(state.energy_mev - nuclide.energy_mev[number])
        ways = self._ways_of(state)
        # In its cell of energy a state may lie too low for what the middle of the cell can reach: once more, then.
        for first, second in rng.random((20, 2)).tolist() if len(ways.cumulated) else ():
            place = min(int(ways.cumulated.searchsorted(first, side="right")), len(ways.cumulated) - 1)
            channel = int(ways.channel[place])
            chosen = self._channels_of(nuclide)[channel - 1] if channel else None
            left = chosen.left if chosen else nuclide
            available = state.energy_mev - (chosen.threshold_mev if chosen else 0.0)
            following = _reached(left, int(ways.target[place]), second)
            if available > following.energy_mev:
                pdg = chosen.fragment.pdg if chosen else PHOTON
                return pdg, following, available - following.energy_mev
        return PHOTON, _level(nuclide, 0), state.energy_mev

    def _ways_of(self, state: State) -> _Ways:
        nuclide = state.nuclide
        cell = -1 - state.level if state.level >= 0 else int(state.energy_mev / _CELL_MEV)
        key = (nuclide.z, nuclide.a, cell, state.twice_spin, state.parity)
        if key not in self._ways:
            energy = state.energy_mev if cell < 0 else (cell + 0.5) * _CELL_MEV
            self._ways[key] = self._worked_out(state._replace(energy_mev=energy))
        return self._ways[key]

    def _worked_out(self, state: State) -> _Ways:
        rows = [_gamma_widths(state)]
        rows += [_particle_widths(state, channel) for channel in self._channels_of(state.nuclide)]
        widths = np.concatenate(rows)
        channel = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        target = np.concatenate([np.arange(len(row)) for row in rows])
        kept = widths > _NEGLIGIBLE * widths.sum()
        cumulated = np.cumsum(widths[kept])
        return _Ways(cumulated / cumulated[-1] if len(cumulated) else cumulated, channel[kept], target[kept])

    def _channels_of(self, nuclide: Nuclide) -> tuple[_Channel, ...]:
        key = (nuclide.z, nuclide.a)
        if key not in self._channels:
            self._channels[key] = tuple(
                _Channel(
                    fragment,
                    left,
                    left.mass_mev + MASS_MEV[fragment.pdg] - nuclide.mass_mev,
                    ParticleTransmission(fragment, left.z, left.a, left.mass_mev),
                )
                for fragment in FRAGMENTS
                if (left := self.nuclides.get((nuclide.z - fragment.z, nuclide.a - fragment.a))) is not None
            )
        return self._channels[key]


@lru_cache(maxsize=1)
def deexcitation() -> Deexcitation:
    """The one of this process; what it has worked out once serves all events."""
    return Deexcitation()


def _level(nuclide: Nuclide, number: int) -> State:
    energy, spin, parity = nuclide.energy_mev[number], nuclide.twice_spin[number], nuclide.parity[number]
    return State(nuclide, float(energy), int(spin), int(parity), number)


def _reached(nuclide: Nuclide, target: int, uniform: float) -> State:
    """The level, or a state somewhere in the cell of the continuum."""
    if target < len(nuclide.energy_mev):
        return _level(nuclide, target)
    targets = nuclide.targets
    energy = float(targets.energy_mev[target] + (uniform - 0.5) * targets.width_mev[target])
    return State(nuclide, energy, int(targets.twice_spin[target]), int(targets.parity[target]), -1)


def _gamma_widths(state: State) -> FloatArray:
    """Transmission coefficient times levels for each target of the nuclide itself, shape (targets,)."""
    targets, transmission = state.nuclide.targets, GammaTransmission(state.nuclide.z, state.nuclide.a)
    released = state.energy_mev - targets.energy_mev
    energy = np.maximum(released, 1e-6)
    change, total = abs(targets.twice_spin - state.twice_spin) // 2, (targets.twice_spin + state.twice_spin) // 2
    same = targets.parity == state.parity
    dipole, quadrupole = (change <= 1) & (total >= 1), (change == 2) & (total >= 2) & same
    width = np.where(
        dipole,
        np.where(same, transmission.magnetic_dipole(energy), transmission.electric_dipole(energy)),
        np.where(quadrupole, transmission.electric_quadrupole(energy), 0.0),
    )
    return np.asarray(np.where(released > 0, width * targets.levels, 0.0))


def _particle_widths(state: State, channel: _Channel) -> FloatArray:
    """The same for a kind of particle: sum over l and j of T_l, of those that spin and parity allow."""
    targets = channel.left.targets
    released = state.energy_mev - channel.threshold_mev - targets.energy_mev
    open_ = np.flatnonzero(released > 0)
    width = np.zeros(len(released))
    # The energies repeat for every spin and parity of a cell.
    energies, place = np.unique(released[open_], return_inverse=True)
    coefficients = channel.transmission.of(energies)
    spin = targets.twice_spin[open_]
    low, high = abs(spin - state.twice_spin), spin + state.twice_spin
    for momentum in range(HIGHEST_L + 1):
        allowed = targets.parity[open_] * state.parity == (-1) ** momentum
        for j in _sums(2 * momentum, channel.fragment.twice_spin):
            width[open_] += np.where(allowed & (low <= j) & (j <= high), coefficients[momentum][place], 0.0)
    return np.asarray(width * targets.levels)


def _sums(first: int, second: int) -> range:
    """What l and the spin of a nucleon or alpha can add up to; all of them twice."""
    return range(abs(first - second), first + second + 1, 2)


def _emit(
    rng: np.random.Generator, before: State, after: State, released_mev: float, pdg: int, momentum_mev: Vector
) -> tuple[Emission, Vector]:
    """Two-body decay of a moving nucleus: the particle, and the momentum of what is left [MeV/c]."""
    mass, light = before.nuclide.mass_mev + before.energy_mev, MASS_MEV[pdg]
    heavy = after.nuclide.mass_mev + after.energy_mev
    # (M^2 - (m + M')^2)(M^2 - (m - M')^2), with M - m - M' given, lest it be lost among 37 GeV.
    product = released_mev * (2 * mass - released_mev) * (mass - light + heavy) * (mass + light - heavy)
    size = math.sqrt(product) / (2 * mass)
    cosine, azimuth = 2 * rng.random() - 1, 2 * math.pi * rng.random()
    sine = math.sqrt(1 - cosine * cosine)
    own = (size * sine * math.cos(azimuth), size * sine * math.sin(azimuth), size * cosine)
    p = boosted(own, math.hypot(size, light), momentum_mev, mass)
    length = math.sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2])
    kinetic = length * length / (math.hypot(length, light) + light)
    left = (momentum_mev[0] - p[0], momentum_mev[1] - p[1], momentum_mev[2] - p[2])
    return Emission(pdg, kinetic, _scaled(p, 1 / length)), left


def boosted(own: Vector, energy: float, momentum: Vector, mass: float) -> Vector:
    """Momentum in the laboratory of a particle with momentum ``own`` in the frame of a system that moves."""
    total = math.sqrt(sum(p * p for p in momentum) + mass * mass)
    along = (own[0] * momentum[0] + own[1] * momentum[1] + own[2] * momentum[2]) / (mass * (total + mass))
    share = along + energy / mass
    return (own[0] + share * momentum[0], own[1] + share * momentum[1], own[2] + share * momentum[2])


def _scaled(vector: Vector, factor: float) -> Vector:
    return (vector[0] * factor, vector[1] * factor, vector[2] * factor)
