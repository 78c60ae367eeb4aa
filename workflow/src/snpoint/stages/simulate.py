"""``simulate``: electrons of elastic neutrino-electron scattering -> TPStream ROOT."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from snpoint.data.tpstream import write_tpstream
from snpoint.physics.simulation.chunk import simulate_chunk
from snpoint.settings import SimulateSettings

_log = logging.getLogger(__name__)

_EVERY_SECONDS = 5.0


def run(settings: SimulateSettings, *, sample: str, chunk: int, tpstream: Path) -> None:
    """Simulate one chunk of a sample and write it as a TPStream file.

    Parameters
    ----------
    settings
        Settings of the stage.
    sample
        Name of the sample; with the seed, the chunk and the event it decides every random number.
    chunk
        Number of the chunk.
    tpstream
        ROOT file to write, in the schema of LArSoft's trigger analyzer.

    Raises
    ------
    ConfigError, UsageError
        The settings or the chunk number cannot be simulated.
    OutputError
        The file cannot be written.
    """
    _log.info("sample %s, chunk %04d: %d events", sample, chunk, settings.events_per_chunk)
    trees = simulate_chunk(settings, sample, chunk, progress=_Progress())
    write_tpstream(tpstream, trees)
    _log.info("%s holds %d TPs, %d SimIDEs", tpstream, len(trees["tps"]["Event"]), len(trees["simides"]["Event"]))


class _Progress:
    """Logs how far the simulation is every few seconds; the clock starts when the first event is done."""

    def __init__(self) -> None:
        self._start = self._last = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == 1:
            self._start = self._last = now
        elif now - self._last > _EVERY_SECONDS or done == total:
            self._last = now
            rate = (done - 1) / max(now - self._start, 1e-9)
            _log.info("%d of %d events, %.0f events/s", done, total, rate)
