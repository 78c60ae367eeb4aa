"""Angular errors of a network on real events, among those on their simulated twins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.errors import DataError
from snpoint.physics.angles import angle_deg
from snpoint.physics.constants import CC, ES
from snpoint.physics.validation.ranks import LEVEL, drawn_ranks, interval, medians, rank_test, ratios, smallest_shift
from snpoint.settings import Twin

FloatArray = npt.NDArray[np.float64]
Predictions = Mapping[str, npt.NDArray[Any]]

INTERACTIONS = {"ES": ES, "CC": CC}
WORST_DEG = 180.0
_SAME_MEV = 2e-3
_EVENT_BITS = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class Case:
    """One real event and its twins."""

    twin: Twin
    real_deg: float  # NaN: it has no image, it is lost
    twins_deg: FloatArray  # (k,) of the twins that have an image
    simulated: int  # twins in all
    outside: bool = False  # the real vertex lies outside of the drift volumes, where that of no twin does

    @property
    def lost_share(self) -> float:
        """Share of the twins that have no image."""
        return 1.0 - len(self.twins_deg) / self.simulated


@dataclass(frozen=True)
class ErrorAgreement:
    """What came out over all cases."""

    n: int  # real events asked for
    ranked: int  # of them with an image
    lost: int
    lost_expected: float  # from the twins
    lost_p: float  # probability of a number of lost ones at least as unlikely
    p: float  # Kolmogorov-Smirnov, ranks of errors among twins with an image
    p_with_lost: float  # the same among all twins, lost events being worse than any error
    mean_rank: float
    median_ratio: float  # median over events of real error / median error of the twins
    median_ratio_ci95: tuple[float, float]
    seen_below: float  # largest factor < 1 on the errors that this test sees with 90% power; NaN if not looked for
    seen_above: float  # smallest factor > 1


def angular_errors(predictions: Predictions) -> FloatArray:
    """Angle between predicted and true direction, shape (n,) [deg]; NaN for images of background."""
    return angle_deg(predictions["direction_pred"], predictions["direction_true"])


def real_errors(predictions: Predictions, twins: Sequence[Twin], where: object) -> FloatArray:
    """Error of each real event of a list, found by its energy and interaction; NaN for lost ones [deg].

    Raises
    ------
    DataError
        The predictions hold an event twice, or none of the list.
    """
    errors = angular_errors(predictions)
    found = np.full(len(twins), np.nan)
    for k, twin in enumerate(twins):
        own = np.abs(predictions["energy_true_mev"] - twin.electron_mev) <= _SAME_MEV
        own &= (predictions["interaction"] == INTERACTIONS[twin.interaction]) & np.isfinite(errors)
        if np.count_nonzero(own) > 1:
            raise DataError(f"{where}: {np.count_nonzero(own)} images of one event (T = {twin.electron_mev} MeV)")
        found[k] = errors[own][0] if own.any() else np.nan
    if not np.isfinite(found).any():
        raise DataError(f"{where}: holds no event of the list of twins; are these predictions of the real sample?")
    return found


def twin_errors(predictions: Predictions, twins: Sequence[Twin], where: object) -> list[FloatArray]:
    """Errors of the twins of each entry of a list that have an image [deg].

    Event number k (from 1) of a sample of twins repeats entry (k - 1) mod n of its list.

    Raises
    ------
    DataError
        The predictions are not of a sample with this list.
    """
    errors = angular_errors(predictions)
    good = np.isfinite(errors)
    entry = ((predictions["event_uid"] & _EVENT_BITS).astype(np.int64) - 1) % len(twins)
    expected = np.array([twin.electron_mev for twin in twins])[entry]
    wrong = good & (np.abs(predictions["energy_true_mev"] - expected) > _SAME_MEV)
    if wrong.any():
        k = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{where}: event {int(predictions['event_uid'][k] & _EVENT_BITS)} has T = "
            f"{predictions['energy_true_mev'][k]:.4f} MeV, its entry in the list of twins {expected[k]:.4f}; the "
            "predictions belong to another list"
        )
    if len(np.unique(predictions["event_uid"])) != len(errors):
        raise DataError(f"{where}: several images of one event; use a dataset with image.anchors: main")
    return [errors[good & (entry == k)] for k in range(len(twins))]


def compare_errors(cases: Sequence[Case], seed: int = 1, trials: int = 2000) -> ErrorAgreement:
    """Test whether real errors are draws from those of their twins; without trials, nothing about power.

    Raises
    ------
    DataError
        No real event, or none with an image and imaged twins.
    """
    imaged = [case for case in cases if np.isfinite(case.real_deg) and len(case.twins_deg)]
    if not imaged:
        raise DataError("no real event has an image and twins with images: nothing to compare")
    real = np.array([case.real_deg for case in imaged])
    twins = [case.twins_deg for case in imaged]
    everyone = np.array([np.nan_to_num(case.real_deg, nan=np.inf) for case in cases])
    with_lost = [np.pad(c.twins_deg, (0, c.simulated - len(c.twins_deg)), constant_values=np.inf) for c in cases]
    ranked = rank_test(real, twins, "angular error", seed)
    pairs = ratios(real, twins)
    below, above = smallest_shift(twins, trials=trials, seed=seed, largest=WORST_DEG)
    lost = int(np.count_nonzero(~np.isfinite([case.real_deg for case in cases])))
    shares = np.array([case.lost_share for case in cases])
    return ErrorAgreement(
        len(cases), len(imaged), lost, float(shares.sum()), lost_probability(lost, shares),
        ranked.p, rank_test(everyone, with_lost, "error or lost", seed).p, ranked.mean_rank,
        float(np.median(pairs)), interval(pairs, medians, seed), below, above,
    )  # fmt: skip


def lost_probability(lost: int, shares: FloatArray) -> float:
    """Probability that so many events, or a number that is less likely, are lost if each is with its own share."""
    chance = np.ones(1)
    for share in shares:
        chance = np.convolve(chance, [1.0 - share, share])
    return float(min(1.0, chance[chance <= chance[lost] * (1 + 1e-9)].sum()))


def records(cases: Sequence[Case], seed: int = 1) -> list[dict[str, Any]]:
    """One flat record per real event, as the CSV file has them."""
    imaged = [case for case in cases if np.isfinite(case.real_deg) and len(case.twins_deg)]
    real, twins = np.array([case.real_deg for case in imaged]), [case.twins_deg for case in imaged]
    u = drawn_ranks(real, twins, "angular error", seed).mean(axis=0)
    rank = {id(case): float(value) for case, value in zip(imaged, u, strict=True)}
    return [
        {
            "interaction": case.twin.interaction,
            "electron_mev": case.twin.electron_mev,
            "abs_x_cm": case.twin.abs_x_cm,
            "real_deg": case.real_deg,
            "twins_median_deg": _median(case.twins_deg),
            "rank": rank.get(id(case), float("nan")),
            "twins": case.simulated,
            "twins_lost": case.simulated - len(case.twins_deg),
            "vertex": "outside" if case.outside else "inside",
        }
        for case in cases
    ]


def agrees(found: ErrorAgreement) -> bool:
    """Whether the errors agree: of those with an image, and with the lost ones counted as the worst."""
    return min(found.p, found.p_with_lost) > LEVEL


def _median(values: FloatArray) -> float:
    return float(np.median(values)) if len(values) else float("nan")
