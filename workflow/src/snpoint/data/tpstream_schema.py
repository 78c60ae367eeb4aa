"""The schema of TPStream ROOT files, as LArSoft's trigger analyzer writes them: trees, branches and their types."""

from __future__ import annotations

import numpy as np

Tree = dict[str, np.ndarray]
Trees = dict[str, Tree]

DIRECTORY = "triggerAnaDumpTPs"
TP_FOLDER = f"{DIRECTORY}/TriggerPrimitives"
TP_PREFIX = "tpmakerTPC__TriggerAnaTree"
"""The tree of TPs is named after the geometry: this and 1x2x2, 1x2x6, ..."""
STRING = "string"


def _columns(text: str) -> dict[str, str]:
    """``'u4: a b; f8: c'`` as ``{'a': 'u4', 'b': 'u4', 'c': 'f8'}``, in that order."""
    found: dict[str, str] = {}
    for group in text.split(";"):
        kind, _, names = group.partition(":")
        found.update(dict.fromkeys(names.split(), kind.strip()))
    return found


KEY = ("Event", "Run", "SubRun")
"""Branches that name the event, in every tree."""
_KEY = "u4: Event Run SubRun; "
BACKTRACKER = _columns(
    "i4: bt_primary_track_id; f8: bt_primary_track_numelectron_frac bt_primary_track_energy_frac bt_edep"
    " bt_numelectrons bt_x bt_y bt_z bt_primary_x bt_primary_y bt_primary_z"
)
SCHEMA: dict[str, dict[str, str]] = {
    "tps": _columns(
        _KEY + "u1: version flag detid; u4: channel; u2: samples_over_threshold; u8: time_start; u2: samples_to_peak;"
        " u4: adc_integral; u2: adc_peak; u4: readout_plane_id; i4: readout_view; u4: TPCSetID"
    )
    | BACKTRACKER,
    "mctruths": _columns(
        _KEY + "i4: block_id truth_track_id pdg; string: generator_name; i4: status_code; f8: x y z px py pz energy;"
        " string: process"
    ),
    "mcneutrinos": _columns(
        _KEY + "i4: block_id; string: generator_name; i4: nupdg leptonpdg ccnc mode interactionType target hitnuc"
        " hitquark; f8: w x y qsqr pt theta"
    ),
    "mcparticles": _columns(
        _KEY + "i4: pdg; string: generator_name; i4: status_code g4_track_id mother truth_block_id;"
        " f8: x y z t end_x end_y end_z end_t px py pz energy edep numelectrons shower_edep shower_numelectrons;"
        " string: process"
    ),
    "simides": _columns(_KEY + "u4: channel; u2: timestamp; f4: numelectrons energy x y z; i4: trackID origTrackID"),
}
"""Branches of each tree with their types: numpy dtype codes, or ``string``."""
EXTRA: dict[str, dict[str, str]] = {
    "burst": _columns(_KEY + "f8: time_s; u1: interaction; f8: direction_x direction_y direction_z")
}
"""Trees that LArSoft's files do not have and readers may ignore. ``burst``: one row for each event of a simulated
burst, with its time since the beginning [s], what it is (0 background, 1 ES, 2 CC), and the true direction of flight of
the neutrinos (unit vector, detector frame), the same in all rows."""
TREES = SCHEMA | EXTRA
"""All trees that can be read and written."""
