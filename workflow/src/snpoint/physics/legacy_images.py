"""Dense images of the predecessor -> sparse images of three planes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import UNKNOWN_APA, U, V, X
from snpoint.physics.hashing import content_hash
from snpoint.physics.legacy_layouts import NO_MATCHES
from snpoint.settings import PREDECESSOR_ADC_PER_MEV

Columns = dict[str, npt.NDArray[Any]]
Ints = npt.NDArray[np.int64]

_EVENT_BITS = 32


@dataclass(frozen=True)
class Dense:
    """Images of one group of files, planes in any order.

    ``pixels`` is (N, ticks, channels) raw ADC; ``rows`` holds the columns that `legacy_layouts.named_clusters` gives,
    and may hold ``event_uid`` (u8) and ``split`` (u1).
    """

    pixels: npt.NDArray[np.float32]
    rows: Columns


def check_pixels(pixels: npt.NDArray[Any]) -> None:
    """Check that pixels are raw ADC.

    Raises
    ------
    ValueError
        One is NaN, infinite, negative or too large, or all are so small that they must have been scaled.
    """
    if not pixels.size:
        return
    if not np.isfinite(pixels).all():
        raise ValueError("pixels that are NaN or infinite")
    low, high = float(pixels.min()), float(pixels.max())
    if low < -0.5 or high >= 2**32 - 1:
        raise ValueError(f"pixels from {low:g} to {high:g}, where raw ADC is expected")
    if 0 < high <= 1.5:
        raise ValueError(f"no pixel above {high:g}, where raw ADC is expected; were the images scaled?")


def pair(rows: Mapping[str, npt.NDArray[Any]]) -> tuple[Ints, int]:
    """Which single-plane images show the same cluster.

    Planes belong together by (event, match_id) where there is one, else main clusters by event where there is one. The
    rest stay single, and so does a plane that its match already has: the predecessor gave some match numbers twice.

    Returns
    -------
    tuple
        Number of the three-plane image of each row, shape (N,), counted in the order of their first rows; how many.
    """
    n = len(rows["event"])
    has_match = rows["match_id"] >= 0
    by_event = rows["is_main"] & (rows["match_id"] == NO_MATCHES) & (rows["event"] >= 0)
    alone = ~(has_match | by_event)
    event = rows["event_uid"] if "event_uid" in rows else rows["event"]
    own = np.arange(n)
    number = np.where(has_match, rows["match_id"], np.where(alone, own, 0))
    key = np.stack([has_match, alone, np.where(alone, 0, event.astype(np.int64)), number], axis=1).astype(np.int64)
    _, first, image = np.unique(key, axis=0, return_index=True, return_inverse=True)
    image = image.reshape(-1)
    taken = image * 3 + rows["plane"]
    _, keeper = np.unique(taken, return_index=True)
    extra = np.setdiff1d(own, keeper)
    image[extra] = len(first) + np.arange(len(extra))
    first = np.concatenate([first, extra])
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return np.asarray(rank[image], np.int64), len(first)


def shard_arrays(dense: Dense, group: int) -> Columns:
    """Arrays of a shard, without what is the same for all its images; and ``split`` where the rows have it.

    Each pixel becomes a TP of one tick, rounded to whole ADC, so that any waveform draws it as it was. Images without
    a pixel are left out.

    Parameters
    ----------
    dense
        The images.
    group
        Number of the group of files, below 2^32: it becomes run and subrun of events that have none.

    Raises
    ------
    ValueError
        The pixels are no raw ADC, an event number does not fit into 32 bits, a plane is none of 0, 1, 2, or planes of
        one image are in different splits.
    """
    check_pixels(dense.pixels)
    if not np.isin(dense.rows["plane"], (U, V, X)).all():
        raise ValueError(f"planes {np.unique(dense.rows['plane']).tolist()}, where 0, 1 and 2 are expected")
    image, n_images = pair(dense.rows)
    tps = _tps(dense.pixels)
    row, image, n_images = _without_blank(tps["row"], image, n_images)
    slot = dense.rows["plane"][row]
    key = 3 * image[row] + slot
    order = np.argsort(key, kind="stable")
    counts = np.bincount(key, minlength=3 * n_images)
    arrays = {name: values[order] for name, values in tps.items() if name != "row"}
    arrays["offsets"] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    arrays["in_main"] = np.ones(len(order), np.uint8)
    arrays["fingerprint"] = _fingerprint(arrays, key[order], n_images)
    return arrays | _of_images(dense, image, n_images, group)


def _tps(pixels: npt.NDArray[np.float32]) -> Columns:
    """One TP of one tick per pixel that is not 0, and the row of ``pixels`` it comes from."""
    _, ticks, channels = pixels.shape
    row, tick, channel = np.nonzero(pixels >= 0.5)
    adc = np.rint(pixels[row, tick, channel].astype(np.float64))
    return {
        "row": row,
        "channel": (channel - channels // 2).astype(np.int16),
        "tick": (tick - ticks // 2).astype(np.int16),
        "samples_over_threshold": np.ones(len(row), np.uint16),
        "samples_to_peak": np.zeros(len(row), np.uint16),
        "adc_integral": adc.astype(np.uint32),
        "adc_peak": np.minimum(adc, 65535).astype(np.uint16),
    }


def _without_blank(row: Ints, image: Ints, n_images: int) -> tuple[Ints, Ints, int]:
    """Images counted anew without those that have no pixel; rows of the latter get image -1."""
    filled = np.bincount(image[row], minlength=n_images) > 0
    number = np.where(filled, np.cumsum(filled) - 1, -1)
    return row, np.asarray(number[image], np.int64), int(filled.sum())


def _fingerprint(tps: Columns, key: Ints, n_images: int) -> npt.NDArray[np.uint64]:
    """Content of each image: channels, times from its first tick, and ADC."""
    image, tick = key // 3, tps["tick"].astype(np.int64)
    first = np.full(n_images, np.iinfo(np.int64).max)
    np.minimum.at(first, image, tick)
    columns = (tps["channel"], tick - first[image], tps["samples_over_threshold"], tps["adc_integral"])
    return content_hash(image, n_images, key % 3, *columns)


def _of_images(dense: Dense, image: Ints, n_images: int, group: int) -> Columns:
    """Arrays with one entry per image; truth is that of its X plane, else of V, else of U."""
    rows = dense.rows
    order = np.lexsort((-rows["plane"], image))
    order = order[image[order] >= 0]
    _, place = np.unique(image[order], return_index=True)
    best = order[place]
    energy = np.zeros((n_images, 3), np.float32)
    used = image >= 0
    adc = dense.pixels.sum(axis=(1, 2), dtype=np.float64)
    known, from_pixels = rows["energy_reco_mev"], adc / np.take(PREDECESSOR_ADC_PER_MEV, rows["plane"])
    energy[image[used], rows["plane"][used]] = np.where(np.isnan(known), from_pixels, known)[used]
    uid = rows["event_uid"][best] if "event_uid" in rows else _uids(rows["event"][best], group)
    nothing = np.zeros(n_images, np.uint64)
    own: Columns = {}
    if "split" in rows:
        own["split"] = rows["split"][best].astype(np.uint8)
        if (own["split"][image[used]] != rows["split"][used]).any():
            raise ValueError("planes of the same image that are in different splits")
    return own | {
        "event_uid": uid,
        "run": (uid >> np.uint64(44)).astype(np.uint32),
        "subrun": (uid >> np.uint64(_EVENT_BITS) & np.uint64(0xFFF)).astype(np.uint32),
        "event": (uid & np.uint64(0xFFFFFFFF)).astype(np.uint32),
        **{name: rows[name][best].astype(np.float32) for name in _FLOATS},
        "energy_reco_mev": energy,
        "interaction": rows["interaction"][best].astype(np.uint8),
        "is_main": rows["is_main"][best].astype(np.uint8),
        "apa": np.full(n_images, UNKNOWN_APA, np.uint8),
        "face": np.zeros(n_images, np.int8),
        "background_uid": nothing,
        "background_fingerprint": nothing,
        "link_margin": np.full(n_images, np.nan, np.float32),
        "signal_fraction": np.full(n_images, np.nan, np.float32),
    }


_FLOATS = ("direction", "vertex_cm", "energy_true_mev", "neutrino_direction", "neutrino_energy_mev")


def _uids(event: Ints, group: int) -> npt.NDArray[np.uint64]:
    """Event numbers under the number of their group; images without one are counted."""
    numbers = np.where((event < 0).all(), np.arange(len(event)), event)
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= 2**_EVENT_BITS):
        raise ValueError(f"event numbers from {numbers.min()} to {numbers.max()}, where 32 bits are expected")
    return np.asarray((np.uint64(group) << np.uint64(_EVENT_BITS)) | numbers.astype(np.uint64))
