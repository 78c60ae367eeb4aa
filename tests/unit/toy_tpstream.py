"""Small TPStream files, also such as LArSoft does not write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from snpoint.data.tpstream import Tree, Trees
from snpoint.data.tpstream_schema import SCHEMA, TP_FOLDER, TP_PREFIX

RUN, SUBRUN = 3, 2
SIGNAL_TRACK = 5
ENERGY_GEV = 0.0205


def event_tps(event: int, channels: Sequence[int], times: Sequence[int], track: int = SIGNAL_TRACK) -> Tree:
    """TPs of one event: three samples long, 100 ADC high; ``track`` made all of them (-99999: none)."""
    n = len(channels)
    made = track != -99999
    values: dict[str, Any] = dict.fromkeys(SCHEMA["tps"], 0) | {"Event": event, "Run": RUN, "SubRun": SUBRUN}
    values |= {"version": 1, "detid": 3, "samples_over_threshold": 3, "samples_to_peak": 1, "adc_integral": 250}
    values |= {"adc_peak": 100, "bt_primary_track_id": track, "bt_edep": 0.5 * made, "bt_numelectrons": 1e4 * made}
    tree = {key: np.full(n, values[key], SCHEMA["tps"][key]) for key in SCHEMA["tps"]}
    return tree | {"channel": np.array(channels, "u4"), "time_start": np.array(times, "u8")}


def event_truth(event: int, generator: str = "marley") -> Trees:
    """An electron of 20 MeV along +z, its neutrino, and one deposit on channel 0: the truth of one event."""
    rows = {"pdg": [12, 11], "status_code": [0, 1], "energy": [0.03, ENERGY_GEV], "pz": [0.03, ENERGY_GEV]}
    truths = _rows("mctruths", event, 2, rows | {"generator_name": [generator] * 2, "process": ["", ""]})
    particles = _rows(
        "mcparticles", event, 1, {"pdg": [11], "g4_track_id": [SIGNAL_TRACK], "generator_name": ["largeant"]}
    )
    deposit = {"timestamp": [100], "numelectrons": [1e4], "energy": [0.5], "trackID": [SIGNAL_TRACK]}
    return {"mctruths": truths, "mcparticles": particles, "simides": _rows("simides", event, 1, deposit)}


def joined(*parts: Mapping[str, Tree]) -> Trees:
    """The trees of several events in one."""
    return {
        tree: {key: np.concatenate([part[tree][key] for part in parts]) for key in content}
        for tree, content in parts[0].items()
    }


def event(number: int, channels: Sequence[int] = (0, 1700), times: Sequence[int] = (3200, 3232)) -> Trees:
    """One event with TPs and truth."""
    return {"tps": event_tps(number, channels, times)} | event_truth(number)


def write_raw(path: Path, trees: Mapping[str, Mapping[str, np.ndarray]], layouts: Sequence[str] = ("1x2x2",)) -> Path:
    """A ROOT file with whatever trees and branches there are; the tree of TPs once for each name of a layout."""
    with uproot.recreate(path) as file:
        for tree, content in trees.items():
            names = [f"{TP_FOLDER}/{TP_PREFIX}{layout}" for layout in layouts]
            for name in names if tree == "tps" else [f"triggerAnaDumpTPs/{tree}"]:
                texts = {key: values.dtype.kind == "U" for key, values in content.items()}
                file.mktree(name, {key: "string" if texts[key] else content[key].dtype for key in content})
                if any(map(len, content.values())):
                    file[name].extend(
                        {key: ak.Array(content[key].tolist()) if texts[key] else content[key] for key in content}
                    )
    return path


def without(tree: Mapping[str, np.ndarray], *branches: str) -> Tree:
    """A tree that lacks some of its branches."""
    return {key: values for key, values in tree.items() if key not in branches}


def _rows(tree: str, event_number: int, n: int, values: Mapping[str, Sequence[Any]]) -> Tree:
    columns: Tree = {}
    for key, kind in SCHEMA[tree].items():
        default: Any = {"Event": event_number, "Run": RUN, "SubRun": SUBRUN}.get(key, "" if kind == "string" else 0)
        columns[key] = np.array(values.get(key, [default] * n), "U8" if kind == "string" else kind)
    return columns
