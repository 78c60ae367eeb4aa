"""What a dataset holds, in numbers: labels, energies, planes, volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import BACKGROUND, CC, ES, UNKNOWN, UNKNOWN_APA

Columns = Mapping[str, npt.NDArray[Any]]
Json = dict[str, Any]

PLANES = ("A", "B", "X")
INTERACTIONS = {BACKGROUND: "background", ES: "ES", CC: "CC", UNKNOWN: "unknown"}
QUANTILES = (0.0, 0.05, 0.16, 0.5, 0.84, 0.95, 1.0)


def plane_names(orientation: str) -> dict[str, str]:
    """What the planes of images are called: by the wires' direction in the canonical frame, else by their own names."""
    return dict(zip(PLANES, PLANES if orientation == "canonical" else ("U", "V", "X"), strict=True))


def volume_name(apa: int, face: int) -> str:
    """What a drift volume is called; imported images may not know theirs (APA 255)."""
    if apa == UNKNOWN_APA:
        return "not known"
    return f"APA {apa}" + (f" x{'>' if face > 0 else '<'}0" if face else "")


def image_counts(shard: Columns) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """TPs of each image and plane, (N, 3): all of them, and those of the main cluster."""
    offsets = shard["offsets"]
    in_main = np.concatenate([[0], np.cumsum(shard["in_main"], dtype=np.int64)])
    return np.diff(offsets).reshape(-1, 3), np.diff(in_main[offsets]).reshape(-1, 3)


def box(shard: Columns) -> Json:
    """TPs of a shard, and the smallest and largest tick and channel they begin at (null without TPs)."""
    found: Json = {"tps": len(shard["tick"])}
    for key, name in (("tick", "ticks"), ("channel", "channels")):
        found[name] = [int(shard[key].min()), int(shard[key].max())] if len(shard[key]) else None
    return found


def isotropy(direction: npt.NDArray[Any]) -> Json | None:
    """Whether the labels are isotropic: mean |d_i| must be 1/2 and mean d_i 0, within their errors.

    For isotropic directions each component is uniform in [-1, 1]: the errors of the means are 1/sqrt(12 n) and
    1/sqrt(3 n).
    """
    known = direction[np.isfinite(direction).all(axis=1)].astype(np.float64)
    n = len(known)
    if n == 0:
        return None
    error_abs, error = 1 / np.sqrt(12 * n), 1 / np.sqrt(3 * n)
    mean_abs, mean = np.abs(known).mean(axis=0), known.mean(axis=0)
    return {
        "n": n,
        "mean_abs": _per_axis(mean_abs),
        "mean_abs_expected": 0.5,
        "mean_abs_error": round(error_abs, 6),
        "mean": _per_axis(mean),
        "mean_expected": 0.0,
        "mean_error": round(error, 6),
        "largest_pull": float(max((np.abs(mean_abs - 0.5) / error_abs).max(), (np.abs(mean) / error).max())),
        "largest_deviation_from_unit_length": float(np.abs(np.linalg.norm(known, axis=1) - 1).max()),
    }


def distribution(values: npt.NDArray[Any], edges: npt.ArrayLike | None = None) -> Json | None:
    """Mean, quantiles and (with ``edges``) histogram of the finite values; None without any."""
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return None
    found: Json = {"n": len(finite), "mean": float(finite.mean())}
    found["quantiles"] = {f"{q:g}": float(v) for q, v in zip(QUANTILES, np.quantile(finite, QUANTILES), strict=True)}
    if edges is not None:
        bounds = np.asarray(edges, np.float64)
        counts = np.histogram(np.clip(finite, bounds[0], np.nextafter(bounds[-1], -np.inf)), bounds)[0]
        found["histogram"] = {"edges": bounds.tolist(), "counts": counts.tolist()}
    return found


def interactions(values: npt.NDArray[Any]) -> dict[str, int]:
    """Images per interaction."""
    return {name: int((values == code).sum()) for code, name in INTERACTIONS.items() if (values == code).any()}


def planes_found(n_main: npt.NDArray[np.int64], min_tps: int) -> dict[str, float] | None:
    """Share of images with at least ``min_tps`` TPs of the main cluster: per plane, and on how many planes."""
    if not len(n_main):
        return None
    found = n_main >= min_tps
    shares = {plane: float(found[:, index].mean()) for index, plane in enumerate(PLANES)}
    return shares | {f"on {count} planes": float((found.sum(axis=1) == count).mean()) for count in (3, 2, 1, 0)}


def volumes(apa: npt.NDArray[Any], face: npt.NDArray[Any]) -> list[Json]:
    """Images per drift volume."""
    pairs, counts = np.unique(np.stack([apa.astype(int), face.astype(int)], axis=1), axis=0, return_counts=True)
    return [{"apa": int(a), "face": int(f), "n": int(n)} for (a, f), n in zip(pairs, counts, strict=True)]


def _per_axis(values: npt.NDArray[np.float64]) -> dict[str, float]:
    return {axis: float(value) for axis, value in zip("xyz", values, strict=True)}
