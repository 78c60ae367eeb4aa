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
from snpoint.physics.validation.quantities import Measured, describe
from snpoint.physics.validation.ranks import LEVEL, Agreement, agreement, holm

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

KINDS = {"all": (ES, CC), "ES": (ES,), "CC": (CC,)}
"""Events that are compared together; the verdict is that of all, the others inform."""
_SAME_MEV, _SAME_CM = 2e-3, 0.02
"""Twins repeat energy and |x| exactly; files hold single precision, and lists of twins are rounded."""


@dataclass(frozen=True)
class Allowed:
    """A known disagreement: how large it may be, and why it is there."""

    ratio: tuple[float, float]  # the median ratio (mean ratio where the former does not exist) must lie inside
    reason: str


@dataclass(frozen=True)
class Row:
    """What came out for one quantity."""

    quantity: str
    description: str
    agreements: dict[str, Agreement]  # of `KINDS`
    p_holm: float
    verdict: str  # ok | named | FAILED
    reason: str = ""


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
        return np.isin(self.real.interaction[self.rows], KINDS[name])


def joined(parts: Iterable[Measured]) -> Measured:
    """Events of several files as one; their order is kept."""
    listed = list(parts)
    names = set.intersection(*(set(part.quantities) for part in listed))
    return Measured(
        np.concatenate([part.event_uid for part in listed]),
        np.concatenate([part.electron_mev for part in listed]),
        np.concatenate([part.abs_x_cm for part in listed]),
        np.concatenate([part.vertex_cm for part in listed]),
        np.concatenate([part.interaction for part in listed]),
        {
            name: np.concatenate([part.quantities[name] for part in listed])
            for name in listed[0].quantities
            if name in names
        },
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
    even = pairs.real.event_uid[pairs.rows] % np.uint64(2) == 0
    return even, ~even


def compare(pairs: Pairs, exceptions: Mapping[str, Allowed], chosen: Bools | None = None, seed: int = 1) -> list[Row]:
    """Test every quantity that both sides have.

    Parameters
    ----------
    pairs
        Real events and twins.
    exceptions
        Quantities that may disagree, and by how much.
    chosen
        Which of the compared events count; all by default.
    seed
        Of the random numbers that break ties, and of the bootstrap.
    """
    counted = np.ones(len(pairs.rows), bool) if chosen is None else chosen
    names = [name for name in pairs.real.quantities if name in pairs.twins.quantities]
    found = {name: {kind: pairs.agreement(name, counted & pairs.kind(kind), seed) for kind in KINDS} for name in names}
    adjusted = holm({name: own["all"].p for name, own in found.items()})
    return [_row(name, found[name], adjusted[name], exceptions.get(name)) for name in names]


def _row(name: str, found: dict[str, Agreement], p_holm: float, known: Allowed | None) -> Row:
    if math.isnan(p_holm) or p_holm > LEVEL:
        return Row(name, describe(name), found, p_holm, "ok")
    if known is None:
        return Row(name, describe(name), found, p_holm, "FAILED", "not named among the exceptions")
    low, high = known.ratio
    size = size_of(found["all"])
    if low <= size <= high:
        return Row(name, describe(name), found, p_holm, "named", known.reason)
    return Row(name, describe(name), found, p_holm, "FAILED", f"ratio {size:.3f} outside of {low} .. {high}")


def size_of(found: Agreement) -> float:
    """The ratio that says how large a disagreement is: that of medians, or of means where medians are 0."""
    return found.mean_ratio if math.isnan(found.ratio) else found.ratio


def table(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One flat record per quantity and kind of events, as the CSV file has them."""
    records = []
    for row in rows:
        for kind, found in row.agreements.items():
            values = asdict(found)
            for key in ("ratio_ci95", "mean_ratio_ci95"):
                low, high = values.pop(key)
                values |= {f"{key}_low": low, f"{key}_high": high}
            verdict = {"p_holm": row.p_holm, "verdict": row.verdict, "reason": row.reason} if kind == "all" else {}
            records.append({"quantity": row.quantity, "events": kind} | values | verdict)
    return records
