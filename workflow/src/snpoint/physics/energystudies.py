"""Two studies of the predecessor's "energy mismatch", repeated on any sample with truth.

Its registry reports that 33.8% of the samples had more than 5 MeV between the energy of the electron's momentum and
the "true energy" stored beside it (mean difference 5.91 MeV), and that adding 0.7 MeV per TP made it worse: mismatches
grew from 31.9% to 78.1%, the correlation fell from 0.8478 to 0.6922. The stored "true energy" was the sum of the ADC
of the cluster's dominant particle over a constant (900 on U and V, 3600 on X), so the mismatch compares a momentum
with a measurement. These functions measure how much of it is the constant, and how much is energy that the electron
did not leave in its own TPs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.geometry import PLANES

Columns = Mapping[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]
Json = dict[str, Any]

REGISTRY: Json = {
    "mismatch": {"share": 0.338, "mean_mev": 5.91},
    "per_tp": {"mev_per_tp": 0.7, "correlation": [0.8478, 0.6922], "share": [0.319, 0.781]},
}
"""What the predecessor's registry of trainings (November 2025) reports."""
TOLERANCE_MEV = 5.0
"""Difference that counts as a mismatch."""
ENERGIES = {
    "predecessor": "ADC over the predecessor's constants",
    "calibrated": "ADC over the calibrated factors",
    "deposited": "true deposit behind the TPs",
}
"""The energies compared with the momentum, and what they are."""
ADDED_MEV = np.linspace(0.0, 1.4, 29)
"""Energies per TP of the scan."""


@dataclass(frozen=True)
class Tracks:
    """One entry per event and plane: the particle with most signal TPs there.

    plane (N,) 0 U, 1 V, 2 X; momentum_mev (N,) of the primary electron; adc (N,) sum of the particle's TPs;
    deposited_mev (N,) behind them; n_tps (N,).
    """

    plane: npt.NDArray[np.int64]
    momentum_mev: Floats
    adc: Floats
    deposited_mev: Floats
    n_tps: npt.NDArray[np.int64]

    def energy_mev(self, factors: tuple[float, float, float]) -> Floats:
        """ADC over the factor of the plane [MeV]."""
        return np.asarray(self.adc / np.asarray(factors)[self.plane], np.float64)


def dominant_tracks(tps: Columns) -> Tracks:
    """The dominant particle of each event and plane, as the predecessor chose it: most TPs, then smallest number.

    Electromagnetic daughters count for their mother (``|track_id|``).

    Parameters
    ----------
    tps
        Usable TPs with the columns of `snpoint.physics.calibration.NEEDED`; those of the signal are taken.
    """
    chosen = (tps["is_signal"] == 1) & (tps["track_id"] != 0) & np.isfinite(tps["energy_true_mev"])
    rows = {key: values[chosen] for key, values in tps.items()}
    event = np.unique(rows["event_uid"], return_inverse=True)[1].reshape(-1)
    key = np.stack([event * 3 + rows["plane"], np.abs(rows["track_id"].astype(np.int64))], axis=1)
    groups, first, of_group, counts = np.unique(key, axis=0, return_index=True, return_inverse=True, return_counts=True)
    # Sorted by (event and plane, most TPs, smallest track): the first of each event and plane is its particle.
    order = np.lexsort((groups[:, 1], -counts, groups[:, 0])) if len(groups) else np.zeros(0, np.int64)
    taken = order[np.unique(groups[order, 0], return_index=True)[1]]

    def total(values: npt.NDArray[Any]) -> Floats:
        sums = np.bincount(of_group.reshape(-1), values.astype(np.float64), len(groups))
        return np.asarray(sums[taken], np.float64)

    kinetic = rows["energy_true_mev"][first[taken]].astype(np.float64)
    return Tracks(
        plane=(groups[taken, 0] % 3).astype(np.int64),
        momentum_mev=np.sqrt(kinetic * (kinetic + 2 * ELECTRON_MASS_MEV)),
        adc=total(rows["adc_integral"]),
        deposited_mev=total(rows["edep_mev"]),
        n_tps=counts[taken].astype(np.int64),
    )


def agreement(momentum_mev: Floats, energy_mev: Floats) -> Json | None:
    """How well an energy stands for the momentum: mismatches, mean differences, correlation; None without samples."""
    if not len(momentum_mev):
        return None
    missing = momentum_mev - energy_mev
    return {
        "n": len(missing),
        "share": float((np.abs(missing) > TOLERANCE_MEV).mean()),
        "mean_mev": float(np.abs(missing).mean()),
        "mean_missing_mev": float(missing.mean()),
        "correlation": _correlation(momentum_mev, energy_mev),
    }


