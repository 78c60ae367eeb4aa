"""Truth of TPs from LArSoft's own backtracking: the ``bt_*`` branches name the track that dominates each TP."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snpoint.physics.constants import NO_TRACK
from snpoint.physics.matching_rows import Columns, Rows, Tree
from snpoint.physics.matching_tracks import origin


def backtracker(trees: Mapping[str, Tree], rows: Rows) -> Columns:
    """Truth columns of the TPs of a table, shape (T,) each.

    Parameters
    ----------
    trees
        ``tps`` with its ``bt_*`` branches, ``mctruths`` and, where the file has it, ``mcparticles``.
    rows
        The order of the table.
    """
    tps = trees["tps"]
    file_track = tps["bt_primary_track_id"]
    track = file_track[rows.order]
    made = np.flatnonzero(track != NO_TRACK)
    own = rows.order[made]
    n = len(track)
    table: Columns = {"track_id": np.zeros(n, np.int32), "is_signal": np.zeros(n, np.uint8)}
    table |= {"pdg": np.zeros(n, np.int32)}
    table["track_id"][made] = track[made]
    origins = origin(trees.get("mcparticles"), trees["mctruths"], rows, rows.event_of(made), track[made])
    table["is_signal"][made], table["pdg"][made] = origins
    table["edep_mev"] = tps["bt_edep"].astype(np.float32)[rows.order]
    table["n_electrons"] = tps["bt_numelectrons"].astype(np.float32)[rows.order]
    for axis in "xyz":
        table[f"{axis}_cm"] = np.full(n, np.nan, np.float32)
        table[f"{axis}_cm"][made] = tps[f"bt_{axis}"][own]
    return table
