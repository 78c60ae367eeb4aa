"""Real events and their twins brought together: which belong to which, and one verdict per quantity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.errors import DataError
from snpoint.physics.constants import CC, ES
from snpoint.physics.geometry import Detector
from snpoint.physics.validation.quantities import Measured, describe, is_count
from snpoint.physics.validation.ranks import LEVEL, Agreement, agreement, holm

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

INTERACTIONS = {"all": (ES, CC), "ES": (ES,), "CC": (CC,)}
KINDS = (*INTERACTIONS, "even", "odd")
"""Events that are compared together; the verdict is that of all, the others inform. Even and odd are the halves by
the number of the event."""
_SAME_MEV, _SAME_CM = 2e-3, 0.02
"""Twins repeat energy and |x| exactly; files hold single precision, and lists of twins are rounded."""


@dataclass(frozen=True)
class Allowed:
    """A known disagreement: how large it may be, and why it is there."""

    ratio: tuple[float, float]  # the ratio (`size_of`) must lie inside
    reason: str


@dataclass(frozen=True)
class Row:
    """What came out for one quantity."""

    quantity: str
    description: str
    agreements: dict[str, Agreement]  # of `KINDS`
    p_holms: dict[str, float]  # of `KINDS`, each corrected for the number of quantities
    verdict: str  # ok | named | FAILED
    reason: str = ""

    @property
    def p_holm(self) -> float:
        """The p that the verdict is about."""
        return self.p_holms["all"]

    @property
    def size(self) -> float:
        """The ratio that says how large a disagreement is."""
        return size_of(self.quantity, self.agreements["all"])[0]


@dataclass(frozen=True)
class Pairs:
    """Real events that are compared, and their twins."""

    real: Measured
    twins: Measured
    rows: IntArray  # (n,) events of `real`
    twin_rows: list[IntArray]  # of each of them, events of `twins`
    left_out: dict[int, str]  # event_uid -> why

    def of(self, name: str, chosen: Bools) -> tuple[FloatArray, list[FloatArray]]:
        """Values of a quantity: of the chosen real events, and of their twins."""
        own, others = self.real.quantities[name], self.twins.quantities[name]
        places = np.flatnonzero(chosen)
        return own[self.rows[places]], [others[self.twin_rows[place]] for place in places]

    def agreement(self, name: str, chosen: Bools, seed: int = 1) -> Agreement:
        """Compare a quantity over the chosen events; sums of quantities per MeV are sums of totals."""
        energy = self.real.electron_mev[self.rows[chosen]]
        return agreement(*self.of(name, chosen), name, seed, energy if "_per_mev" in name else None)

    def kind(self, name: str) -> Bools:
        """Which of the compared events are of one of `KINDS`."""
        if name in INTERACTIONS:
            return np.isin(self.real.interaction[self.rows], INTERACTIONS[name])
        return np.asarray(self.real.event_uid[self.rows] % np.uint64(2) == ("even", "odd").index(name))


def joined(parts: Iterable[Measured]) -> Measured:
    """Events of several files as one; their order is kept.

    Raises
    ------
    DataError
        A quantity was not measured on all of them.
    """
    listed = list(parts)
    for part in listed[1:]:
        _same_quantities(listed[0], part, "in one chunk or sample, but not in another")
    return Measured(
        np.concatenate([part.event_uid for part in listed]),
        np.concatenate([part.electron_mev for part in listed]),
        np.concatenate([part.abs_x_cm for part in listed]),
        np.concatenate([part.vertex_cm for part in listed]),
        np.concatenate([part.interaction for part in listed]),
        {name: np.concatenate([part.quantities[name] for part in listed]) for name in listed[0].quantities},
    )


def _same_quantities(one: Measured, other: Measured, where: str) -> None:
    odd = sorted(one.quantities.keys() ^ other.quantities.keys())
    if odd:
        raise DataError(
            f"measured {where}: {', '.join(odd)}; files of tables are incomplete, make them again with "
            "`snakemake --profile local results/samples/SAMPLE/cluster/CHUNK.parquet`"
        )


def inside(vertex_cm: FloatArray, detector: Detector) -> Bools:
    """Which vertices, shape (n, 3), lie in a drift volume; twins have no others."""
    found = np.zeros(len(vertex_cm), bool)
    for volume in detector.volumes:
        ranges = (volume.x_range_cm, volume.y_range_cm, volume.z_range_cm)
        found |= np.all([(low <= v) & (v <= high) for (low, high), v in zip(ranges, vertex_cm.T, strict=True)], axis=0)
    return found


def pair(real: Measured, twins: Measured, detector: Detector) -> Pairs:
    """Find the twins of each real event: same interaction, kinetic energy and |x|.

    Raises
    ------
    DataError
        A real event has no twins, or none is left to compare.
    """
    within = inside(real.vertex_cm, detector)
    left_out = {int(uid): "vertex outside of the drift volumes" for uid in real.event_uid[~within]}
    rows, twin_rows = np.flatnonzero(within), []
    for row in rows:
        same = twins.interaction == real.interaction[row]
        same &= np.abs(twins.electron_mev - real.electron_mev[row]) <= _SAME_MEV
        same &= np.abs(twins.abs_x_cm - real.abs_x_cm[row]) <= _SAME_CM
        twin_rows.append(np.flatnonzero(same))
        if not same.any():
            raise DataError(
                f"real event {int(real.event_uid[row]) & 0xFFFFFFFF} (T = {real.electron_mev[row]:.3f} MeV) has no "
                "twin; simulate the list that `snpoint validate twins-of` prints for these files"
            )
    if not len(rows):
        raise DataError("no real event to compare: all vertices are unknown or outside of the drift volumes")
    return Pairs(real, twins, rows, twin_rows, left_out)


def halves(pairs: Pairs) -> tuple[Bools, Bools]:
    """Compared events with even and with odd numbers: one half to tune on, the other to test on."""
    return pairs.kind("even"), pairs.kind("odd")


def compare(pairs: Pairs, exceptions: Mapping[str, Allowed], seed: int = 1) -> list[Row]:
    """Test every quantity.

    Parameters
    ----------
    pairs
        Real events and twins.
    exceptions
        Quantities that may disagree, and by how much.
    seed
        Of the random numbers that break ties, and of the bootstrap.

    Raises
    ------
    DataError
        A quantity was measured on one side only.
    """
    _same_quantities(pairs.real, pairs.twins, "for the real events or their twins only")
    names = list(pairs.real.quantities)
    found = {name: {kind: pairs.agreement(name, pairs.kind(kind), seed) for kind in KINDS} for name in names}
    adjusted = {kind: holm({name: own[kind].p for name, own in found.items()}) for kind in KINDS}
    return [
        _row(name, found[name], {kind: adjusted[kind][name] for kind in KINDS}, exceptions.get(name)) for name in names
    ]


def _row(name: str, found: dict[str, Agreement], p_holms: dict[str, float], known: Allowed | None) -> Row:
    if math.isnan(p_holms["all"]) or p_holms["all"] > LEVEL:
        reason = "" if known is None else "agrees; the exception that names it is no longer needed"
        return Row(name, describe(name), found, p_holms, "ok", reason)
    if known is None:
        return Row(name, describe(name), found, p_holms, "FAILED", "not named among the exceptions")
    low, high = known.ratio
    size, _ = size_of(name, found["all"])
    if low <= size <= high:
        return Row(name, describe(name), found, p_holms, "named", known.reason)
    return Row(name, describe(name), found, p_holms, "FAILED", f"ratio {size:.3f} outside of {low} .. {high}")


def size_of(name: str, found: Agreement) -> tuple[float, tuple[float, float]]:
    """The ratio that says how large a disagreement is, with its 95% interval: of medians; of sums for counts."""
    if is_count(name) or math.isnan(found.ratio):
        return found.mean_ratio, found.mean_ratio_ci95
    return found.ratio, found.ratio_ci95


def table(rows: Sequence[Row], pairs: Pairs) -> list[dict[str, Any]]:
    """One flat record per quantity and kind of events, as the CSV file has them."""
    records = []
    fewest = min(len(own) for own in pairs.twin_rows)
    for row in rows:
        for kind, found in row.agreements.items():
            values = asdict(found)
            for key in ("ratio_ci95", "mean_ratio_ci95"):
                low, high = values.pop(key)
                values |= {f"{key}_low": low, f"{key}_high": high}
            size, (low, high) = size_of(row.quantity, found)
            values |= {"size": size, "size_low": low, "size_high": high, "p_holm": row.p_holms[kind]}
            verdict = {"verdict": row.verdict, "reason": row.reason} if kind == "all" else {}
            records.append({"quantity": row.quantity, "events": kind, "twins": fewest} | values | verdict)
    return records
