"""Clustered TPs as branches of the predecessor's ROOT trees.

Names, units and types are its own. Where it wrote something wrong, or something that our tables do not keep, the branch
holds what its name says:

- ``particle_*`` and ``true_mom_*`` are the primary electron's, as they always were; so is ``particle_energy`` (total)
  here, and ``true_particle_energy`` is its true kinetic energy, not one from ADC.
- ``particle_{x,y,z}`` and ``true_pos_*`` are the vertex of the interaction.
- ``generator_name`` is ``marley`` for TPs of the neutrino, ``background`` for those of another true particle and
  ``UNKNOWN`` for the rest.
- ``match_type`` tells the planes of a match: 3 U+V+X, 2 U+X, 1 V+X, -1 none.
- ``tp_time_start`` has 64 bits: absolute times do not fit into 32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import CC, ELECTRON_MASS_MEV, ES
from snpoint.physics.geometry import Detector

Columns = dict[str, npt.NDArray[Any]]
Table = Mapping[str, npt.NDArray[Any]]
Ints = npt.NDArray[np.int64]

PLANES = ("U", "V", "X")
VERSION = 2
"""Version that the predecessor gave its TPs."""
MEMBERS = ("detector_channel", "detector", "samples_over_threshold", "samples_to_peak", "time_start", "adc_peak",
           "adc_integral", "simide_energy")  # fmt: skip
"""Branches ``tp_<name>`` with one entry per TP of a cluster."""
_INTERACTIONS = {ES: "ES", CC: "CC"}


def tp_branches(table: Table, detector: Detector) -> Columns:
    """Branches of the tree ``tps``: one entry per TP, in the order of the table."""
    n, signal = len(table["event"]), table["is_signal"] == 1
    electron, energy = _electron(table)
    neutrino = _neutrino(table)
    known = table["track_id"] != 0
    names = np.where(signal, "marley", np.where(known, "background", "UNKNOWN"))
    interaction = np.where(signal, "UNKNOWN", "")
    for code, name in _INTERACTIONS.items():
        interaction[signal & (table["interaction"] == code)] = name
    branches: Columns = {
        "event": table["event"].astype(np.int32),
        "version": np.full(n, VERSION, np.uint16),
        "detid": np.zeros(n, np.uint32),
        "channel": table["channel"].astype(np.uint32),
        "samples_over_threshold": table["samples_over_threshold"].astype(np.uint64),
        "time_start": table["time_start"].astype(np.uint64),
        "samples_to_peak": table["samples_to_peak"].astype(np.uint64),
        "adc_integral": table["adc_integral"].astype(np.uint32),
        "adc_peak": table["adc_peak"].astype(np.uint16),
        "detector": table["apa"].astype(np.uint16),
        "detector_channel": detector.local(table["channel"]).astype(np.int32),
        "view": np.array(PLANES)[table["plane"]],
        "simide_energy": np.nan_to_num(table["edep_mev"].astype(np.float64)),
        "generator_name": names,
        "particle_pdg": np.where(signal, table["pdg"], 0).astype(np.int32),
        "particle_process": np.full(n, "", dtype="U1"),
        "particle_energy": _of_signal(energy + ELECTRON_MASS_MEV, signal),
    }
    for axis, name in enumerate("xyz"):
        branches[f"particle_{name}"] = _of_signal(table[f"vertex_{name}_cm"], signal)
        branches[f"particle_p{name}"] = _of_signal(electron[:, axis], signal)
    branches["neutrino_interaction"] = interaction
    for axis, name in enumerate("xyz"):
        branches[f"neutrino_{name}"] = _of_signal(table[f"vertex_{name}_cm"], signal)
        branches[f"neutrino_p{name}"] = _of_signal(neutrino[:, axis], signal)
    return branches | {"neutrino_energy": _of_signal(table["neutrino_energy_mev"], signal)}


def cluster_branches(
    table: Table, detector: Detector, adc_per_mev: tuple[float, float, float]
) -> tuple[Columns, Columns, Ints, Columns]:
    """Branches of the cluster trees: one entry per cluster, by number.

    Parameters
    ----------
    table
        Whole events of the cluster table.
    detector
        The detector layout.
    adc_per_mev
        ADC per MeV of planes U, V, X, for ``total_energy``.

    Returns
    -------
    tuple
        Branches with one entry per cluster (C,); branches ``tp_*`` with one entry per TP, clusters one after the other;
        the number of TPs of each cluster (C,); and, per cluster, what decides about its tree: ``plane``, ``accepted``,
        ``matching_U`` and ``matching_V`` (number of the linked cluster on those planes, -1 none).
    """
    rows = np.flatnonzero(table["cluster_id"] >= 0)
    rows = rows[np.argsort(table["cluster_id"][rows], kind="stable")]
    own = {key: values[rows] for key, values in table.items()}
    identity, first, cluster, n_tps = np.unique(
        own["cluster_id"], return_index=True, return_inverse=True, return_counts=True
    )
    cluster = cluster.reshape(-1)
    members = {f"tp_{name}": values for name, values in _members(own, detector).items()}
    scalars = _scalars(own, first, cluster, n_tps, adc_per_mev)
    partners = _partners(own, first)
    link = own["link_id"][first]
    planes = np.stack([(partners[name] >= 0) & (link >= 0) for name in PLANES], axis=1)
    scalars |= {
        "cluster_id": identity.astype(np.int32),
        "match_id": link.astype(np.int32),
        "match_type": np.select([planes.all(axis=1), planes[:, 0] & planes[:, 2], planes[:, 1] & planes[:, 2]],
                                [3, 2, 1], -1).astype(np.int32),
    }  # fmt: skip
    place = {"plane": own["plane"][first].astype(np.int64), "accepted": own["accepted"][first] == 1}
    place |= {f"matching_{name}": partners[name] for name in ("U", "V")}
    return scalars, members, n_tps.astype(np.int64), place


def _members(own: Table, detector: Detector) -> Columns:
    values = (
        detector.local(own["channel"]).astype(np.int32),
        own["apa"].astype(np.int32),
        own["samples_over_threshold"].astype(np.int32),
        own["samples_to_peak"].astype(np.int32),
        own["time_start"].astype(np.int64),
        own["adc_peak"].astype(np.int32),
        own["adc_integral"].astype(np.int32),
        np.nan_to_num(own["edep_mev"].astype(np.float64)),
    )
    return dict(zip(MEMBERS, values, strict=True))


def _scalars(own: Table, first: Ints, cluster: Ints, n_tps: Ints, adc_per_mev: tuple[float, float, float]) -> Columns:
    n = len(first)
    is_signal, known = own["is_signal"] == 1, own["track_id"] != 0
    signal = np.bincount(cluster, is_signal, n)
    any_known = np.bincount(cluster, is_signal | known, n)
    has_signal = signal > 0
    electron, energy = (values[first] for values in _electron(own))
    neutrino = _neutrino(own)[first]
    charge = np.bincount(cluster, own["adc_integral"], n)
    share = (signal / np.maximum(n_tps, 1)).astype(np.float32)
    factor = np.array(adc_per_mev)[own["plane"][first]]
    branches: Columns = {"event": own["event"][first].astype(np.int32), "n_tps": n_tps.astype(np.int32)}
    for axis, name in enumerate("xyz"):
        branches[f"true_pos_{name}"] = _of_signal(own[f"vertex_{name}_cm"][first], has_signal)
        branches[f"true_neutrino_mom_{name}"] = _of_signal(neutrino[:, axis], has_signal)
        branches[f"true_mom_{name}"] = _of_signal(electron[:, axis], has_signal)
    return branches | {
        "true_neutrino_energy": _of_signal(own["neutrino_energy_mev"][first], has_signal),
        "true_particle_energy": _of_signal(energy, has_signal),
        "true_label": np.where(has_signal, "marley", np.where(any_known > 0, "background", "UNKNOWN")),
        "supernova_tp_fraction": share,
        "generator_tp_fraction": (any_known / np.maximum(n_tps, 1)).astype(np.float32),
        "marley_tp_fraction": share,
        "is_es_interaction": has_signal & (own["interaction"][first] == ES),
        "total_charge": charge,
        "total_energy": charge.astype(np.float32).astype(np.float64) / factor,
        "true_pdg": _most_common(own["pdg"].astype(np.int64), cluster, is_signal, n).astype(np.int32),
        "is_main_cluster": own["is_main"][first] == 1,
    }


def _partners(own: Table, first: Ints) -> dict[str, Ints]:
    """Number of the cluster that each cluster's link has on each plane; -1 where there is none."""
    link, plane, identity = (own[key][first].astype(np.int64) for key in ("link_id", "plane", "cluster_id"))
    found: dict[str, Ints] = {}
    for number, name in enumerate(PLANES):
        chosen = np.flatnonzero((link >= 0) & (plane == number))
        ordered = chosen[np.argsort(link[chosen], kind="stable")]
        place = np.searchsorted(link[ordered], link)
        inside = (place < len(ordered)) & (link >= 0)
        partner = np.full(len(first), -1, np.int64)
        same = inside.copy()
        same[inside] = link[ordered[place[inside]]] == link[inside]
        partner[same] = identity[ordered[place[same]]]
        found[name] = partner
    return found


