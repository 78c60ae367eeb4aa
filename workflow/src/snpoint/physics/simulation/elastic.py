"""Interactions by elastic scattering of neutrinos on electrons at rest.

Three ways to draw them: from flux and cross section (``es``), from a spectrum of electrons, with neutrinos that can
have made them (``electrons``), and with the energies of a given event (twins).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincc, gammainccinv, gammaincinv

from snpoint.errors import ConfigError
from snpoint.physics.constants import ELECTRON_MASS_MEV, SIGNAL_GENERATOR
from snpoint.physics.geometry import Detector
from snpoint.physics.simulation.cross_section import (
    COUPLINGS,
    cross_section_cm2,
    largest_electron_mev,
    least_neutrino_mev,
    scattering_cosine,
    shape,
)
from snpoint.physics.simulation.directions import Directions, around
from snpoint.physics.simulation.events import ELECTRON, Block, Neutrino, particles
from snpoint.physics.simulation.flux import KINDS, PDG, FluxModel, Kind, argon_atoms, sphere_cm2
from snpoint.physics.simulation.vertices import Vertices
from snpoint.settings import SimulateSettings, Spectrum, Twin, Window

FloatArray = npt.NDArray[np.float64]

ELECTRONS_PER_ATOM = 18
_GRID = 4001


def interaction(
    rng: np.random.Generator,
    pdg: int,
    energies_mev: tuple[float, float],
    direction: FloatArray,
    vertex_cm: FloatArray,
) -> Block:
    """The block of an interaction: neutrino and electron after it; the electron's azimuth is drawn.

    ``energies_mev`` are those of the neutrino before and of the electron (kinetic); ``direction`` is the neutrino's.
    """
    energy, electron = energies_mev
    cosine = scattering_cosine(energy, electron)
    flight = around(direction, cosine, 2 * math.pi * rng.random())
    left = energy * direction - math.sqrt(electron * (electron + 2 * ELECTRON_MASS_MEV)) * flight
    rest = energy - electron
    out = particles([pdg, ELECTRON], [rest, electron], vertex_cm, [left / math.sqrt(left.dot(left)), flight])
    return Block(SIGNAL_GENERATOR, out, Neutrino(pdg, energy, direction), ELECTRON)


class ElasticScattering:
    """Interactions of a supernova's neutrinos, as often as flux and cross section say; generator ``es``.

    Raises
    ------
    ConfigError
        No electron lies in the window of kinetic energies, or the vertex margin leaves no room.
    """

    def __init__(self, settings: SimulateSettings, sample: str, detector: Detector) -> None:
        self._window = settings.electron
        self._vertices = Vertices(detector, settings.vertex_margin_cm)
        self._directions = Directions(settings.direction, settings.seed, sample)
        self._energy, self._rates = rates(FluxModel(settings.flux), settings.electron)
        steps = 0.5 * (self._rates[:, 1:] + self._rates[:, :-1]) * np.diff(self._energy)
        self._integral = np.concatenate([np.zeros((len(KINDS), 1)), np.cumsum(steps, axis=1)], axis=1)
        self._share = np.cumsum(self._integral[:, -1])
        if not self._share[-1] > 0:
            raise ConfigError(
                f"electron: flux gives no electrons between min_mev {self._window.min_mev:g} and max_mev"
                f" {self._window.max_mev:g}; make the window wider"
            )

    def expected(self, mass_kt: float, distance_kpc: float) -> float:
        """Mean number of interactions in the window, for a mass of argon and a distance."""
        return float(sum(self.expected_by_kind(mass_kt, distance_kpc).values()))

    def expected_by_kind(self, mass_kt: float, distance_kpc: float) -> dict[Kind, float]:
        """The same for each kind of neutrino."""
        scale = ELECTRONS_PER_ATOM * argon_atoms(mass_kt) / sphere_cm2(distance_kpc)
        return {kind: float(scale * row[-1]) for kind, row in zip(KINDS, self._integral, strict=True)}

    def block(self, rng: np.random.Generator) -> Block:
        """One interaction; every random number comes from ``rng``."""
        return self.block_along(rng, self._directions.draw(rng))

    def block_along(self, rng: np.random.Generator, direction: FloatArray) -> Block:
        """One interaction of a neutrino that flies along ``direction``."""
        kind, pdg, energy = self._neutrino(rng)
        electron = electron_energy(rng, kind, energy, self._window)
        return interaction(rng, pdg, (energy, electron), direction, self._vertices.draw(rng))

    def _neutrino(self, rng: np.random.Generator) -> tuple[Kind, int, float]:
        first, second = rng.random(2)
        total = first * self._share[-1]
        row = min(int(np.searchsorted(self._share, total, side="right")), len(KINDS) - 1)
        energy = float(np.interp(second * self._integral[row, -1], self._integral[row], self._energy))
        return KINDS[row], _flavor(rng, KINDS[row]), energy


def rates(flux: FluxModel, window: Window) -> tuple[FloatArray, FloatArray]:
    """Neutrino energies, shape (4001,) [MeV], and number times cross section, shape (4, 4001) [cm^2/MeV], by kind.

    Raises
    ------
    ConfigError
        The window is empty.
    """
    if not window.max_mev > window.min_mev:
        raise ConfigError(
            f"electron: max_mev {window.max_mev:g} is not above min_mev {window.min_mev:g}; make the window wider"
        )
    least = max(float(least_neutrino_mev(window.min_mev)), 1e-6)
    # Quadratic spacing: just above the least energy the rate changes fastest.
    energy = least + flux.highest_mev * np.linspace(0, 1, _GRID) ** 2
    rows = [flux.number(k, energy) * cross_section_cm2(k, energy, window.min_mev, window.max_mev) for k in KINDS]
    return energy, np.array(rows)


def electron_energy(rng: np.random.Generator, kind: Kind, neutrino_mev: float, window: Window) -> float:
    """Kinetic energy of the electron [MeV] from dsigma/dT, in the window; by rejection."""
    left, right = COUPLINGS[kind]
    low, high = window.min_mev, min(window.max_mev, float(largest_electron_mev(neutrino_mev)))
    mixed = left * right * ELECTRON_MASS_MEV / neutrino_mev

    def value(electron: float) -> float:
        ratio = electron / neutrino_mev
        return left * left + right * right * (1 - ratio) * (1 - ratio) - mixed * ratio

    # A parabola that opens upwards is largest at one of its ends.
    largest = max(value(low), value(high))
    while True:
        first, second = rng.random(2).tolist()
        electron = low + first * (high - low)
        if second * largest < value(electron):
            return float(electron)


class Electrons:
    """Electrons from a spectrum of the settings, with neutrinos that can have made them; generator ``electrons``.

    Kind and energy of the neutrino follow p(kind, E | T) ~ flux(kind, E) dsigma/dT(kind, E, T).

    Raises
    ------
    ConfigError
        The spectrum has no electrons in its window, or the vertex margin leaves no room.
    """

    def __init__(self, settings: SimulateSettings, sample: str, detector: Detector) -> None:
        self._spectrum = settings.spectrum
        self._edges = spectrum_edges(settings.spectrum)
        self._vertices = Vertices(detector, settings.vertex_margin_cm)
        self._directions = Directions(settings.direction, settings.seed, sample)
        self._parents = Parents(FluxModel(settings.flux))

    def block(self, rng: np.random.Generator) -> Block:
        """One interaction; every random number comes from ``rng``."""
        low, high = self._edges
        s = self._spectrum
        drawn = s.scale_mev * float(gammaincinv(s.shape, low + rng.random() * (high - low)))
        electron = min(max(drawn, s.min_mev), s.max_mev)
        pdg, energy = self._parents.draw(rng, electron)
        return interaction(rng, pdg, (energy, electron), self._directions.draw(rng), self._vertices.draw(rng))


def spectrum_edges(spectrum: Spectrum) -> tuple[float, float]:
    """Shares of the uncut Gamma distribution below and up to the window.

    Raises
    ------
    ConfigError
        There is nothing between them.
    """
    low, high = (
        float(1 - gammaincc(spectrum.shape, edge / spectrum.scale_mev)) for edge in (spectrum.min_mev, spectrum.max_mev)
    )
    if not high > low:
        raise ConfigError(
            f"spectrum: no events between min_mev {spectrum.min_mev:g} and max_mev {spectrum.max_mev:g};"
            " make the window wider or change shape and scale_mev"
        )
    return low, high


class Parents:
    """Neutrinos behind electrons of given energy."""

    def __init__(self, flux: FluxModel) -> None:
        self._kinds = [kind for kind, _, _ in flux.components]
        self._shape = np.array([flavour.alpha + 1 for _, flavour, _ in flux.components])
        self._decay = np.array([f.mean_energy_mev for _, f, _ in flux.components]) / self._shape
        self._number = np.array([number for _, _, number in flux.components])

    def draw(self, rng: np.random.Generator, electron_mev: float) -> tuple[int, float]:
        """PDG code and energy [MeV] of a neutrino; the spectrum above the least energy, thinned by the cross section.

        At fixed T the cross section is a parabola in 1/E that falls at 0: it is largest there or at the other end.
        """
        least = float(least_neutrino_mev(electron_mev))
        couplings = [COUPLINGS[kind] for kind in self._kinds]
        ends = [
            max(g[0] ** 2 + g[1] ** 2, float(shape(kind, least, electron_mev)))
            for kind, g in zip(self._kinds, couplings, strict=True)
        ]
        above = gammaincc(self._shape, least / self._decay)
        share = np.cumsum(self._number * above * ends)
        while True:
            u, v, w = rng.random(3).tolist()
            row = min(int(np.searchsorted(share, u * share[-1], side="right")), len(ends) - 1)
            energy = float(self._decay[row] * gammainccinv(self._shape[row], v * above[row]))
            energy = max(energy, least)
            if math.isfinite(energy) and w * ends[row] < float(shape(self._kinds[row], energy, electron_mev)):
                return _flavor(rng, self._kinds[row]), energy


def _flavor(rng: np.random.Generator, kind: Kind) -> int:
    """PDG code of a neutrino of this kind: muon or tau at random."""
    codes = PDG[kind]
    return codes[0] if len(codes) == 1 else codes[int(rng.integers(len(codes)))]


def twin_es(
    rng: np.random.Generator, twin: Twin, directions: Directions, vertices: Vertices, pdg: int = PDG["nue"][0]
) -> Block:
    """An event again: its two energies and its distance from x = 0; all else is drawn.

    Electron neutrinos, unless ``pdg`` says something else: the real files have only those.

    Raises
    ------
    ConfigError
        Its electron has more energy than its neutrino can give, or no volume is at this distance.
    """
    largest = float(largest_electron_mev(twin.neutrino_mev))
    # Energies that were rounded may be a little beyond the border.
    if twin.electron_mev > largest * 1.001:
        raise ConfigError(
            f"twins: electron_mev {twin.electron_mev:g} is more than neutrino_mev {twin.neutrino_mev:g} can give by"
            f" ES; at most {largest:.4g}"
        )
    electron = min(twin.electron_mev, largest)
    vertex = vertices.at_distance(rng, twin.abs_x_cm)
    return interaction(rng, pdg, (twin.neutrino_mev, electron), directions.draw(rng), vertex)
