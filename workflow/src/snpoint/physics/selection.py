"""Which images make up a dataset: those that pass the selection, as many as asked for, classes balanced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.errors import DataError
from snpoint.physics.constants import BACKGROUND, UNKNOWN
from snpoint.physics.splitting import choose_images
from snpoint.physics.summary import INTERACTIONS
from snpoint.settings import DatasetSettings, Selection

Columns = Mapping[str, npt.NDArray[Any]]
Bools = npt.NDArray[np.bool_]
Json = dict[str, Any]


def passing(images: Columns, selection: Selection, where: object) -> tuple[Bools, Json]:
    """Images that pass the selection, (N,), and how many each condition removes (in this order).

    Parameters
    ----------
    images
        ``direction``, ``interaction``, and ``n_main``: TPs of the main cluster per plane, (N, 3).
    selection
        Conditions.
    where
        What the message begins with.

    Raises
    ------
    DataError
        None does.
    """
    has_truth = np.asarray(np.isfinite(images["direction"]).all(axis=1) | (not selection.require_truth))
    is_background = ~has_truth & (images["interaction"] == BACKGROUND)
    n_planes = (images["n_main"] >= selection.min_tps_per_plane).sum(axis=1)
    has_planes = n_planes >= selection.min_planes
    counts = {
        "images": len(has_truth),
        "background": int(is_background.sum()),
        "without_truth": int((~has_truth & ~is_background).sum()),
        "too_few_planes": int((has_truth & ~has_planes).sum()),
        "passed": int((has_truth & has_planes).sum()),
    }
    if counts["passed"] == 0:
        no_truth = counts["without_truth"] + counts["background"]
        raise DataError(
            f"{where}: no image is left of {counts['images']}: {no_truth} removed by selection.require_truth "
            f"({counts['background']} show background), {counts['too_few_planes']} by selection.min_planes = "
            f"{selection.min_planes} (min_tps_per_plane = {selection.min_tps_per_plane}); loosen the selection or add "
            "files"
        )
    return has_truth & has_planes, counts


def taken(
    images: Columns, rows: npt.NDArray[np.int64], settings: DatasetSettings, counts: Json, where: object
) -> tuple[npt.NDArray[np.int64], Json]:
    """Rows of the images that make up the dataset, as many as asked for and balanced, and the counts of that.

    Parameters
    ----------
    images
        ``event_uid``, ``fingerprint``, and what is balanced.
    rows
        Images to take from: those that pass and are no copies.
    settings
        How many, and which classes are balanced.
    counts
        Those of `passing` and ``copies``, for the message.
    where
        What the message begins with.

    Raises
    ------
    DataError
        There are fewer than asked for, or one class alone.
    """
    found: Json = {}
    classes = None
    if settings.balance != "none":
        known = images[settings.balance][rows] != UNKNOWN
        rows, found["of_no_class"] = rows[known], int((~known).sum())
        classes = images[settings.balance][rows]
        found["classes"] = _two_classes(classes, settings.balance, where)
    chosen = choose_images(
        images["event_uid"][rows], images["fingerprint"][rows], settings.seed, settings.images, classes
    )
    found |= {"asked": settings.images, "selected": int(chosen.sum())}
    # A share of each class for itself: what is left over of an odd number is not missing.
    spare = 0 if classes is None else len(np.unique(classes)) - 1
    if settings.images is not None and found["selected"] + spare < settings.images and not settings.allow_fewer:
        raise DataError(
            f"{where}: {settings.images} images were asked for (dataset.images), {found['selected']} found: "
            f"{counts['passed']} of {counts['images']} pass the selection, {counts['copies']} of these are copies"
            f"{_balanced(found, settings.balance)}; add files, or set dataset.allow_fewer to true"
        )
    return rows[chosen], found


def _balanced(found: Json, balance: str) -> str:
    """What balancing took away, and for lack of which class."""
    if balance == "none":
        return ""
    sizes = found["classes"]
    short = min(sizes, key=lambda name: sizes[name])
    shown = " and ".join(f"{size} {_class_name(balance, name)}" for name, size in sizes.items())
    unknown = f" ({found['of_no_class']} of no class left out)" if found["of_no_class"] else ""
    return (
        f"; dataset.balance = '{balance}' takes equal numbers of {shown}{unknown}: "
        f"{_class_name(balance, short)} is short"
    )


def _class_name(balance: str, number: str) -> str:
    names = INTERACTIONS if balance == "interaction" else {0: "other clusters", 1: "main clusters"}
    return names.get(int(number), number)


def _two_classes(classes: npt.NDArray[Any], balance: str, where: object) -> dict[str, int]:
    names, sizes = np.unique(classes, return_counts=True)
    if len(names) < 2:
        found = ", ".join(_class_name(balance, c) for c in names)
        raise DataError(
            f"{where}: dataset.balance = '{balance}' needs two classes, found only {found or 'none'}; "
            "add a sample of the other, or set it to 'none'"
        )
    return {str(name): int(size) for name, size in zip(names, sizes, strict=True)}
