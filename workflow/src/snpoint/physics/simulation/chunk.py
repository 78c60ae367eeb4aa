"""Simulated events in the form of a TPStream file: trees of branches with LArSoft's names, types and units.

Every event has its own random numbers, decided by (seed, sample, chunk, event): it comes out the same alone, in
another order or in another process. Events come in batches, so that a chunk takes no more memory than one of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.errors import UsageError
from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation import truthtables
from snpoint.physics.simulation.charge import (
    FULL,
    clear_charge,
    drift_deposits,
    new_charge,
    order_rows,
)
from snpoint.physics.simulation.detector import (
    CHANNEL,
    START,
    TPS,
    TPS_FULL,
    add_noise_tps,
    electronics_of,
    find_tps,
    new_tps,
)
from snpoint.physics.simulation.events import Event, FloatArray, IntArray
from snpoint.physics.simulation.generators import generator_of
from snpoint.physics.simulation.records import EventRecord, event_record, joined, listed, track_numbers
from snpoint.physics.simulation.transport import Shower, Transport
from snpoint.physics.simulation.wires import layout_of
from snpoint.settings import SimulateSettings

Trees = dict[str, dict[str, npt.NDArray[Any]]]
Progress = Callable[[int, int], None]
"""Called with (events done, events in all) after each event."""

FIRST_RUN = 500_000
"""Simulated runs are numbered from here, away from those of other productions."""
LAST_RUN = 2**20 - 1
LAST_SUBRUN = 2**12 - 1
EVENTS_PER_BATCH = 250
ROWS_PER_BATCH = 400_000
"""A batch ends with the event that reaches one of both; rows are TPs, SimIDEs and particles (60-100 bytes each)."""
_FIRST_CHARGE_ROWS = 8192
_FIRST_TPS = 4096


class Simulator:
    """Simulates the events of one chunk of one sample.

    Raises
    ------
    UsageError
        The chunk number does not fit the event identifier, or is not a part of the burst.
    ConfigError
        Unknown detector, or settings that leave nothing to simulate.
    """

    def __init__(self, settings: SimulateSettings, sample: str, chunk: int) -> None:
        if not 0 <= chunk <= LAST_SUBRUN:
            raise UsageError(f"chunk: {chunk} is not in 0 .. {LAST_SUBRUN}; raise events_per_chunk to need fewer")
        self.detector = load_detector(settings.detector)
        self.events = generator_of(settings, sample, chunk, self.detector)
        self._truth = settings.truth
        self._seeds = [settings.seed, zlib.crc32(sample.encode()), chunk]
        self._layout = layout_of(self.detector)
        self._readout = electronics_of(self.detector, settings.noise)
        self._transport = Transport()
        self._charge = new_charge(_FIRST_CHARGE_ROWS)
        self._tps = new_tps(_FIRST_TPS)

    def draw(self, k: int) -> tuple[Event, npt.NDArray[np.uint64]]:
        """Event k of the chunk, and the random state, shape (4,), for all that follows."""
        rng = np.random.default_rng([*self._seeds, k])
        event = self.events.event(k, rng)
        return event, rng.integers(1, 2**63, 4, dtype=np.uint64)

    def simulate(self, event: Event, state: npt.NDArray[np.uint64]) -> EventRecord:
        """Transport the particles of an event and read out the detector; the state is stepped on."""
        made = joined(event.blocks)
        tracks = track_numbers(made)
        shower = self._transport.shower(made, state)
        order = self._collect(shower, made.time_us)
        self._digitize(order, state)
        n = int(self._tps.counts[TPS])
        rows = self._tps.rows[:n]
        by_channel = np.argsort(rows[:, CHANNEL] * self.detector.n_ticks + rows[:, START], kind="stable")
        n_charge = len(order)
        record = event_record(
            listed(event, made, tracks, self._truth),
            tracks,
            (shower.paths_cm, shower.ends_cm),
            (rows[by_channel], self._tps.truth[:n][by_channel]),
            (order, self._charge.keys[:n_charge], self._charge.amounts[:n_charge]),
        )
        clear_charge(self._charge)
        return record

    def _collect(self, shower: Shower, times_us: FloatArray) -> IntArray:
        """Charge of the shower on the wires, with longer lists if they were too short; rows in order."""
        while True:
            drift_deposits(shower.deposits, shower.classes, shower.owners, times_us, self._layout, self._charge)
            if not self._charge.counts[FULL]:
                break
            self._charge = new_charge(4 * len(self._charge.keys))
        return np.asarray(order_rows(self._charge))

    def _digitize(self, order: IntArray, state: npt.NDArray[np.uint64]) -> None:
        while True:
            trial = state.copy()
            self._tps.counts[:] = 0
            find_tps(self._charge, order, trial, self._readout, self._tps)
            add_noise_tps(trial, self._readout, self._tps)
            if not self._tps.counts[TPS_FULL]:
                break
            self._tps = new_tps(4 * len(self._tps.rows))
        state[:] = trial


def run_number(sample: str) -> int:
    """Run number of a simulated sample: the same for the same name, between 500,000 and 2^20 - 1."""
    return FIRST_RUN + zlib.crc32(sample.encode()) % (LAST_RUN - FIRST_RUN + 1)


def simulate_batches(
    settings: SimulateSettings,
    sample: str,
    chunk: int,
    events: Iterable[int] | None = None,
    progress: Progress | None = None,
) -> Iterator[Trees]:
    """Simulate a chunk, some events at a time.

    Parameters
    ----------
    settings
        Settings of the stage.
    sample, chunk
        Name of the sample and number of the chunk (0 .. 4095).
    events
        Numbers inside the chunk; all of them by default.
    progress
        Called after each event.

    Returns
    -------
    iterator
        At least one part: tree -> branch -> array, ``tps``, ``mctruths``, ``mcneutrinos``, ``mcparticles``,
        ``simides``, as a TPStream file holds them, and ``burst`` of the generator of that name. Event numbers count
        through the sample, from 1; the subrun is the chunk.

    Raises
    ------
    UsageError, ConfigError
        As `Simulator`; here, not when the first part is asked for.
    """
    simulator = Simulator(settings, sample, chunk)
    chosen = list(range(simulator.events.count) if events is None else events)
    return _batches(simulator, (run_number(sample), chunk), chosen, progress)


def _batches(
    simulator: Simulator, run: tuple[int, int], chosen: list[int], progress: Progress | None
) -> Iterator[Trees]:
    begin, rows = 0, 0
    drawn: list[Event] = []
    records: list[EventRecord] = []
    for done, k in enumerate(chosen, start=1):
        event, state = simulator.draw(k)
        record = simulator.simulate(event, state)
        drawn.append(event)
        records.append(record)
        rows += len(record.tps) + len(record.ide_keys) + len(record.listed.track)
        if progress is not None:
            progress(done, len(chosen))
        if (len(records) >= EVENTS_PER_BATCH or rows >= ROWS_PER_BATCH) and done < len(chosen):
            yield _trees(simulator, run, chosen[begin:done], drawn, records)
            begin, rows, drawn, records = done, 0, [], []
    yield _trees(simulator, run, chosen[begin:], drawn, records)


def _trees(
    simulator: Simulator, run: tuple[int, int], chosen: list[int], drawn: list[Event], records: list[EventRecord]
) -> Trees:
    where = (*run, simulator.events.first + np.array(chosen, np.int64) + 1)
    trees = truthtables.trees(records, simulator.detector, where)
    if simulator.events.direction is not None:
        trees["burst"] = truthtables.burst(drawn, simulator.events.direction, where)
    return trees


def simulate_chunk(
    settings: SimulateSettings,
    sample: str,
    chunk: int,
    events: Iterable[int] | None = None,
    progress: Progress | None = None,
) -> Trees:
    """Simulate a chunk and keep all of it in memory; otherwise as `simulate_batches`."""
    parts = list(simulate_batches(settings, sample, chunk, events, progress))
    return {
        tree: {key: np.concatenate([part[tree][key] for part in parts]) for key in branches}
        for tree, branches in parts[0].items()
    }
