"""Radioactive and cavern backgrounds of a readout window: one truth block per nuclide, and per kind of cavern particle.

Decays are even in the drift volumes, and even in the tick at which their charge arrives: those of the time before the
window that drift into it are there. What happens in the argon between and around the drift volumes is left out.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from snpoint.physics.angles import random_directions
from snpoint.physics.geometry import Detector
from snpoint.physics.simulation.cavern import NEUTRON_DEPTH_CM, Walls, entering_spectrum, watt_energy
from snpoint.physics.simulation.decays import Nuclide, nuclides
from snpoint.physics.simulation.events import NEUTRON, PHOTON, Block, Particles, particles
from snpoint.physics.simulation.materials import DENSITY_G_CM3
from snpoint.physics.simulation.neutron_capture import CAPTURE_US, cascade
from snpoint.physics.simulation.vertices import Volumes
from snpoint.settings import Radioactivity as RadioactivitySettings

FloatArray = npt.NDArray[np.float64]

SHORT_TICKS = 32.0
"""How far from the window a decay matters whose particles stay where they are: diffusion, pulse, range of 0.6 MeV."""
LONG_REACH_CM = 100.0
"""How far gammas (and what they make) get from the decay."""
_LONG_TRACK_MEV = 1.0
"""Electrons above are followed like gammas: their range is centimeters, and they make bremsstrahlung."""
_LIFETIMES = 10.0
"""Mean lives before the window after which nothing delayed is left."""

CAVERN_GAMMAS, CAVERN_NEUTRONS = "CavernwallGammasAtLAr", "CavernwallNeutronsAtLAr"
"""Names of the truth blocks, those of the DUNE radiological model."""


class Source(Protocol):
    """One source of background."""

    def block(self, rng: np.random.Generator) -> Block:
        """What the source does in one event."""
        ...


class Radioactivity:
    """All sources of background with a rate above 0.

    Parameters
    ----------
    settings
        Rates.
    detector
        Layout; decays happen in its drift volumes, cavern particles enter the box around them.
    """

    def __init__(self, settings: RadioactivitySettings, detector: Detector) -> None:
        rates, known = decay_rates(settings), nuclides()
        self.sources: list[Source] = [DecaySource(known[n], rate, detector) for n, rate in rates.items() if rate > 0]
        if settings.cavern_gammas_hz > 0:
            self.sources.append(CavernGammas(settings.cavern_gammas_hz, detector))
        if settings.cavern_neutrons_hz > 0:
            self.sources.append(CavernNeutrons(settings.cavern_neutrons_hz, detector))

    def blocks(self, rng: np.random.Generator) -> list[Block]:
        """One block per source, also where nothing happened: blocks have the same numbers in all events."""
        return [source.block(rng) for source in self.sources]


def decay_rates(settings: RadioactivitySettings) -> dict[str, float]:
    """Rate of each nuclide in the argon [Bq/kg], by its name; daughters are in equilibrium with their mothers."""
    rates = {"Ar39": settings.ar39_bq_kg, "Ar42": settings.ar42_bq_kg, "K42": settings.ar42_bq_kg}
    return rates | dict.fromkeys(("Rn222", "Po218", "Pb214", "Bi214"), settings.rn222_bq_kg)


class DecaySource:
    """Decays of one nuclide in the argon of the drift volumes.

    Attributes
    ----------
    nuclide
        What decays.
    expected
        Mean number of decays per event.
    mass_kg
        Argon in the drift volumes.
    """

    def __init__(self, nuclide: Nuclide, rate_bq_kg: float, detector: Detector) -> None:
        self.nuclide, self._detector, self._volumes = nuclide, detector, Volumes(detector)
        self._anode_cm = np.array([v.anode_cm for v in detector.volumes])
        self._sign = np.array([v.time_sign for v in detector.volumes], np.float64)
        self.mass_kg = float(self._volumes.volume_cm3.sum()) * DENSITY_G_CM3 / 1000
        far = bool(nuclide.lines) or nuclide.endpoint_mev > _LONG_TRACK_MEV
        margin = LONG_REACH_CM * detector.ticks_per_cm if far else SHORT_TICKS
        self.first_tick = -margin - _LIFETIMES * nuclide.mean_delay_us / detector.tick_us
        self.last_tick = detector.n_ticks + margin
        window_s = (self.last_tick - self.first_tick) * detector.tick_us * 1e-6
        self.expected = rate_bq_kg * self.mass_kg * window_s

    def block(self, rng: np.random.Generator) -> Block:
        """The decays of one event."""
        n = int(rng.poisson(self.expected))
        position, line = self._places(rng, n)
        arrival = self.first_tick + (self.last_tick - self.first_tick) * rng.random(n)
        time_us = (arrival - line) * self._detector.tick_us
        emitted = self.nuclide.decay(rng, n)
        return Block(
            self.nuclide.generator,
            particles(
                emitted.pdg,
                emitted.kinetic_mev,
                position[emitted.decay],
                random_directions(rng, len(emitted.pdg)),
                time_us[emitted.decay] + emitted.delay_us,
            ),
        )

    def _places(self, rng: np.random.Generator, n: int) -> tuple[FloatArray, FloatArray]:
        """Points [cm], shape (n, 3), even over the drift volumes, and how long their charge drifts [ticks]."""
        volume, position = self._volumes.points(rng.random(n), rng.random((n, 3)))
        distance = self._sign[volume] * (position[:, 0] - self._anode_cm[volume])
        return position, self._detector.ticks_per_cm * distance + self._detector.tick_at_anode


class CavernGammas:
    """Gammas that enter the box around the drift volumes.

    Attributes
    ----------
    expected
        Mean number per event.
    """

    def __init__(self, rate_hz: float, detector: Detector) -> None:
        self._walls, self._spectrum = Walls(detector), entering_spectrum()
        self.first_us, self.last_us = _drift_window_us(detector)
        self.expected = rate_hz * (self.last_us - self.first_us) * 1e-6

    def block(self, rng: np.random.Generator) -> Block:
        """The gammas of one event."""
        n = int(rng.poisson(self.expected))
        position, direction = self._walls.enter(rng, n)
        time_us = self.first_us + (self.last_us - self.first_us) * rng.random(n)
        found = particles(np.full(n, PHOTON), self._spectrum.energy(rng, n), position, direction, time_us)
        return Block(CAVERN_GAMMAS, found)


class CavernNeutrons:
    """Neutrons that enter the box around the drift volumes, and the gammas of their capture.

    All of them are captured, as deep behind the wall as `NEUTRON_DEPTH_CM` says, at right angles to where they entered:
    what becomes of them on the way is in that length.

    Attributes
    ----------
    expected
        Mean number per event.
    """

    def __init__(self, rate_hz: float, detector: Detector) -> None:
        self._walls = Walls(detector)
        self.first_us, self.last_us = _drift_window_us(detector)
        self.first_us -= _LIFETIMES * CAPTURE_US
        self.expected = rate_hz * (self.last_us - self.first_us) * 1e-6

    def block(self, rng: np.random.Generator) -> Block:
        """The neutrons of one event: each of them, followed by its gammas."""
        n = int(rng.poisson(self.expected))
        position, direction = self._walls.enter(rng, n)
        time_us = self.first_us + (self.last_us - self.first_us) * rng.random(n)
        kinetic = watt_energy(rng, n)
        depth_cm = NEUTRON_DEPTH_CM * rng.standard_exponential(n)
        inside = position + depth_cm[:, None] * self._walls.inward(position)
        caught_us = time_us + CAPTURE_US * rng.standard_exponential(n)
        parts: list[Particles] = [particles([], 0.0, np.zeros((0, 3)), np.zeros((0, 3)))]
        rows = 0
        for k in range(n):
            gammas = cascade(rng)
            count = len(gammas)
            parts += [
                particles(NEUTRON, kinetic[k], position[k], direction[k], time_us[k]),
                particles(np.full(count, PHOTON), gammas, inside[k], random_directions(rng, count), caught_us[k], rows),
            ]
            rows += 1 + count
        return Block(CAVERN_NEUTRONS, Particles(*(np.concatenate(columns) for columns in zip(*parts, strict=True))))


def _drift_window_us(detector: Detector) -> tuple[float, float]:
    """Times between which something anywhere in the drift volumes gives charge in the readout window [us]."""
    lines = np.array([detector.drift_tick(volume, volume.x_range_cm) for volume in detector.volumes])
    first = -SHORT_TICKS - lines.max()
    last = detector.n_ticks + SHORT_TICKS - lines.min()
    return float(first * detector.tick_us), float(last * detector.tick_us)
