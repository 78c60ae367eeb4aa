"""``match``: TPStream ROOT files -> trigger primitives with truth, background events laid over."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from snpoint.data.contracts import validate
from snpoint.data.events import check_distinct, check_single
from snpoint.data.sources import (
    Sources,
    add_counts,
    add_lowest_adc,
    check_sha256,
    ends_with,
    file_record,
    joined_truth,
    production_tag,
)
from snpoint.data.tables import TP_TABLE, Columns, open_table
from snpoint.data.tpstream import TpStream, UnreadableError
from snpoint.data.tpstream_events import EventFile, batches
from snpoint.data.truthneeds import LAST_SIMIDE_TIME, can_compare, needed_columns, possible_truth
from snpoint.errors import DataError
from snpoint.physics.geometry import Detector, known_detectors, load_detector
from snpoint.physics.matching import UnmatchableError, compare, count_interactions, match
from snpoint.physics.overlay import OverlayError, Pool, lay_over, pair_events
from snpoint.settings import MatchSettings, Overlay

log = logging.getLogger(__name__)

_ARRANGEMENT = re.compile(r"\d+x\d+x\d+$")
_REMEDY = "list each file once, or name the copy under exclude: of the sample"
TPS_PER_BATCH = 2_000_000
"""TPs in memory at a time (whole events of all files of a chunk), beside the background to be laid over."""


def run(settings: MatchSettings, *, tpstream: list[Path], tps: Path, background: Sequence[Path] = ()) -> None:
    """Read the files of one chunk, attach truth to their TPs, lay background over them, and write one table.

    Parameters
    ----------
    settings
        Settings of the stage.
    tpstream
        TPStream files. With ``quarantine`` a broken one is left out, and the table may be empty.
    tps
        Table to write (.parquet).
    background
        TPStream files of background events; each is laid over at most one event.

    Raises
    ------
    InputMissingError, DataError
        A file is missing, broken, or from another detector, lacks the truth that is asked for, or holds an event that
        another one holds; or there are fewer background events than events.
    OutputError
        The table cannot be written.
    """
    problems: dict[Path, str] = {}
    while True:
        try:
            _Chunk(settings, problems).write(tpstream, background, tps)
            return
        except _BrokenFileError as broken:
            if not settings.quarantine:
                raise broken.reason from None
            # A file may turn out broken in its middle. Nothing of the table is left then; the rest starts again.
            log.warning("left out: %s", broken.reason)
            problems[broken.path] = _in_short(broken)


class _BrokenFileError(Exception):
    """One file of the chunk cannot be used."""

    def __init__(self, path: Path, reason: DataError) -> None:
        super().__init__(str(reason))
        self.path, self.reason = path, reason


def _in_short(broken: _BrokenFileError) -> str:
    """What is wrong with a file, for a list that names the file itself."""
    if isinstance(broken.reason, UnreadableError):
        return broken.reason.reason
    return str(broken.reason).removeprefix(f"{broken.path}: ")


@contextmanager
def _blamed(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise _BrokenFileError(path, error) from error


class _File:
    """An open input file: its events, its record, and how its truth is matched."""

    def __init__(self, stack: ExitStack, path: Path, settings: MatchSettings) -> None:
        self.path, self.record = path, file_record(path)
        with _blamed(path):
            check_sha256(path, self.record["sha256"], settings.sha256)
            stream = stack.enter_context(TpStream(path))
            _check_layout(path, stream.layout, settings.detector)
            truth = possible_truth(stream, settings.truth)
            self._compared = settings.compare and truth != "none" and can_compare(stream)
            self.events = EventFile(stream, needed_columns(truth, self._compared))
            tag = production_tag(path.absolute(), settings.production, stream.layout, stream.version())
        if truth != settings.truth and len(self.events.uid):
            log.warning("%s: holds no truth, although match.truth is '%s'; taken as data", path, settings.truth)
        self.truth = truth
        self._settings = settings.model_copy(update={"truth": truth})
        self._n_kept = self._n_signal = 0
        self._has_energy, self._earliest = False, np.iinfo(np.int64).max
        self.agreement: Sources = {}
        self.record |= {"production": tag, "tree": stream.tp_tree, "n_events": len(self.events.uid)}
        self.record["n_tps"] = int(self.events.n_tps.sum())
        log.info("%s: %d TPs in %d events, %s", path, self.record["n_tps"], self.record["n_events"], tag)

    def matched(self, first: int, last: int, detector: Detector) -> Columns:
        """TPs of the events ``first .. last`` with their truth."""
        with _blamed(self.path):
            trees = self.events.read(first, last)
            try:
                table = match(trees, detector, settings=self._settings)
                if self._compared:
                    self.agreement = add_counts(self.agreement, compare(trees, detector, self._settings))
            except UnmatchableError as error:
                raise DataError(f"{self.path}: {error}") from error
            validate(table, TP_TABLE, self.path)
            check_single(table, self.path)
        self._look_at(table)
        if self._settings.interaction != "truth" and self.truth != "none":
            counts = count_interactions(trees["mctruths"], self.events.uid[first:last])
            known = self.record.get("forced", {"as": self._settings.interaction})
            self.record["forced"] = known | {key: known.get(key, 0) + n for key, n in counts.items()}
        return table

    def _look_at(self, table: Columns) -> None:
        self._n_kept += len(table["is_signal"])
        add_lowest_adc(self.record, table["plane"], table["adc_peak"])
        self._n_signal += int(table["is_signal"].sum())
        self._has_energy |= bool(np.isfinite(table["energy_true_mev"]).any())
        if len(table["time_start"]):
            self._earliest = min(self._earliest, int(table["time_start"].min()))

    def finish(self, background: bool = False) -> None:
        """Say what came of the file."""
        truth, n_tps = self.truth, self.record["n_tps"]
        if self._n_kept < n_tps:
            log.info("%s: %d of %d TPs are kept, '%s' drops those of one sample", self.path, self._n_kept, n_tps, truth)
        share = 100 * self._n_signal / max(self._n_kept, 1)
        log.info("%s: %d of %d TPs (%.1f%%) are signal", self.path, self._n_signal, self._n_kept, share)
        if not n_tps or truth == "none" or background:
            return
        self._warn_of_forced()
        if truth != "backtracker" and self._earliest > LAST_SIMIDE_TIME:
            log.warning(
                "%s: TPs begin at %d clock ticks, deposits end at %d: match.truth '%s' finds nothing; use backtracker",
                *(self.path, self._earliest, LAST_SIMIDE_TIME, truth),
            )
        elif not self._has_energy:
            log.warning("%s: no truth of a neutrino interaction found by match.truth '%s'", self.path, truth)

    def _warn_of_forced(self) -> None:
        """Say that the truth tables contradict the interaction that the settings give."""
        forced = self.record.get("forced")
        if forced and (other := forced["CC" if forced["as"] == "ES" else "ES"]):
            log.warning(
                "%s: match.interaction is '%s', but by its truth tables %d of %d interactions are not; use 'truth'",
                *(self.path, forced["as"], other, forced["ES"] + forced["CC"]),
            )


class _Overlay:
    """Background events in memory, and for which event each of them was drawn."""

    def __init__(self, settings: Overlay, pool: Pool, signal_uid: np.ndarray, where: Path) -> None:
        self._pool, self._signal_uid, self._where = pool, signal_uid, where
        with self._explained():
            self._drawn, self.counts = pair_events(signal_uid, pool, settings)
        self.counts["noise_tps_dropped"] = 0
        self._n_tps = 0

    def laid_over(self, columns: Columns) -> Columns:
        """Whole events with their background events."""
        with self._explained():
            table, dropped = lay_over(columns, self._pool, self._signal_uid, self._drawn)
        self.counts["noise_tps_dropped"] += dropped
        self._n_tps += int(table["is_overlay"].sum())
        return table

    def finish(self) -> None:
        """Say how much was laid over: few events of background or none at all are easily missed."""
        n_events, n_over = self.counts["events"], self.counts["with_background"]
        few = n_events > 0 and (2 * n_over < n_events or not self._n_tps)
        words = "background over %d of %d events (%d TPs; %d events in the background files)"
        log.log(
            logging.WARNING if few else logging.INFO, words, n_over, n_events, self._n_tps, self.counts["pool_events"]
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OverlayError as error:
            raise DataError(f"{self._where}: background: {error}") from error


class _Chunk:
    """The files of a chunk that are not known to be broken."""

    def __init__(self, settings: MatchSettings, problems: Mapping[Path, str]) -> None:
        self._settings, self._problems = settings, problems
        self._detector = load_detector(settings.detector)

    def write(self, signal: Sequence[Path], background: Sequence[Path], target: Path) -> None:
        """Write the table."""
        sources: Sources = {}
        n_tps = 0
        with ExitStack() as stack:
            files = self._open(stack, signal, self._settings)
            others = self._open(stack, background, self._of_background(signal))
            _check_other_files(files, others)
            over = self._overlay(files, others, background[0].parent) if background else None
            with open_table(target, TP_TABLE, sources) as table:
                for columns in self._batches(files):
                    complete = columns if over is None else over.laid_over(columns)
                    table.append(complete)
                    n_tps += len(complete["event_uid"])
                for file in files:
                    file.finish()
                sources |= self._records("files", signal, files) | self._records("background", background, others)
                sources |= _truth(files)
                if over is not None:
                    over.finish()
                    sources["overlay"] = over.counts
        n_events = sum(file.record["n_events"] for file in files)
        log.info("%s: %d TPs in %d events from %d files", target, n_tps, n_events, len(files))

    def _open(self, stack: ExitStack, paths: Sequence[Path], settings: MatchSettings) -> list[_File]:
        files = [_File(stack, path, settings) for path in paths if path not in self._problems]
        if files:
            check_distinct([file.events.uid for file in files], [file.path for file in files], _REMEDY)
        return files

    def _of_background(self, signal: Sequence[Path]) -> MatchSettings:
        """Settings of the background files: agreement and, where names are equal, checksums are of the signal."""
        others = {
            end: digest
            for end, digest in self._settings.sha256.items()
            if not any(ends_with(path, end) for path in signal)
        }
        changes = {"production": self._settings.background_production, "compare": False, "sha256": others}
        return self._settings.model_copy(update=changes)

    def _batches(self, files: Sequence[_File]) -> Iterator[Columns]:
        """Matched TPs of whole events, in the order of the events."""
        done, total = 0, sum(file.record["n_tps"] for file in files)
        for batch in batches([file.events for file in files], TPS_PER_BATCH):
            parts = [files[number].matched(first, last, self._detector) for number, first, last in batch]
            yield _joined(parts)
            done += sum(int(files[number].events.n_tps[first:last].sum()) for number, first, last in batch)
            if done < total:
                log.info("%d of %d TPs", done, total)

    def _overlay(self, files: Sequence[_File], others: Sequence[_File], where: Path) -> _Overlay:
        settings = self._settings.overlay
        empty = {key: np.zeros(0, array.dtype) for key, array in TP_TABLE.items()}
        pools = [Pool.of(empty, settings), *(Pool.of(columns, settings) for columns in self._batches(others))]
        for file in others:
            file.finish(background=True)
        events = np.concatenate([np.zeros(0, np.uint64), *(file.events.uid for file in files)])
        return _Overlay(settings, Pool.joined(pools), events, where)

    def _records(self, kind: str, paths: Sequence[Path], files: Sequence[_File]) -> Sources:
        known = {file.path: file.record for file in files}
        return {
            kind: [
                known[path] if path in known else file_record(path) | {"problem": self._problems[path]}
                for path in paths
            ]
        }


def _check_layout(path: Path, tree: str, detector: str) -> None:
    """Check that a file is not of another arrangement of APAs (``1x2x6``) that there is a layout for."""
    found = _ARRANGEMENT.search(tree)
    if found is None or detector.endswith(found[0]):
        return
    fitting = [name for name in known_detectors() if name.endswith(f"_{found[0]}")]
    if fitting:
        raise DataError(
            f"{path}: its tree says {found[0]}, but match.detector is '{detector}'; set match.detector: "
            f"{' or '.join(fitting)} (and in cluster, image)"
        )


def _check_other_files(files: Sequence[_File], background: Sequence[_File]) -> None:
    """Check that no file is its own background."""
    own = {file.record["sha256"]: file.path for file in files if file.record["n_events"]}
    for file in background:
        if file.record["sha256"] in own:
            raise DataError(
                f"{file.path}: is given as background, but is the same file as {own[file.record['sha256']]}; events "
                "would lie over themselves; give other background files"
            )


def _truth(files: Sequence[_File]) -> Sources:
    """The methods that were used, and how far others agree."""
    used = joined_truth(file.truth for file in files if file.record["n_tps"])
    total: Sources = {}
    for file in files:
        total = add_counts(total, file.agreement)
    return ({"truth": used} if used else {}) | ({"comparison": total} if total else {})


def _joined(parts: Sequence[Columns]) -> Columns:
    """One table of several, in the order of the events; rows of an event stay in their order."""
    if len(parts) == 1:
        return parts[0]
    order = np.argsort(np.concatenate([part["event_uid"] for part in parts]), kind="stable")
    return {key: np.concatenate([part[key] for part in parts])[order] for key in TP_TABLE}
