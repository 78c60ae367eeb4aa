"""Which event belongs to which split: a hash of its number decides, never its place in a file.

Adding or removing files moves no event from one split to another, and the same event is in the same split of
every dataset with the same seed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Uids = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

_SPLIT, _CHOICE = 1, 2


def assign_split(event_uid: Uids, seed: int, shares: tuple[float, ...]) -> npt.NDArray[np.uint8]:
    """Split of each event.

    Parameters
    ----------
    event_uid
        Numbers of the events.
    seed
        Another seed is another assignment.
    shares
        Share of each split; they add up to 1.

    Returns
    -------
    array
        Index into ``shares``.

    Raises
    ------
    ValueError
        The shares do not add up to 1.
    """
    if abs(sum(shares) - 1.0) > 1e-9:
        raise ValueError(f"shares {list(shares)} add up to {sum(shares):g}, not 1")
    edges = np.cumsum(shares)
    # Rounding must not open a gap at the upper end, nor fill a split whose share is 0.
    edges[np.flatnonzero(np.asarray(shares) > 0)[-1] :] = 1.0
    return np.searchsorted(edges, _uniform(event_uid, seed, _SPLIT), side="right").astype(np.uint8)


def choose_images(
    event_uid: Uids, tie: Uids, seed: int, count: int | None, classes: npt.NDArray[np.uint8] | None = None
) -> Bools:
    """Mark ``count`` of the images, those whose events have the lowest hash: all of them if there are not more.

    The hash is another one than that of the splits, so that every split loses the same share. A larger count adds
    images and drops none.

    Parameters
    ----------
    event_uid
        Event of each image, (N,).
    tie
        Orders the images of one event, whatever their place in a file is: their fingerprints.
    seed, count
        Seed of the hash; number of images, None for all.
    classes
        Class of each image: equally many are taken of each class, as many as the smallest has. What is left of
        ``count`` after an equal share for each is not taken.
    """
    order = np.lexsort((tie, event_uid, _uniform(event_uid, seed, _CHOICE)))
    chosen = np.zeros(len(event_uid), bool)
    if classes is None:
        chosen[order[:count]] = True
        return chosen
    names, sizes = np.unique(classes, return_counts=True)
    if not len(names):
        return chosen
    each = int(sizes.min()) if count is None else min(int(sizes.min()), count // len(names))
    for name in names:
        chosen[order[classes[order] == name][:each]] = True
    return chosen


def _uniform(event_uid: Uids, seed: int, purpose: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each event."""
    salt = _mixed(np.array([seed * 4 + purpose], np.uint64))
    values = _mixed(np.asarray(event_uid, np.uint64) ^ salt)
    return np.asarray((values >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _mixed(values: Uids) -> Uids:
    """Output function of the splitmix64 generator (Steele, Lea, Flood 2014): every bit depends on every bit."""
    with np.errstate(over="ignore"):
        state = values + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(state ^ (state >> np.uint64(31)), np.uint64)
