"""Tables of clusters written by hand: a few TPs, each with what matters, and defaults for the rest."""

from __future__ import annotations

from typing import Any

import numpy as np

from snpoint.data.tables import CLUSTER_TABLE
from snpoint.physics.geometry import Detector, load_detector
from snpoint.settings import ClusterSettings

DETECTOR = load_detector("fdhd_1x2x2")
_DEFAULTS: dict[str, Any] = {
    "event": 1,
    "run": 7,
    "start": 1000,
    "samples_over_threshold": 10,
    "samples_to_peak": 4,
    "adc_integral": 1500,
    "adc_peak": 250,
    "cluster_id": -1,
    "accepted": 0,
    "is_main": 0,
    "link_id": -1,
    "link_margin": np.nan,
    "is_signal": 1,
    "is_overlay": 0,
    "background_uid": 0,
    "pdg": 11,
    "edep_mev": 0.4,
    "interaction": 1,
    "direction": (0.6, 0.8, 0.0),
    "vertex_cm": (80.0, -300.0, 100.0),
    "energy_true_mev": 12.0,
}


def cluster_settings() -> ClusterSettings:
    """Connected clusters, cut and linked as in the samples of the project."""
    values: dict[str, Any] = {"detector": "fdhd_1x2x2", "method": "connected", "tick_limit": 3, "channel_limit": 2}
    values |= {"min_tps": 2, "tot_cut": 3, "energy_cut_mev": 2.0}
    links = {"tolerance_ticks": 20.0, "sigma_ticks": 5.0, "sigma_y_cm": 3.0, "sigma_log_charge": 0.7}
    adc_per_mev = {"U": 1000.0, "V": 1100.0, "X": 4100.0}
    return ClusterSettings(**values, adc_per_mev=adc_per_mev, link=links | {"missing_plane_cost": 10.0})


def table(*tps: dict[str, Any], detector: Detector = DETECTOR) -> dict[str, np.ndarray]:
    """Columns of a cluster table; each TP names its ``channel`` and what differs from the defaults.

    ``start`` is in ticks. Rows are sorted as the stages sort them.
    """
    rows = [_DEFAULTS | {"link_planes": 0} | tp for tp in tps]
    columns: dict[str, Any] = {key: [row[key] for row in rows] for key in rows[0] if key in CLUSTER_TABLE}
    channel = np.array(columns["channel"])
    run, event = (np.array(columns[key], np.uint64) for key in ("run", "event"))
    columns |= {
        "event_uid": (run << np.uint64(44)) + event,
        "time_start": np.array([row["start"] for row in rows]) * detector.clock_per_tick,
        "apa": detector.apa(channel),
        "plane": detector.plane(channel),
        "face": detector.face(channel),
    }
    for i, axis in enumerate("xyz"):
        columns[f"direction_{axis}"] = [row["direction"][i] for row in rows]
        columns[f"vertex_{axis}_cm"] = [row["vertex_cm"][i] for row in rows]
        columns[f"neutrino_direction_{axis}"] = [row["direction"][i] for row in rows]
    empty = np.zeros(len(rows))
    complete = {key: columns.get(key, empty) for key in CLUSTER_TABLE}
    arrays = {key: np.asarray(complete[key]).astype(array.dtype) for key, array in CLUSTER_TABLE.items()}
    order = np.lexsort((arrays["channel"], arrays["time_start"], arrays["event_uid"]))
    return {key: values[order] for key, values in arrays.items()}


def cluster(first: int, number: int, n: int = 4, **values: Any) -> list[dict[str, Any]]:
    """TPs of one accepted cluster on neighboring channels, each two ticks after the one before."""
    begin = values.pop("start", 1000)
    common = {"cluster_id": number, "accepted": 1} | values
    return [common | {"channel": first + k, "start": begin + 2 * k} for k in range(n)]