def _correlation(a: Floats, b: Floats) -> float | None:
    """Pearson's coefficient; None where one of the two does not vary."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def mismatch_study(
    tracks: Tracks, predecessor: tuple[float, float, float], calibrated: tuple[float, float, float]
) -> Json:
    """The first study: momentum against each of `ENERGIES`, per plane and for all planes.

    Parameters
    ----------
    tracks
        As of `dominant_tracks`.
    predecessor, calibrated
        ADC per MeV of U, V, X.
    """
    energies = energies_of(tracks, predecessor, calibrated)
    table: Json = {}
    for name, energy in energies.items():
        table[name] = {"all": agreement(tracks.momentum_mev, energy)}
        for number, plane in enumerate(PLANES):
            own = tracks.plane == number
            table[name][plane] = agreement(tracks.momentum_mev[own], energy[own])
    return {"tolerance_mev": TOLERANCE_MEV, "registry": REGISTRY["mismatch"], "found": table}


def energies_of(
    tracks: Tracks, predecessor: tuple[float, float, float], calibrated: tuple[float, float, float]
) -> dict[str, Floats]:
    """Energies of the tracks by name, in the order of `ENERGIES`."""
    values = (tracks.energy_mev(predecessor), tracks.energy_mev(calibrated), tracks.deposited_mev)
    return dict(zip(ENERGIES, values, strict=True))


def per_tp_study(tracks: Tracks, factors: tuple[float, float, float]) -> Json:
    """The second study: what adding a fixed energy per TP does to the agreement, for all planes and for each.

    Returns
    -------
    dict
        ``found``: for ``all`` and each plane with tracks ``before`` and ``after`` adding the registry's 0.7 MeV per
        TP, the ``scan`` over `ADDED_MEV`, its value with the fewest mismatches, the mean number of TPs, and the
        correlation of that number with the energy that is missing before.
    """
    energy = tracks.energy_mev(factors)
    found: Json = {}
    for name in ("all", *PLANES):
        own = np.ones(len(tracks.plane), bool) if name == "all" else tracks.plane == PLANES.index(name)
        if own.any():
            found[name] = _per_tp(tracks.momentum_mev[own], energy[own], tracks.n_tps[own])
    return {"registry": REGISTRY["per_tp"], "found": found}


def _per_tp(momentum: Floats, energy: Floats, n_tps: npt.NDArray[np.int64]) -> Json:
    scan: list[Json] = []
    for value in ADDED_MEV.tolist():
        scan.append({"mev_per_tp": value, **(agreement(momentum, energy + value * n_tps) or {})})
    return {
        "before": agreement(momentum, energy),
        "after": agreement(momentum, energy + REGISTRY["per_tp"]["mev_per_tp"] * n_tps),
        "best_mev_per_tp": min(scan, key=lambda row: (row["share"], row["mean_mev"]))["mev_per_tp"],
        "mean_n_tps": float(n_tps.mean()),
        "missing_against_n_tps": _correlation(n_tps.astype(np.float64), momentum - energy),
        "scan": scan,
    }


def mismatch_sentences(mismatch: Json) -> list[str]:
    """What the first study found, in words; each number is one of its."""
    found, said = mismatch["found"], mismatch["registry"]
    if found["predecessor"]["all"] is None:
        return ["No event has a known electron and a signal TP with a known deposit: the studies need both."]
    table = {name: found[name]["all"] for name in ENERGIES}
    seen, scaled, true = (table[name] for name in ENERGIES)
    return [
        f"Momentum against energy: with the predecessor's constants {_percent(seen['share'])} of {seen['n']} samples "
        f"(one per event and plane) differ by more than {mismatch['tolerance_mev']:g} MeV, {seen['mean_mev']:.2f} MeV "
        f"on average (the predecessor's registry of November 2025 reports {_percent(said['share'])} and "
        f"{said['mean_mev']} MeV).",
        "The energy in that comparison is no truth, although it was stored as one: it is the ADC sum of the dominant "
        f"particle's TPs over a constant. Calibrated factors give {_percent(scaled['share'])} and "
        f"{scaled['mean_mev']:.2f} MeV.",
        f"The true deposit behind the same TPs still differs in {_percent(true['share'])} of the samples, and "
        f"{true['mean_missing_mev']:.2f} MeV are missing on average: energy that left the particle as radiation, went "
        "to other particles of the event or stayed below threshold. No calibration can bring it back.",
        "By plane, with the predecessor's constants: "
        + ", ".join(
            f"{plane} {_percent(found['predecessor'][plane]['share'])}"
            for plane in PLANES
            if found["predecessor"][plane] is not None
        )
        + "; with the true deposit: "
        + ", ".join(
            f"{plane} {_percent(found['deposited'][plane]['share'])}"
            for plane in PLANES
            if found["deposited"][plane] is not None
        )
        + ".",
        "Directions are not concerned: they are the momentum's own, whatever energy is seen.",
    ]


def per_tp_sentences(study: Json) -> list[str]:
    """What the second study found, in words; nothing where no particle is known."""
    if not study["found"]:
        return []
    said, lines = study["registry"], []
    added = said["mev_per_tp"]
    for name, where in (("all", "all planes"), ("X", "plane X")):
        found = study["found"].get(name)
        if found is None:
            continue
        before, after = found["before"], found["after"]
        lines.append(
            f"Energy per TP, {where}: adding {added} MeV per TP {_changes(before['share'], after['share'])} the "
            f"mismatches from {_percent(before['share'])} to {_percent(after['share'])} and "
            f"{_changes(before['correlation'], after['correlation'])} the correlation from "
            f"{_number(before['correlation'])} to {_number(after['correlation'])}: {found['mean_n_tps']:.1f} TPs per "
            f"particle add {added * found['mean_n_tps']:.1f} MeV where {_lacking(before['mean_missing_mev'])}, and "
            f"what is missing has a correlation of {_number(found['missing_against_n_tps'])} with their number. The "
            f"fewest mismatches are found with {found['best_mev_per_tp']:.2f} MeV per TP."
        )
    lines.append(
        f"The predecessor's registry (November 2025) reports mismatches of {_percent(said['share'][0])} before and "
        f"{_percent(said['share'][1])} after, and correlations of {said['correlation'][0]} and "
        f"{said['correlation'][1]}. A TP holds as much energy as its charge says; a constant for each adds energy "
        "where there are many TPs, whether or not any is missing."
    )
    return lines


def _lacking(missing_mev: float) -> str:
    return f"{missing_mev:.1f} MeV are missing" if missing_mev >= 0 else f"{-missing_mev:.1f} MeV are too many already"


def _changes(before: float | None, after: float | None) -> str:
    if before is None or after is None or after == before:
        return "leaves"
    return "raises" if after > before else "lowers"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"
