"""What happens in each event of a chunk: the interaction that the settings ask for, and radioactivity beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from snpoint.errors import ConfigError, UsageError
from snpoint.physics.constants import BACKGROUND, ES
from snpoint.physics.geometry import Detector
from snpoint.physics.simulation.burst import burst_events
from snpoint.physics.simulation.charged_current import ChargedCurrent
from snpoint.physics.simulation.directions import Directions
from snpoint.physics.simulation.elastic import ElasticScattering, Electrons, twin_es
from snpoint.physics.simulation.events import Block, Event, FloatArray, Generator
from snpoint.physics.simulation.radioactivity import Radioactivity
from snpoint.physics.simulation.records import NOTHING
from snpoint.physics.simulation.vertices import Vertices
from snpoint.settings import SimulateSettings, Twin

Rng = np.random.Generator
Draw = Callable[[int, Rng], tuple[Block, ...]]
"""The blocks of the interaction of event k (0: first of the chunk): one, or none."""


@dataclass(frozen=True)
class ChunkEvents:
    """The events of one chunk of a sample."""

    count: int
    first: int  # number of the chunk's first event in the sample, from 0
    interaction: Draw
    radioactivity: Radioactivity
    times_s: FloatArray | None = None  # (count,) burst: since its beginning
    direction: FloatArray | None = None  # (3,) burst: direction of flight of its neutrinos

    def event(self, k: int, rng: Rng) -> Event:
        """Event k of the chunk; every random number comes from ``rng``, which belongs to the event alone.

        The interaction is drawn first, so that it is the same whatever the rates of radioactivity are.
        """
        blocks = (*self.interaction(k, rng), *self.radioactivity.blocks(rng))
        if not any(len(block.particles.pdg) for block in blocks):
            blocks = (NOTHING,)
        return Event(blocks, 0.0 if self.times_s is None else float(self.times_s[k]))


def generator_of(settings: SimulateSettings, sample: str, chunk: int, detector: Detector) -> ChunkEvents:
    """The events of a chunk, by the generator that the settings name.

    Parameters
    ----------
    settings, sample, chunk
        Settings of the stage, name of the sample, number of the chunk.
    detector
        The detector of the settings.

    Raises
    ------
    ConfigError
        The settings leave nothing to simulate.
    UsageError
        The chunk is not a part of the burst.
    """
    radioactivity = Radioactivity(settings.radioactivity, detector)
    if settings.generator == "burst":
        return _burst(settings, sample, chunk, detector, radioactivity)
    first = chunk * settings.events_per_chunk
    if settings.generator == "twins":
        draw = _twins(settings, sample, detector, first)
    elif settings.generator == "background":
        draw = _nothing
    else:
        draw = _steady(settings, sample, detector)
    return ChunkEvents(settings.events_per_chunk, first, draw, radioactivity)


def _nothing(k: int, rng: Rng) -> tuple[Block, ...]:
    return ()


def _steady(settings: SimulateSettings, sample: str, detector: Detector) -> Draw:
    """Interactions of one kind."""
    kinds: dict[str, Callable[[SimulateSettings, str, Detector], Generator]] = {
        "electrons": Electrons,
        "es": ElasticScattering,
        "cc": ChargedCurrent,
    }
    source = kinds[settings.generator](settings, sample, detector)

    def draw(k: int, rng: Rng) -> tuple[Block, ...]:
        return (source.block(rng),)

    return draw


def _twins(settings: SimulateSettings, sample: str, detector: Detector, first: int) -> Draw:
    """Event k of the sample (from 0) is twin k modulo their number."""
    twins = settings.twins
    if not twins:
        raise ConfigError(
            "simulate.twins: empty, but simulate.generator is 'twins'; list the events to repeat"
            " ({interaction, electron_mev, neutrino_mev, abs_x_cm}) or choose another generator"
        )
    directions = Directions(settings.direction, settings.seed, sample)
    vertices = Vertices(detector, settings.vertex_margin_cm)
    charged = ChargedCurrent(settings, sample, detector) if any(t.interaction == "CC" for t in twins) else None

    def twin_block(twin: Twin, rng: Rng) -> Block:
        if charged is not None and twin.interaction == "CC":
            return charged.twin(rng, twin)
        return twin_es(rng, twin, directions, vertices)

    def draw(k: int, rng: Rng) -> tuple[Block, ...]:
        return (twin_block(twins[(first + k) % len(twins)], rng),)

    return draw


def _burst(
    settings: SimulateSettings, sample: str, chunk: int, detector: Detector, radioactivity: Radioactivity
) -> ChunkEvents:
    """One part of a burst, in the order of time; every part knows the whole list and takes its own."""
    burst = settings.burst
    if chunk >= burst.chunks:
        raise UsageError(
            f"chunk: {chunk} is not in 0 .. {burst.chunks - 1}; raise simulate.burst.chunks for a burst of more parts"
        )
    scattering = ElasticScattering(settings, sample, detector)
    charged = ChargedCurrent(settings, sample, detector)
    expected = (kind.expected(burst.mass_kt, burst.distance_kpc) for kind in (scattering, charged))
    whole = burst_events(settings, sample, *expected)
    part = whole.part(chunk, burst.chunks)

    def draw(k: int, rng: Rng) -> tuple[Block, ...]:
        kind = int(part.interaction[k])
        if kind == BACKGROUND:
            return ()
        source = scattering if kind == ES else charged
        return (source.block_along(rng, part.direction),)

    return ChunkEvents(len(part), chunk * len(whole) // burst.chunks, draw, radioactivity, part.time_s, part.direction)
