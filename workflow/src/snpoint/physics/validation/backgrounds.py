"""What the backgrounds must give: rates, energies and lines of the decays, and how cavern particles enter.

Everything is measured on blocks as the generators draw them; the published numbers are those of
``reference/decays.yaml`` and ``reference/cavern.yaml``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.geometry import Detector
from snpoint.physics.simulation.cavern import (
    DEAD_ARGON_CM,
    Walls,
    cavern_table,
    entering_spectrum,
    rock_spectrum,
)
from snpoint.physics.simulation.decays import Nuclide, nuclides
from snpoint.physics.simulation.events import ALPHA, ELECTRON, PHOTON, Block
from snpoint.physics.simulation.radioactivity import CavernGammas, DecaySource, Radioactivity
from snpoint.settings import Radioactivity as RadioactivitySettings

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

RATES = RadioactivitySettings(
    ar39_bq_kg=1.01, ar42_bq_kg=9.2e-5, rn222_bq_kg=1e-3, cavern_gammas_hz=3.1e4, cavern_neutrons_hz=0.12
)
"""Ar-39: WARP, Nucl. Instrum. Methods A 574, 83 (2007). Ar-42: Barabash, arXiv:1609.08890. Rn-222: the upper limit DUNE
aims at (MicroBooNE, arXiv:2307.03102). Cavern: DUNE radiological model v3.6, flux behind 40 cm of dead argon."""

MEAN_TOLERANCE = 0.01
LINE_TOLERANCE, WEAK_LINE_TOLERANCE, WEAK_LINE = 0.05, 0.15, 2.0
"""Relative difference allowed to a line's intensity; lines below 2 per 100 decays depend on the branches left out."""
_DUNE_REDUCTION = 0.0254278 / 1.05104
"""What 40 cm of argon leave of the gammas behind the cryostat, in the DUNE radiological model v3.6."""


class Check(NamedTuple):
    """One number beside its reference."""

    quantity: str
    ours: float
    error: float  # standard error of ours
    reference: float
    tolerance: float | None  # relative; None: shown, not judged

    @property
    def ok(self) -> bool:
        """Whether it agrees within the tolerance and two standard errors; a number that is not finite does not."""
        if self.tolerance is None:
            return True
        return bool(abs(self.ours - self.reference) <= self.tolerance * abs(self.reference) + 2 * self.error)


def sampled(name: str, decays: int, detector: Detector, rng: np.random.Generator) -> Block:
    """A block with about so many decays of one nuclide."""
    source = DecaySource(nuclides()[name], 1.0, detector)
    source.expected = float(decays)
    return source.block(rng)


def arrival_ticks(block: Block, detector: Detector) -> FloatArray:
    """Tick at which charge arrives from where each particle starts; NaN outside of the drift volumes."""
    position = block.particles.position_cm
    ticks = np.full(len(position), np.nan)
    for volume in detector.volumes:
        low, high = np.array([volume.x_range_cm, volume.y_range_cm, volume.z_range_cm]).T
        inside = ((position >= low) & (position < high)).all(axis=1)
        drift = detector.drift_tick(volume, position[inside, 0])
        ticks[inside] = drift + block.particles.time_us[inside] / detector.tick_us
    return ticks


def decay_starts(block: Block) -> IntArray:
    """Row of the first particle of each decay: decays differ in their place."""
    position = block.particles.position_cm
    new = np.ones(len(position), bool)
    new[1:] = (position[1:] != position[:-1]).any(axis=1)
    return np.flatnonzero(new)


def checks(decays: int, events: int, detector: Detector, seed: int) -> list[Check]:
    """All numbers, from ``decays`` decays of each nuclide and ``events`` readout windows."""
    rng = np.random.default_rng(seed)
    blocks = {name: sampled(name, decays, detector, rng) for name in nuclides()}
    rows: list[Check] = []
    for name, nuclide in nuclides().items():
        rows += _energies(nuclide, blocks[name])
    rows += _bismuth_polonium(blocks["Bi214"])
    rows += _rates(events, detector, rng)
    return rows + _cavern(decays, detector, rng)


