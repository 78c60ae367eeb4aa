"""Interactions of electron neutrinos with argon nuclei: nu_e + Ar-40 -> e- + K-40*, and what the nucleus emits.

Either as often as flux and cross section say, or with the energies of a given event (twins). Particles of a block, in
the order of the productions' files: electron, nucleus, then what it emits in the order of emission; behind those the
gammas of captured neutrons, delayed and displaced, whose mother is the neutron.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from snpoint.errors import ConfigError
from snpoint.physics.constants import ELECTRON_MASS_MEV, SIGNAL_GENERATOR
from snpoint.physics.geometry import Detector
from snpoint.physics.simulation.deexcitation import Deexcitation, Emission, State, deexcitation
from snpoint.physics.simulation.directions import Directions, around
from snpoint.physics.simulation.events import (
    ARGON_40,
    ELECTRON,
    MASS_MEV,
    NEUTRON,
    POTASSIUM_40,
    Block,
    Neutrino,
    Particles,
    particles,
)
from snpoint.physics.simulation.flux import FluxModel, argon_atoms, sphere_cm2
from snpoint.physics.simulation.neutron_capture import capture
from snpoint.physics.simulation.strengths import Strengths, scattering_cosine
from snpoint.physics.simulation.vertices import Vertices
from snpoint.settings import SimulateSettings, Twin

FloatArray = npt.NDArray[np.float64]

ARGON_BEYOND_CM = 50.0
"""How far the argon goes on outside the drift volumes, for neutrons."""
_NUE = 12
_GRID = 1201


class ChargedCurrent:
    """Interactions of a supernova's electron neutrinos with argon; generator ``cc``.

    Raises
    ------
    ConfigError
        No electron lies in the window of kinetic energies, or the vertex margin leaves no room.
    """

    def __init__(self, settings: SimulateSettings, sample: str, detector: Detector) -> None:
        self._window = settings.electron
        self._vertices = Vertices(detector, settings.vertex_margin_cm)
        self._directions = Directions(settings.direction, settings.seed, sample)
        corners = np.array([(v.x_range_cm, v.y_range_cm, v.z_range_cm) for v in detector.volumes], np.float64)
        self._walls = (corners[..., 0].min(axis=0) - ARGON_BEYOND_CM, corners[..., 1].max(axis=0) + ARGON_BEYOND_CM)
        self._strengths = Strengths()
        self._nuclei: Deexcitation = deexcitation()
        flux = FluxModel(settings.flux)
        least = self._strengths.least_neutrino_mev()
        self._energy = least + flux.highest_mev * np.linspace(0, 1, _GRID) ** 2
        levels = self._in_window(self._energy)
        rate = flux.number("nue", self._energy) * levels.sum(axis=1)
        self._integral = _cumulated(0.5 * (rate[1:] + rate[:-1]) * np.diff(self._energy))
        if not self._integral[-1] > 0:
            raise ConfigError(
                f"electron: flux gives no CC electrons between min_mev {self._window.min_mev:g} and max_mev"
                f" {self._window.max_mev:g}; make the window wider"
            )
        self._levels = np.cumsum(levels, axis=1)

    def expected(self, mass_kt: float, distance_kpc: float) -> float:
        """Mean number of interactions with an electron in the window, for a mass of argon and a distance."""
        return float(argon_atoms(mass_kt) * self._integral[-1] / sphere_cm2(distance_kpc))

    def cross_section_cm2(self, neutrino_mev: npt.ArrayLike) -> FloatArray:
        """Total cross section per argon nucleus [cm^2], of the shape of ``neutrino_mev``; no window."""
        energy = np.asarray(neutrino_mev, np.float64)
        return np.asarray(self._strengths.cross_sections_cm2(energy.ravel()).sum(axis=1).reshape(energy.shape))

    def block(self, rng: np.random.Generator) -> Block:
        """One interaction; every random number comes from ``rng``."""
        return self.block_along(rng, self._directions.draw(rng))

    def block_along(self, rng: np.random.Generator, direction: FloatArray) -> Block:
        """One interaction of a neutrino that flies along ``direction``."""
        while True:
            neutrino, level = self._transition(rng)
            electron, cosine = self._electron(rng, neutrino, level)
            if self._window.min_mev <= electron <= self._window.max_mev:
                break
        came, vertex = Neutrino(_NUE, neutrino, direction), self._vertices.draw(rng)
        return self._finished(rng, came, (electron, cosine), self._excited(level), vertex)

    def twin(self, rng: np.random.Generator, twin: Twin) -> Block:
        """An interaction with the energies of a given event, at its distance from the plane x = 0.

        The transition is one that gives this electron at some angle, drawn by strength; else the excitation is what
        the energies leave: exactly that in the continuum, below it the nearest level, and the neutrino takes the rest.

        Raises
        ------
        ConfigError
            The neutrino has too little energy for this electron, or no drift volume has such places.
        """
        direction, vertex = self._directions.draw(rng), self._vertices.at_distance(rng, twin.abs_x_cm)
        neutrino, electron = twin.neutrino_mev, twin.electron_mev
        chosen = self._matching(rng, neutrino, electron)
        if chosen is not None:
            level, cosine = chosen
            state = self._excited(level)
        else:
            cosine = scattering_cosine(rng.random(), -1 / 3)
            excitation = _excitation_mev(neutrino, electron, cosine)
            if excitation < 0:
                raise ConfigError(
                    f"twins: neutrino_mev {neutrino:g} is too little for an electron of electron_mev {electron:g};"
                    f" CC needs {_neutrino_mev(electron, 0.0, cosine):.3f} or more"
                )
            state = self._nuclei.state(19, 40, excitation, 2, 1)
        neutrino = _neutrino_mev(electron, state.energy_mev, cosine)
        return self._finished(rng, Neutrino(_NUE, neutrino, direction), (electron, cosine), state, vertex)

    def _excited(self, level: int) -> State:
        """The nucleus that a transition makes: spin and parity 0+ (Fermi) or 1+ (Gamow-Teller)."""
        twice_spin = 0 if self._strengths.fermi[level] else 2
        return self._nuclei.state(19, 40, float(self._strengths.energy_mev[level]), twice_spin, 1)

    def _in_window(self, neutrino_mev: FloatArray) -> FloatArray:
        """Cross sections [cm^2] by level, shape (energies, n), 0 where an electron across is outside the window."""
        energy, momentum, velocity = self._strengths.kinematics(neutrino_mev)
        kinetic = energy / np.sqrt(1 - velocity**2) - ELECTRON_MASS_MEV
        inside = (momentum > 0) & (kinetic >= self._window.min_mev) & (kinetic <= self._window.max_mev)
        return np.asarray(np.where(inside, self._strengths.cross_sections_cm2(neutrino_mev), 0.0))

    def _transition(self, rng: np.random.Generator) -> tuple[float, int]:
        """Energy of a neutrino [MeV] and number of the level it excites."""
        while True:
            first, second, third = rng.random(3).tolist()
            neutrino = float(np.interp(first * self._integral[-1], self._integral, self._energy))
            place = min(int(np.searchsorted(self._energy, neutrino, side="right")), _GRID - 1)
            # Levels of one of the two neighbors on the grid: in the mean, those in between.
            low, high = self._energy[place - 1 : place + 1]
            row = self._levels[place - 1 if third * (high - low) > neutrino - low else place]
            level = int(np.searchsorted(row, second * row[-1], side="right"))
            if row[-1] > 0 and self._strengths.kinematics(np.array([neutrino]))[1][0, level] > 0:
                return neutrino, level

    def _electron(self, rng: np.random.Generator, neutrino_mev: float, level: int) -> tuple[float, float]:
        """Kinetic energy of the electron [MeV] and cosine of its angle with the neutrino, in the laboratory."""
        energies, momenta, velocities = self._strengths.kinematics(np.array([neutrino_mev]))
        energy, momentum, velocity = float(energies[0, level]), float(momenta[0, level]), float(velocities[0, 0])
        cosine = scattering_cosine(rng.random(), self._slope(level) * momentum / energy)
        lorentz = 1 / math.sqrt(1 - velocity * velocity)
        total = lorentz * (energy + velocity * momentum * cosine)
        along, across = lorentz * (momentum * cosine + velocity * energy), momentum * math.sqrt(1 - cosine * cosine)
        size = math.hypot(along, across)
        return size * size / (total + ELECTRON_MASS_MEV), along / size

    def _slope(self, level: int) -> float:
        return 1.0 if self._strengths.fermi[level] else -1 / 3

    def _matching(self, rng: np.random.Generator, neutrino_mev: float, electron_mev: float) -> tuple[int, float] | None:
        """A level that gives this electron, and the cosine at which it does; None: there is none."""
        energies, momenta, velocities = self._strengths.kinematics(np.array([neutrino_mev]))
        energy, momentum, velocity = energies[0], momenta[0], float(velocities[0, 0])
        total = (electron_mev + ELECTRON_MASS_MEV) * math.sqrt(1 - velocity**2)
        with np.errstate(divide="ignore", invalid="ignore"):
            cosine = (total - energy) / (velocity * momentum)
        # Energies in files have 24 bits.
        possible = np.flatnonzero((momentum > 0) & (np.abs(cosine) <= 1.001))
        if not len(possible):
            return None
        slope = np.where(self._strengths.fermi, 1.0, -1 / 3)[possible] * momentum[possible] / energy[possible]
        sizes = self._strengths.cross_sections_cm2(neutrino_mev)[0, possible] / momentum[possible]
        share = np.cumsum(sizes * (1 + slope * np.clip(cosine[possible], -1, 1)))
        level = int(possible[min(int(np.searchsorted(share, rng.random() * share[-1])), len(possible) - 1)])
        own = min(max(float(cosine[level]), -1.0), 1.0)
        along = (momentum[level] * own + velocity * energy[level]) / math.sqrt(1 - velocity**2)
        return level, min(max(float(along) / _momentum_mev(electron_mev), -1.0), 1.0)

    def _finished(
        self,
        rng: np.random.Generator,
        neutrino: Neutrino,
        electron: tuple[float, float],
        state: State,
        vertex_cm: FloatArray,
    ) -> Block:
        """The block, from the electron (kinetic energy, cosine) and the excited nucleus."""
        flight = around(neutrino.direction, electron[1], 2 * math.pi * rng.random())
        momentum = neutrino.energy_mev * neutrino.direction - _momentum_mev(electron[0]) * flight
        x, y, z = momentum.tolist()
        emitted, nucleus = self._nuclei.cascade(rng, state, (x, y, z))
        first = Emission(ELECTRON, electron[0], (float(flight[0]), float(flight[1]), float(flight[2])))
        rows = [first, nucleus, *emitted]
        primary = particles(
            [row.pdg for row in rows], [row.kinetic_mev for row in rows], vertex_cm, [row.direction for row in rows]
        )
        return Block(SIGNAL_GENERATOR, self._with_captures(rng, primary), neutrino, ARGON_40)

    def _with_captures(self, rng: np.random.Generator, primary: Particles) -> Particles:
        """The particles, and behind them the gammas that each neutron's capture makes."""
        out = primary
        for row in np.flatnonzero(primary.pdg == NEUTRON).tolist():
            vertex = primary.position_cm[row]
            gammas = capture(rng, vertex, 0.0, float(primary.kinetic_mev[row]), self._walls)
            gammas = gammas._replace(mother=np.full_like(gammas.mother, row))
            out = Particles(*(np.concatenate(columns) for columns in zip(out, gammas, strict=True)))
        return out


