"""What happens in each event of a chunk: every generator, bursts dealt to chunks, radioactivity beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import toy_simulation as toy

from snpoint.errors import ConfigError, UsageError
from snpoint.physics.constants import BACKGROUND, CC, ES
from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation.events import ELECTRON, Event
from snpoint.physics.simulation.generators import ChunkEvents, generator_of
from snpoint.physics.simulation.records import NOTHING, interaction_of

DETECTOR = load_detector("fdhd_1x2x2")


def chunk_events(chunk: int = 0, sample: str = "sim", **changes: Any) -> ChunkEvents:
    return generator_of(toy.settings(**changes), sample, chunk, DETECTOR)


def drawn(source: ChunkEvents) -> Iterator[Event]:
    return (source.event(k, np.random.default_rng([5, k])) for k in range(source.count))


@pytest.mark.parametrize(("generator", "kind"), [("electrons", ES), ("es", ES), ("cc", CC), ("background", BACKGROUND)])
def test_a_generator_makes_its_own_kind_of_events(generator: str, kind: int) -> None:
    events = list(drawn(chunk_events(generator=generator)))
    assert len(events) == 20
    assert {interaction_of(event) for event in events} == {kind}
    for event in events:
        assert len(event.blocks) == 1 and event.time_s == 0.0
        if kind != BACKGROUND:
            assert ELECTRON in event.blocks[0].particles.pdg and event.blocks[0].generator == "marley"


def test_windows_without_anything_hold_a_particle_that_does_nothing() -> None:
    assert all(event.blocks == (NOTHING,) for event in drawn(chunk_events(generator="background")))


def test_radioactivity_comes_with_every_generator_and_leaves_the_interaction_as_it_is() -> None:
    rates = toy.radioactivity(ar39_bq_kg=0.01, rn222_bq_kg=0.01)
    for generator in ("es", "background"):
        plain = list(drawn(chunk_events(generator=generator)))
        mixed = list(drawn(chunk_events(generator=generator, radioactivity=rates)))
        decays = [block for event in mixed for block in event.blocks if block.generator == "Ar39GenInLAr"]
        assert len(decays) == 20 and sum(len(block.particles.pdg) for block in decays) > 20
        if generator == "es":
            for before, after in zip(plain, mixed, strict=True):
                assert after.blocks[0].neutrino is not None and before.blocks[0].neutrino is not None
                assert after.blocks[0].neutrino.energy_mev == before.blocks[0].neutrino.energy_mev
                np.testing.assert_array_equal(after.blocks[0].particles[3], before.blocks[0].particles[3])


def test_twins_come_in_turn_through_all_chunks() -> None:
    twins = [toy.twin("ES", 5.0, 9.0), toy.twin("CC", 10.0, 20.0), toy.twin("ES", 15.0, 40.0)]
    events: list[Event] = []
    for chunk in range(3):
        source = chunk_events(chunk, generator="twins", twins=twins, events_per_chunk=4)
        assert source.first == 4 * chunk
        events += drawn(source)
    assert [interaction_of(event) for event in events] == [ES, CC, ES] * 4
    for event, twin in zip(events, twins * 4, strict=True):
        block = event.blocks[0]
        electron = int(np.flatnonzero(block.particles.pdg == ELECTRON)[0])
        assert block.neutrino is not None
        assert block.neutrino.energy_mev == pytest.approx(twin["neutrino_mev"], rel=1e-9)
        assert block.particles.kinetic_mev[electron] == pytest.approx(twin["electron_mev"], rel=1e-9)
        assert abs(block.particles.position_cm[electron, 0]) == pytest.approx(150.0)
    sides = {float(np.sign(event.blocks[0].particles.position_cm[0, 0])) for event in events}
    assert sides == {-1.0, 1.0}


def test_no_twins_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"simulate\.twins: empty.*another generator"):
        chunk_events(generator="twins", twins=[])


def test_a_burst_is_dealt_to_its_chunks_in_the_order_of_time() -> None:
    numbers = toy.burst(n_es=12, n_cc=15, n_background=4, chunks=3)
    parts = [chunk_events(chunk, generator="burst", burst=numbers) for chunk in range(3)]
    assert [part.count for part in parts] == [10, 10, 11]
    assert [part.first for part in parts] == [0, 10, 20]
    events = [event for part in parts for event in drawn(part)]
    times = np.array([event.time_s for event in events])
    assert (np.diff(times) >= 0).all() and times[0] >= 0 and times[-1] <= 10
    assert np.bincount([interaction_of(event) for event in events]).tolist() == [4, 12, 15]
    assert parts[0].direction is not None
    for event in events:
        for block in event.blocks:
            if block.neutrino is not None:
                np.testing.assert_allclose(block.neutrino.direction, parts[0].direction)
    assert all(np.array_equal(part.direction, parts[0].direction) for part in parts)


def test_bursts_of_other_samples_and_seeds_are_others() -> None:
    numbers = toy.burst(n_es=5, n_cc=5, n_background=0, chunks=1)

    def direction(sample: str, seed: int) -> np.ndarray:
        found = chunk_events(sample=sample, seed=seed, generator="burst", burst=numbers).direction
        assert found is not None
        return found

    assert not np.allclose(direction("a", 1), direction("b", 1))
    assert not np.allclose(direction("a", 1), direction("a", 2))
    given = chunk_events(generator="burst", burst=numbers, direction=[0.0, 0.0, -2.0]).direction
    np.testing.assert_allclose(given, [0, 0, -1])


def test_the_numbers_of_a_burst_follow_from_flux_mass_and_distance() -> None:
    near = toy.burst(n_es=0, n_cc=0, n_background=0, chunks=1) | {"n_es": None, "n_cc": None}
    counts = {
        distance: chunk_events(generator="burst", burst=near | {"distance_kpc": distance}).count
        for distance in (10, 20)
    }
    assert 2000 < counts[10] < 8000
    assert counts[10] / counts[20] == pytest.approx(4, rel=0.15)


def test_a_chunk_beyond_the_burst_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"chunk: 3 is not in 0 \.\. 2.*burst\.chunks"):
        chunk_events(3, generator="burst", burst=toy.burst(5, 5, 5, chunks=3))
    last = chunk_events(2, generator="burst", burst=toy.burst(0, 0, 2, chunks=3))
    assert last.count == 1 and chunk_events(0, generator="burst", burst=toy.burst(0, 0, 2, chunks=3)).count == 0