def _energies(nuclide: Nuclide, block: Block) -> list[Check]:
    """Mean and largest energy of the electrons, and gammas per 100 decays."""
    rows = []
    start = decay_starts(block)
    kinetic = block.particles.kinetic_mev * 1000
    if "beta_mean_kev" in nuclide.published:
        beta = kinetic[start][block.particles.pdg[start] == ELECTRON]
        error = float(beta.std() / math.sqrt(len(beta)))
        mean = float(beta.mean())
        rows.append(
            Check(
                f"{nuclide.name}: mean of beta [keV]", mean, error, nuclide.published["beta_mean_kev"], MEAN_TOLERANCE
            )
        )
        end = 1000 * nuclide.endpoint_mev
        rows.append(Check(f"{nuclide.name}: largest of beta [keV]", float(beta.max()), 0.0, end, 0.05))
    for energy, reference in nuclide.published.get("gammas", {}).items():
        found = (block.particles.pdg == PHOTON) & (np.abs(kinetic - energy) < 0.3)
        share = float(100 * found.sum() / len(start))
        error = 100 * math.sqrt(max(int(found.sum()), 1)) / len(start)
        tolerance = LINE_TOLERANCE if reference >= WEAK_LINE else WEAK_LINE_TOLERANCE
        rows.append(
            Check(f"{nuclide.name}: gammas of {energy:g} keV per 100", float(share), error, reference, tolerance)
        )
    return rows


def _bismuth_polonium(block: Block) -> list[Check]:
    """The alpha of Po-214: one for each decay of Bi-214, late by its half-life."""
    start = decay_starts(block)
    alpha = np.flatnonzero(block.particles.pdg == ALPHA)
    decay = np.searchsorted(start, alpha, side="right") - 1
    delay = block.particles.time_us[alpha] - block.particles.time_us[start[decay]]
    half_life = float(delay.mean() * math.log(2))
    error = half_life / math.sqrt(len(delay))
    energy = float(1000 * block.particles.kinetic_mev[alpha].mean())
    return [
        Check("Bi214: alphas per decay", len(alpha) / len(start), 0.0, 1.0, 0.0),
        Check("Po214: energy of alpha [keV]", energy, 0.0, 7686.8, 1e-4),
        Check("Po214: half-life [us]", half_life, error, 163.6, 0.01),
    ]


def _rates(events: int, detector: Detector, rng: np.random.Generator) -> list[Check]:
    """Decays whose charge arrives in the readout window, per mass and time; the chain in equilibrium."""
    # The rare ones are made more frequent than they are: their rate is linear.
    rates = RATES.model_copy(update={"ar42_bq_kg": 0.1, "rn222_bq_kg": 0.1})
    sources = [s for s in Radioactivity(rates, detector).sources if isinstance(s, DecaySource)]
    found = np.zeros(len(sources))
    for _ in range(events):
        for k, source in enumerate(sources):
            block = source.block(rng)
            ticks = arrival_ticks(block, detector)[decay_starts(block)]
            found[k] += ((ticks >= 0) & (ticks < detector.n_ticks)).sum()
    exposure = sources[0].mass_kg * detector.n_ticks * detector.tick_us * 1e-6 * events
    wanted = [rates.ar39_bq_kg, rates.ar42_bq_kg, rates.ar42_bq_kg] + 4 * [rates.rn222_bq_kg]
    return [
        Check(f"{name}: decays [Bq/kg]", float(n / exposure), float(math.sqrt(n) / exposure), rate, 0.005)
        for name, n, rate in zip(nuclides(), found, wanted, strict=True)
    ]


def _cavern(n: int, detector: Detector, rng: np.random.Generator) -> list[Check]:
    """How cavern gammas enter, and the flux that they come from."""
    source = CavernGammas(1.0, detector)
    source.expected = float(n)
    entered = source.block(rng).particles
    cosine = (entered.direction * Walls(detector).inward(entered.position_cm)).sum(axis=1)
    rock, inside = rock_spectrum(), entering_spectrum()
    error = float(cosine.std() / math.sqrt(len(cosine)))
    flux = float(rock.flux.sum())
    published = cavern_table()["flux_cm2_s"][0]
    reduction = float(inside.flux.sum()) / flux
    return [
        Check("cavern gammas: mean cosine with the wall", float(cosine.mean()), error, 2 / 3, 0.005),
        Check("cavern gammas: share that goes inward", float((cosine > 0).mean()), 0.0, 1.0, 0.0),
        Check("rock: gammas through a plane, one way [1/cm2/s]", flux / 4, 0.0, published, None),
        Check("rock: gammas, all directions [1/cm2/s]", flux, 0.0, published, None),
        Check(f"gammas left by {DEAD_ARGON_CM:g} cm of argon", reduction, 0.0, _DUNE_REDUCTION, None),
    ]
