"""``match``: TPStream ROOT files -> trigger primitives with truth."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from snpoint.data.tables import TP_TABLE, Columns, check_distinct, write_table
from snpoint.data.tpstream import check_sha256, read_tpstream
from snpoint.errors import DataError
from snpoint.physics.geometry import load_detector
from snpoint.physics.matching import match
from snpoint.settings import MatchSettings

log = logging.getLogger(__name__)

_TREES = {"backtracker": ("tps", "mctruths", "mcparticles"), "none": ("tps",)}


def run(settings: MatchSettings, *, tpstream: list[Path], tps: Path) -> None:
    """Read the files of one chunk, attach truth to their TPs, and write one table.

    Raises
    ------
    InputMissingError, DataError
        A file is missing, broken, from another detector, or holds an event that another file of the chunk holds.
    """
    tables = [_matched(settings, path) for path in tpstream]
    events = [np.unique(table["event_uid"]) for table in tables]
    check_distinct(events, tpstream, "list each file once")
    table = {key: np.concatenate([part[key] for part in tables]) for key in TP_TABLE}
    order = np.argsort(table["event_uid"], kind="stable")
    table = {key: values[order] for key, values in table.items()}
    write_table(tps, table, TP_TABLE)
    log.info("%s: %d TPs in %d events from %d files", tps, len(order), sum(map(len, events)), len(tpstream))


def _matched(settings: MatchSettings, path: Path) -> Columns:
    if path.name in settings.sha256:
        check_sha256(path, settings.sha256[path.name])
    trees = read_tpstream(path, _TREES[settings.truth])
    detector = load_detector(settings.detector)
    try:
        table = match(trees, detector, truth=settings.truth, interaction=settings.interaction)
    except ValueError as error:
        raise DataError(f"{path}: {error}; is 'match.detector' right for this file?") from error
    has_truth = bool(np.isfinite(table["energy_true_mev"]).any())
    if settings.truth != "none" and not has_truth:
        log.warning("%s: no truth of a neutrino interaction found, although match.truth is '%s'", path, settings.truth)
    log.info("%s: %d TPs, %d of them signal", path, len(table["channel"]), int(table["is_signal"].sum()))
    return table
