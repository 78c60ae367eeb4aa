"""Simulated events in the form of a TPStream file: trees of branches with LArSoft's names, types and units.

Every event has its own random numbers, decided by (seed, sample, chunk, event): it comes out the same alone, in
another order or in another process.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.errors import ConfigError, UsageError
from snpoint.physics.geometry import Detector, load_detector
from snpoint.physics.simulation import truthtables
from snpoint.physics.simulation.charge import (
    FULL,
    X_NE,
    clear_charge,
    drift_deposits,
    layout_of,
    new_charge,
    order_rows,
)
from snpoint.physics.simulation.detector import CHANNEL, START, add_noise_tps, electronics_of, find_tps, new_tps
from snpoint.physics.simulation.kinematics import N_UNIFORMS, Primaries, draw_primaries
from snpoint.physics.simulation.transport import Shower, Transport
from snpoint.settings import SimulateSettings

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Trees = dict[str, dict[str, npt.NDArray[Any]]]

FIRST_RUN = 500_000
"""Simulated runs are numbered from here, away from those of other productions."""
LAST_RUN = 2**20 - 1
LAST_SUBRUN = 2**12 - 1
_FIRST_CHARGE_ROWS = 8192
_FIRST_TPS = 4096


class EventRecord(NamedTuple):
    """What one event gives, besides its primary."""

    tps: IntArray  # (n, 7) columns of `detector`
    tp_truth: FloatArray  # (n, 9) columns of `detector`
    ide_keys: IntArray  # (m, 3) channel, tick, origin
    ide_amounts: FloatArray  # (m, 5) electrons, MeV, mean x, y, z [cm]
    path_cm: float
    end_cm: FloatArray  # (3,)


class Simulator:
    """Simulates the events of one chunk of one sample."""

    def __init__(self, settings: SimulateSettings, sample: str, chunk: int) -> None:
        if not 0 <= chunk <= LAST_SUBRUN:
            raise UsageError(f"chunk: {chunk} is not in 0 .. {LAST_SUBRUN}; raise events_per_chunk to need fewer")
        self.detector = load_detector(settings.detector)
        if any(volume.anode_cm for volume in self.detector.volumes):
            raise ConfigError(
                f"simulate.detector: the drift of '{settings.detector}' does not count from x = 0, which this "
                "simulation takes for granted; known to work: fdhd_1x2x2, fdhd_1x2x6"
            )
        self._settings, self._sample, self._chunk = settings, sample, chunk
        self._layout = layout_of(self.detector)
        self._readout = electronics_of(self.detector, settings.noise)
        self._transport = Transport()
        self._charge = new_charge(self.detector, _FIRST_CHARGE_ROWS)
        self._tps = new_tps(_FIRST_TPS)

    def primaries(self, events: IntArray) -> tuple[Primaries, npt.NDArray[np.uint64]]:
        """Primaries of events (numbers in the chunk) and the random states, shape (n, 4), for all that follows."""
        name = zlib.crc32(self._sample.encode())
        uniforms, states = np.empty((len(events), N_UNIFORMS)), np.empty((len(events), 4), np.uint64)
        for row, event in enumerate(events):
            rng = np.random.default_rng([self._settings.seed, name, self._chunk, int(event)])
            uniforms[row] = rng.random(N_UNIFORMS)
            states[row] = rng.integers(1, 2**63, 4, dtype=np.uint64)
        s = self._settings
        return draw_primaries(uniforms, s.spectrum, s.flux, self.detector, s.vertex_margin_cm), states

    def event(self, energy_mev: float, vertex_cm: FloatArray, direction: FloatArray, state: Any) -> EventRecord:
        """Transport one electron and read out the detector."""
        shower = self._transport.shower(energy_mev, vertex_cm, direction, state)
        order = self._collect(shower, state)
        self._digitize(order, state)
        n = int(self._tps.counts[0])
        rows = self._tps.rows[:n]
        sorted_tps = np.argsort(rows[:, CHANNEL] * self.detector.n_ticks + rows[:, START], kind="stable")
        amounts = self._charge.amounts[order].copy()
        amounts[:, X_NE:] /= amounts[:, :1]
        record = EventRecord(
            rows[sorted_tps], self._tps.truth[:n][sorted_tps], self._charge.keys[order], amounts,
            shower.path_cm, shower.end_cm.copy(),
        )  # fmt: skip
        clear_charge(self._charge)
        return record

    def _collect(self, shower: Shower, state: Any) -> IntArray:
        """Charge of the shower on the wires, with longer lists if they were too short; rows in order."""
        while True:
            trial = state.copy()
            drift_deposits(shower.deposits, shower.classes, trial, self._layout, self._charge)
            if not self._charge.counts[FULL]:
                break
            self._charge = new_charge(self.detector, 4 * len(self._charge.keys))
        state[:] = trial
        return np.asarray(order_rows(self._charge))

    def _digitize(self, order: IntArray, state: Any) -> None:
        while True:
            trial = state.copy()
            self._tps.counts[:] = 0
            find_tps(self._charge, order, trial, self._readout, self._tps)
            add_noise_tps(trial, self._readout, self._tps)
            if not self._tps.counts[1]:
                break
            self._tps = new_tps(4 * len(self._tps.rows))
        state[:] = trial


def run_number(sample: str) -> int:
    """Run number of a simulated sample: the same for the same name, between 500,000 and 2^20 - 1."""
    return FIRST_RUN + zlib.crc32(sample.encode()) % (LAST_RUN - FIRST_RUN + 1)


def simulate_chunk(
    settings: SimulateSettings,
    sample: str,
    chunk: int,
    events: Iterable[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Trees:
    """Simulate a chunk.

    Parameters
    ----------
    settings
        Settings of the stage.
    sample, chunk
        Name of the sample and number of the chunk (0 .. 4095).
    events
        Numbers inside the chunk; all of them by default.
    progress
        Called with (events done, events in all) after each event.

    Returns
    -------
    dict
        Tree -> branch -> array: ``tps``, ``mctruths``, ``mcneutrinos``, ``mcparticles``, ``simides``, as a TPStream
        file holds them. Event numbers are chunk * events_per_chunk + number + 1; the subrun is the chunk.

    Raises
    ------
    UsageError
        The chunk number does not fit the event identifier.
    ConfigError
        Unknown detector, or a spectrum or vertex margin that leaves nothing.
    """
    chosen = np.arange(settings.events_per_chunk) if events is None else np.array(list(events), np.int64)
    simulator = Simulator(settings, sample, chunk)
    primaries, states = simulator.primaries(chosen)
    records = []
    for k in range(len(chosen)):
        energy, vertex, direction = primaries.energy_mev[k], primaries.vertex_cm[k], primaries.direction[k]
        records.append(simulator.event(float(energy), vertex, direction, states[k]))
        if progress is not None:
            progress(k + 1, len(chosen))
    numbers = chunk * settings.events_per_chunk + chosen + 1
    return _trees(records, primaries, simulator.detector, (run_number(sample), chunk, numbers))


def _trees(
    records: list[EventRecord], primaries: Primaries, detector: Detector, where: tuple[int, int, IntArray]
) -> Trees:
    n_tps = np.array([len(record.tps) for record in records], np.int64)
    n_ides = np.array([len(record.ide_keys) for record in records], np.int64)
    tps = np.concatenate([record.tps for record in records] or [np.zeros((0, 7), np.int64)])
    truth = np.concatenate([record.tp_truth for record in records] or [np.zeros((0, 9))])
    keys = np.concatenate([record.ide_keys for record in records] or [np.zeros((0, 3), np.int64)])
    amounts = np.concatenate([record.ide_amounts for record in records] or [np.zeros((0, 5))])
    ends = np.array([record.end_cm for record in records]).reshape(-1, 3)
    paths = np.array([record.path_cm for record in records])
    ide_event = np.repeat(np.arange(len(records)), n_ides)
    return {
        "tps": truthtables.key(where, n_tps) | truthtables.tps(tps, truth, detector),
        "mctruths": truthtables.key(where, np.full(len(records), 4)) | truthtables.mctruths(primaries),
        "mcneutrinos": truthtables.key(where, np.ones(len(records), np.int64)) | truthtables.mcneutrinos(primaries),
        "mcparticles": truthtables.key(where, np.full(len(records), 2))
        | truthtables.mcparticles(primaries, ends, paths, ide_event, keys, amounts),
        "simides": truthtables.key(where, n_ides) | truthtables.simides(keys, amounts),
    }
