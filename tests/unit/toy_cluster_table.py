"""A small table of the cluster stage, made by hand."""

from __future__ import annotations

import numpy as np

from snpoint.data.tables import CLUSTER_TABLE


def cluster_table(n_events: int = 4, offset: int = 0) -> dict:
    """Per event a linked signal cluster on U, V and X, a background cluster on X below the cut, and a noise TP."""
    rows = []
    for event in range(n_events):
        for number, (plane, first, n_tps, signal) in enumerate(
            [(0, 100, 3, 1), (1, 900, 2, 1), (2, 1700, 4, 1), (2, 2300, 2, 0), (0, 500, 1, 0)]
        ):
            for k in range(n_tps):
                linked = signal and not (plane == 1 and event % 2)
                rows.append(
                    {
                        "event": 100 + event,
                        "channel": 2560 + first + k,
                        "apa": 1,
                        "plane": plane,
                        "time_start": offset + 32 * (1000 + k),
                        "samples_over_threshold": 4 + k,
                        "samples_to_peak": 2,
                        "adc_integral": 700 + 10 * k,
                        "adc_peak": 200,
                        "track_id": 1 if signal else 50 * (number == 3),
                        "pdg": (22 if k == 0 else 11) if signal else 0,
                        "is_signal": signal,
                        "edep_mev": 0.25 if signal else np.nan,
                        "cluster_id": 4 * event + number if number < 4 else -1,
                        "accepted": int(number < 3),
                        "is_main": signal,
                        "link_id": event if linked else -1,
                        "link_planes": 3 - event % 2 if linked else 0,
                    }
                )
    n = len(rows)
    table = {key: np.array([row.get(key, 0) for row in rows]) for key in CLUSTER_TABLE}
    table |= {"run": np.full(n, 9), "interaction": np.ones(n), "energy_true_mev": np.full(n, 20.0)}
    table |= {"direction_z": np.ones(n), "neutrino_direction_x": np.ones(n), "neutrino_energy_mev": np.full(n, 30.0)}
    table |= {f"vertex_{axis}_cm": np.full(n, 5.0 + i) for i, axis in enumerate("xyz")}
    table["event_uid"] = (9 << 44) + table["event"].astype(np.uint64)
    table["link_margin"] = np.full(n, np.nan)
    return {key: np.asarray(values).astype(CLUSTER_TABLE[key].dtype) for key, values in table.items()}
