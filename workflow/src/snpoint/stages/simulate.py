"""``simulate``: neutrino interactions and backgrounds -> TPStream ROOT."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from snpoint.data.tpstream import write_tpstream
from snpoint.physics.simulation.chunk import Trees, simulate_batches
from snpoint.settings import SimulateSettings

_log = logging.getLogger(__name__)

_EVERY_SECONDS = 5.0


def run(settings: SimulateSettings, *, sample: str, chunk: int, tpstream: Path) -> None:
    """Simulate one chunk of a sample and write it as a TPStream file, batch after batch.

    Parameters
    ----------
    settings
        Settings of the stage.
    sample
        Name of the sample; with the seed, the chunk and the event it decides every random number.
    chunk
        Number of the chunk.
    tpstream
        ROOT file to write, in the schema of LArSoft's trigger analyzer; of a burst with one tree more.

    Raises
    ------
    ConfigError, UsageError
        The settings or the chunk number cannot be simulated.
    OutputError
        The file cannot be written.
    """
    _log.info("sample %s, chunk %04d: generator %s", sample, chunk, settings.generator)
    batches = simulate_batches(settings, sample, chunk, progress=_Progress())
    rows: Counter[str] = Counter()
    # LArSoft names the arrangement of a far detector's APAs alone: 1x2x2, 1x2x6
    write_tpstream(tpstream, _counted(batches, rows), layout=settings.detector.removeprefix("fdhd_"))
    _log.info("%s holds %d TPs, %d SimIDEs", tpstream, rows["tps"], rows["simides"])


def _counted(batches: Iterator[Trees], rows: Counter[str]) -> Iterator[Trees]:
    """The same batches; ``rows`` counts what they hold."""
    for batch in batches:
        rows.update({tree: len(branches["Event"]) for tree, branches in batch.items()})
        yield batch
        del batch  # or it would still be there while the next one is made


class _Progress:
    """Logs how far the simulation is every few seconds; the clock starts when the first event is done."""

    def __init__(self) -> None:
        self._start = self._last = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == 1:
            self._start = self._last = now
        if now - self._last > _EVERY_SECONDS or done == total:
            self._last = now
            rate = (done - 1) / max(now - self._start, 1e-9)
            left = f", {_duration((total - done) / rate)} left" if rate > 0 and done < total else ""
            _log.info("%d of %d events, %.0f events/s%s", done, total, rate, left)


def _duration(seconds: float) -> str:
    """Such as 45 s, 12 min, 3.4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
