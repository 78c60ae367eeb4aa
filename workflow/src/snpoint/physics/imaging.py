"""Images of events: which TPs they hold, where these lie, and how they are drawn.

An image is kept as the list of its TPs (sparse) and becomes pixels only when it is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.geometry import Detector
from snpoint.physics.orientation import Bools, Frame, Ints, Members, canonical, predecessor

Columns = dict[str, npt.NDArray[Any]]
X = 2

_I2 = 32767


class SparseImages(Protocol):
    """What `draw` needs: TPs of all images, and where each (image, plane) begins."""

    @property
    def offsets(self) -> npt.NDArray[np.int64]: ...  # noqa: D102
    @property
    def channel(self) -> npt.NDArray[np.int16]: ...  # noqa: D102
    @property
    def tick(self) -> npt.NDArray[np.int16]: ...  # noqa: D102
    @property
    def samples_over_threshold(self) -> npt.NDArray[np.uint16]: ...  # noqa: D102
    @property
    def samples_to_peak(self) -> npt.NDArray[np.uint16]: ...  # noqa: D102
    @property
    def adc_integral(self) -> npt.NDArray[np.uint32]: ...  # noqa: D102


def build_images(
    table: Mapping[str, npt.NDArray[Any]],
    detector: Detector,
    *,
    context: str,
    orientation: str,
    window_ticks: int,
    window_channels: int,
    tot_cut: int,
    adc_per_mev: tuple[float, float, float],
) -> Columns:
    """Sparse images of a table of clusters: one for each event that has a main cluster on the X plane.

    Parameters
    ----------
    table
        Columns of the cluster table, sorted by event.
    detector
        The detector layout.
    context
        ``cluster`` keeps the TPs of the main clusters alone; ``window`` adds every TP of the event that lies in the
        same APA (and, on X, on the same face), inside the box, with ``samples_over_threshold > tot_cut``.
    orientation
        ``canonical`` or ``predecessor`` (the latter with context ``cluster`` only).
    window_ticks, window_channels
        The box around the center of the main cluster.
    tot_cut
        Cut on the window's TPs [ticks]; those of the main clusters all stay.
    adc_per_mev
        ADC per MeV of planes U, V, X.

    Returns
    -------
    dict
        Arrays of a shard (without its format version); a plane on which the main cluster's link has nothing is empty.
    """
    if orientation == "predecessor" and context != "cluster":
        raise ValueError("orientation 'predecessor' draws the TPs of the cluster alone; set context to 'cluster'")
    members, first = _members(table, context, tot_cut)
    frame = {"canonical": canonical, "predecessor": predecessor}[orientation](members, detector)
    kept = _kept(frame, members, window_ticks, window_channels)
    arrays = _truth(table, first)
    arrays |= {"apa": members.apa.astype(np.uint8), "face": members.face.astype(np.int8)}
    arrays["is_main"] = np.ones(len(first), np.uint8)
    arrays["energy_reco_mev"] = _energy(frame, members, adc_per_mev)
    return arrays | _sparse(frame, members, kept)


def draw(
    images: SparseImages, rows: npt.ArrayLike, ticks: int, channels: int, waveform: str = "triangle"
) -> npt.NDArray[np.float32]:
    """Draw images.

    Each TP becomes a triangle over its ticks, highest at its peak, whose pixels add up to its ADC integral. What lies
    outside of the picture is cut off.

    Parameters
    ----------
    images
        Sparse images (a shard, or a dataset).
    rows
        Which ones, (n,).
    ticks, channels
        Size of the picture; its center is that of the box.
    waveform
        ``triangle``.

    Returns
    -------
    array
        (n, 3, ticks, channels) ADC, planes A, B, X.
    """
    if waveform != "triangle":
        raise ValueError(f"unknown waveform {waveform!r}, known is 'triangle'")
    chosen = np.ascontiguousarray(rows, np.int64)
    pixels = np.zeros((len(chosen), 3, ticks, channels), np.float32)
    _draw_triangles(
        *(images.offsets, images.channel, images.tick, images.samples_over_threshold, images.samples_to_peak),
        *(images.adc_integral, chosen, pixels),
    )
    return pixels


@compiled(nogil=True, error_model="numpy")
def _draw_triangles(
    offsets: Any, channel: Any, tick: Any, length: Any, to_peak: Any, adc: Any, rows: Any, pixels: Any
) -> None:
    n, planes, ticks, channels = pixels.shape
    for i in range(n):
        for plane in range(planes):
            key = rows[i] * planes + plane
            for tp in range(offsets[key], offsets[key + 1]):
                column = np.int64(channel[tp]) + channels // 2
                if column < 0 or column >= channels:
                    continue
                first = np.int64(tick[tp]) + ticks // 2
                size = np.int64(length[tp])
                peak = min(np.int64(to_peak[tp]), size - 1)
                # Rising (k + 1) / (peak + 1), falling (size - k) / (size - peak): the sum is (size + 1) / 2.
                height = 2.0 * adc[tp] / (size + 1.0)
                rise, fall = height / (peak + 1.0), height / (size - peak)
                for k in range(max(0, -first), min(size, ticks - first)):
                    value = rise * (k + 1.0) if k <= peak else fall * (size - k)
                    pixels[i, plane, first + k, column] += np.float32(value)


def _members(table: Mapping[str, npt.NDArray[Any]], context: str, tot_cut: int) -> tuple[Members, Ints]:
    """TPs that may enter images, and the first row of each imaged event."""
    _, first, event = np.unique(table["event_uid"], return_index=True, return_inverse=True)
    event = event.reshape(-1)
    is_main = table["is_main"] == 1
    main_x = np.flatnonzero(is_main & (table["plane"] == X))
    imaged, first_x = np.unique(event[main_x], return_index=True)
    number = np.full(len(first), -1, np.int64)
    number[imaged] = np.arange(len(imaged))
    anchor = main_x[first_x]
    apa, face, link = (table[key][anchor].astype(np.int64) for key in ("apa", "face", "link_id"))
    image = number[event]
    main = is_main & (image >= 0)
    # On U and V only the clusters linked to the main X cluster belong to it.
    main &= (table["plane"] == X) | ((table["link_id"] >= 0) & (table["link_id"] == _padded(link)[image]))
    near = (table["samples_over_threshold"] > tot_cut) & (table["apa"] == _padded(apa)[image])
    near &= (table["face"] == 0) | (table["face"] == _padded(face)[image])
    rows = np.flatnonzero((image >= 0) & (main if context == "cluster" else main | near))
    tps = {key: table[key][rows] for key in _TP_COLUMNS}
    return Members(tps, image[rows], main[rows], apa, face), first[imaged]


_MEASURED = ("plane", "channel", "time_start", "adc_integral", "adc_peak")
_TP_COLUMNS = (*_MEASURED, "samples_over_threshold", "samples_to_peak")


def _padded(values: Ints) -> Ints:
    """The values, and at the end (index -1: not imaged) one that nothing equals."""
    return np.append(values, -99)


def _kept(frame: Frame, members: Members, window_ticks: int, window_channels: int) -> Bools:
    """TPs of the main clusters, and those that touch the box."""
    last = frame.tick + members.tps["samples_over_threshold"].astype(np.int64) - 1
    low_tick, low_channel = -(window_ticks // 2), -(window_channels // 2)
    inside = (last >= low_tick) & (frame.tick < low_tick + window_ticks)
    inside &= (frame.channel >= low_channel) & (frame.channel < low_channel + window_channels)
    fits = (np.abs(frame.tick) <= _I2) & (np.abs(frame.channel) <= _I2)
    return np.asarray(frame.placed & fits & (members.main | inside))


def _energy(frame: Frame, members: Members, adc_per_mev: tuple[float, float, float]) -> npt.NDArray[np.float32]:
    """Energy of the main cluster on each plane of the image [MeV]."""
    energy = members.tps["adc_integral"] / np.asarray(adc_per_mev)[members.tps["plane"]]
    key = members.image * 3 + frame.slot
    total = np.bincount(key, np.where(members.main, energy, 0.0), minlength=3 * len(members.apa))
    return total.reshape(-1, 3).astype(np.float32)


def _sparse(frame: Frame, members: Members, kept: Bools) -> Columns:
    """Columns of the kept TPs, sorted by image, plane, tick and channel, and where each (image, plane) begins."""
    key = members.image * 3 + frame.slot
    rows = np.flatnonzero(kept)
    rows = rows[np.lexsort((frame.channel[rows], frame.tick[rows], key[rows]))]
    counts = np.bincount(key[rows], minlength=3 * len(members.apa))
    return {
        "offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "channel": frame.channel[rows].astype(np.int16),
        "tick": frame.tick[rows].astype(np.int16),
        "samples_over_threshold": members.tps["samples_over_threshold"][rows],
        "samples_to_peak": frame.samples_to_peak[rows].astype(np.uint16),
        "adc_integral": members.tps["adc_integral"][rows],
        "adc_peak": members.tps["adc_peak"][rows],
        "in_main": members.main[rows].astype(np.uint8),
    }


def _truth(table: Mapping[str, npt.NDArray[Any]], first: Ints) -> Columns:
    """Identity and truth of the imaged events."""

    def vector(names: str) -> npt.NDArray[np.float32]:
        return np.stack([table[names.format(axis)][first] for axis in "xyz"], axis=1).astype(np.float32)

    keys = ("event_uid", "run", "subrun", "event", "energy_true_mev", "interaction", "neutrino_energy_mev")
    arrays: Columns = {key: table[key][first] for key in keys}
    arrays["direction"] = vector("direction_{}")
    arrays["vertex_cm"] = vector("vertex_{}_cm")
    arrays["neutrino_direction"] = vector("neutrino_direction_{}")
    return arrays
