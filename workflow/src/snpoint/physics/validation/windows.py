"""How many TPs the backgrounds make in a readout window, source by source, without electronics noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation.chunk import simulate_chunk
from snpoint.physics.simulation.radioactivity import Radioactivity
from snpoint.settings import Radioactivity as RadioactivitySettings
from snpoint.settings import SimulateSettings

FloatArray = npt.NDArray[np.float64]

SOURCES = {
    "Ar-39": ("ar39_bq_kg", 1.0),
    "Ar-42, K-42": ("ar42_bq_kg", 100.0),
    "Rn-222 chain": ("rn222_bq_kg", 1.0),
    "cavern gammas": ("cavern_gammas_hz", 1.0),
    "cavern neutrons": ("cavern_neutrons_hz", 2000.0),
}
"""Setting of each source, and how many times more of the rare ones are simulated than there are."""
ALL, NOISE = "all", "electronics noise"
STRONG_MEV = 0.09
"""Particles with more kinetic energy are counted by themselves; softer ones hardly make TPs."""


class Yield(NamedTuple):
    """Means per readout window of one source."""

    source: str
    particles: float
    strong: float  # with more than `STRONG_MEV`
    tps: tuple[float, float, float]  # of U, V and X
    errors: tuple[float, float, float]  # standard errors of those


def yields(settings: SimulateSettings, rates: RadioactivitySettings, windows: int, seed: int) -> list[Yield]:
    """Measure ``windows`` windows of each source, of all together, and of noise alone.

    Parameters
    ----------
    settings
        Those of a sample: detector and noise are used.
    rates
        Of the sources.
    """
    nothing = RadioactivitySettings(**dict.fromkeys(RadioactivitySettings.model_fields, 0.0))
    none = settings.noise.tps_per_event.model_copy(update=dict.fromkeys("UVX", 0.0))
    silent = settings.noise.model_copy(update={"tps_per_event": none})
    base = {"generator": "background", "events_per_chunk": windows, "seed": seed, "noise": silent}
    found = []
    for source, (key, factor) in SOURCES.items():
        more = nothing.model_copy(update={key: factor * getattr(rates, key)})
        found.append(_measured(source, settings.model_copy(update=base | {"radioactivity": more}), factor))
    found.append(_measured(ALL, settings.model_copy(update=base | {"radioactivity": rates}), 1.0))
    alone = {"radioactivity": nothing, "noise": settings.noise}
    return [*found, _measured(NOISE, settings.model_copy(update=base | alone), 1.0)]


def _measured(source: str, settings: SimulateSettings, factor: float) -> Yield:
    detector, n = load_detector(settings.detector), settings.events_per_chunk
    tps = simulate_chunk(settings, f"windows {source}", 0)["tps"]
    counts = np.zeros((n, 3))
    np.add.at(counts, (tps["Event"].astype(np.int64) - 1, detector.plane(tps["channel"])), 1.0)
    means, errors = counts.mean(axis=0) / factor, counts.std(axis=0) / np.sqrt(n) / factor
    sources, rng = Radioactivity(settings.radioactivity, detector), np.random.default_rng(settings.seed)
    blocks = [block.particles.kinetic_mev for _ in range(n) for block in sources.blocks(rng)]
    kinetic = np.concatenate([np.zeros(0), *blocks])
    particles, strong = (float(value) / n / factor for value in (len(kinetic), (kinetic > STRONG_MEV).sum()))
    return Yield(source, particles, strong, _three(means), _three(errors))


def _three(values: FloatArray) -> tuple[float, float, float]:
    u, v, x = values.tolist()
    return u, v, x