def _most_common(values: Ints, cluster: Ints, chosen: npt.NDArray[np.bool_], n: int) -> Ints:
    """The value that most of the chosen rows of each cluster have; the smallest of equals, 0 without any."""
    pairs, counts = np.unique(np.stack([cluster[chosen], values[chosen]], axis=1), axis=0, return_counts=True)
    order = np.lexsort((pairs[:, 1], -counts, pairs[:, 0]))
    owner, place = np.unique(pairs[order, 0], return_index=True)
    result = np.zeros(n, np.int64)
    result[owner] = pairs[order[place], 1]
    return result


def _electron(table: Table) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Momentum (N, 3) [GeV/c] and kinetic energy (N,) [MeV] of the primary electron."""
    energy = table["energy_true_mev"].astype(np.float64)
    momentum = 1e-3 * np.sqrt(energy * (energy + 2 * ELECTRON_MASS_MEV))
    return _direction(table, "direction") * momentum[:, None], energy


def _neutrino(table: Table) -> npt.NDArray[np.float64]:
    """Momentum of the neutrino, (N, 3) [GeV/c]."""
    return _direction(table, "neutrino_direction") * 1e-3 * table["neutrino_energy_mev"].astype(np.float64)[:, None]


def _direction(table: Table, name: str) -> npt.NDArray[np.float64]:
    return np.stack([table[f"{name}_{axis}"].astype(np.float64) for axis in "xyz"], axis=1)


def _of_signal(values: npt.NDArray[Any], signal: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """The predecessor writes 0 where there is no truth."""
    return np.where(signal, np.nan_to_num(values.astype(np.float64)), 0.0).astype(np.float32)