def _cumulated(steps: FloatArray) -> FloatArray:
    return np.concatenate([[0.0], np.cumsum(steps)])


def _momentum_mev(kinetic_mev: float) -> float:
    """Momentum of an electron."""
    return math.sqrt(kinetic_mev * (kinetic_mev + 2 * ELECTRON_MASS_MEV))


def _excitation_mev(neutrino_mev: float, electron_mev: float, cosine: float) -> float:
    """Excitation of K-40 that remains for an electron of this energy and angle; negative: impossible."""
    target, ground, energy = MASS_MEV[ARGON_40], MASS_MEV[POTASSIUM_40], electron_mev + ELECTRON_MASS_MEV
    along = neutrino_mev * (energy - cosine * _momentum_mev(electron_mev))
    square = target * target + 2 * target * (neutrino_mev - energy) + ELECTRON_MASS_MEV**2 - 2 * along
    return math.sqrt(square) - ground


def _neutrino_mev(electron_mev: float, excitation_mev: float, cosine: float) -> float:
    """Energy of the neutrino that makes such an electron and leaves this excitation."""
    target, heavy = MASS_MEV[ARGON_40], MASS_MEV[POTASSIUM_40] + excitation_mev
    energy, momentum = electron_mev + ELECTRON_MASS_MEV, _momentum_mev(electron_mev)
    return (heavy**2 - target**2 + 2 * target * energy - ELECTRON_MASS_MEV**2) / (
        2 * (target - energy + momentum * cosine)
    )
