"""Measurements on images and labels that show mistakes of the chain before: mirrored volumes, labels of something else.

Each is a number with a known expectation, so that a dataset's card can say by how much it is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.geometry import Detector

Columns = Mapping[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Json = dict[str, Any]

PLANES = ("A", "B", "X")
CLEAR_CORRELATION = 0.5
"""Correlation of tick and channel from which an image has a slope."""
_CLEAR_COSINE = 0.1
"""Least product of the direction's two components that a plane sees: below, the slope has no sign to speak of."""
_MARGIN_CM = 30.0
"""How far outside of its drift volume a vertex may lie: electrons cross, and walls have gaps."""


def slopes(shard: Columns) -> npt.NDArray[np.int8]:
    """Sign of the slope of the main cluster on each plane, (N, 3): +1 where ticks grow with channels; 0 unclear.

    Parameters
    ----------
    shard
        ``offsets, channel, tick, samples_over_threshold, adc_integral, in_main``.
    """
    n_segments = len(shard["offsets"]) - 1
    main = shard["in_main"] == 1
    segment = np.repeat(np.arange(n_segments), np.diff(shard["offsets"]))[main]
    weight = shard["adc_integral"][main].astype(np.float64)
    channel = shard["channel"][main].astype(np.float64)
    tick = (shard["tick"] + 0.5 * (shard["samples_over_threshold"].astype(np.float64) - 1.0))[main]

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(segment, weight * values, n_segments), np.float64)

    charge = np.maximum(total(np.ones(len(weight))), 1.0)
    d_channel = channel - (total(channel) / charge)[segment]
    d_tick = tick - (total(tick) / charge)[segment]
    spread = np.sqrt(total(np.square(d_channel)) * total(np.square(d_tick)))
    correlation = np.divide(total(d_channel * d_tick), spread, out=np.zeros(n_segments), where=spread > 0)
    # Two TPs always lie on a line.
    clear = (np.bincount(segment, minlength=n_segments) >= 3) & (np.abs(correlation) >= CLEAR_CORRELATION)
    return (np.sign(correlation) * clear).astype(np.int8).reshape(-1, 3)


def expected_slopes(direction: npt.NDArray[Any], detector: Detector) -> npt.NDArray[np.int8]:
    """Sign of the slope that each direction must have in the canonical frame, (N, 3); 0 where it has none."""
    volume = detector.volumes[0]
    along = np.zeros((len(direction), 3))
    known = np.nan_to_num(direction.astype(np.float64))
    for slot, (plane, flip) in enumerate(detector.canonical(volume.apa, volume.face).planes):
        wires = volume.wires[plane]
        gradient = np.array([0.0, wires.dch_dy, wires.dch_dz]) * (-1.0 if flip else 1.0)
        along[:, slot] = known @ (gradient / np.linalg.norm(gradient))
    product = known[:, :1] * along
    return (np.sign(product) * (np.abs(product) >= _CLEAR_COSINE)).astype(np.int8)


def slope_agreement(
    seen: npt.NDArray[np.int8], expected: npt.NDArray[np.int8], apa: npt.NDArray[Any], face: npt.NDArray[Any]
) -> list[Json]:
    """Share of images whose slope has the sign of their label, for each drift volume and plane.

    One half means that labels and images have nothing to do with each other, less that an axis is mirrored.

    Returns
    -------
    list
        ``apa, face, plane, n, share, error`` where there is an image with a clear slope.
    """
    rows: list[Json] = []
    for a, f in np.unique(np.stack([apa.astype(int), face.astype(int)], axis=1), axis=0).tolist():
        own = (apa == a) & (face == f)
        for slot, plane in enumerate(PLANES):
            clear = own & (seen[:, slot] != 0) & (expected[:, slot] != 0)
            n = int(clear.sum())
            if n:
                share = float((seen[clear, slot] == expected[clear, slot]).mean())
                rows.append({"apa": a, "face": f, "plane": plane, "n": n, "share": share, "error": 0.5 / n**0.5})
    return rows


def labeled_events(images: Columns) -> npt.NDArray[np.int64]:
    """Row of one image of each event that has a direction."""
    known = np.flatnonzero(np.isfinite(images["direction"]).all(axis=1))
    return known[np.unique(images["event_uid"][known], return_index=True)[1]]


def labels(images: Columns, is_signal: Bools) -> Json | None:
    """What labels must not be: missing, zero, all the same, the vertex's position, or made of energies.

    Parameters
    ----------
    images
        ``event_uid, direction, vertex_cm, energy_true_mev, energy_reco_mev`` of the images.
    is_signal
        Images of a neutrino interaction, which must have a label.

    Returns
    -------
    dict or None
        None without a label and without signal. Cosine and correlation are of one image per event, since its images
        share the label, and come with the error they have if there is nothing to see; ``largest_energy_correlation``
        is that of any component with the true or seen energy.
    """
    known = np.isfinite(images["direction"]).all(axis=1)
    if not known.any() and not is_signal.any():
        return None
    rows = labeled_events(images)
    n = len(rows)
    direction, energy = images["direction"][rows].astype(np.float64), images["energy_true_mev"]
    return {
        "n_signal": int(is_signal.sum()),
        "n_signal_without_label": int((is_signal & ~known).sum()),
        "n_background_with_label": int((~is_signal & known).sum()),
        "n_zero_momentum": int((known & np.isfinite(energy) & (energy <= 0)).sum()),
        "n_different": len(np.unique(direction, axis=0)),
        "vertex_cosine": _vertex_cosine(direction, images["vertex_cm"][rows]),
        "vertex_cosine_error": float(1 / np.sqrt(3 * n)) if n else None,
        "largest_energy_correlation": _energy_correlation(direction, energy[rows], images["energy_reco_mev"][rows]),
        "energy_correlation_error": float(1 / np.sqrt(n)) if n else None,
    }


def _vertex_cosine(direction: Floats, vertex_cm: npt.NDArray[Any]) -> float | None:
    """Mean cosine between label and vertex position: 1 if positions were taken for momenta."""
    length = np.linalg.norm(vertex_cm.astype(np.float64), axis=1)
    usable = np.isfinite(length) & (length > 0)
    if not usable.any():
        return None
    return float(((direction[usable] * vertex_cm[usable]).sum(axis=1) / length[usable]).mean())


def _energy_correlation(direction: Floats, true: npt.NDArray[Any], reco: npt.NDArray[Any]) -> float | None:
    found = []
    for energy in (true, *reco.T):
        usable = np.isfinite(energy)
        if usable.sum() < 3 or np.ptp(energy[usable]) == 0:
            continue
        for component in direction[usable].T:
            if np.ptp(component) > 0:
                found.append(float(np.corrcoef(component, energy[usable].astype(np.float64))[0, 1]))
    return max(found, key=abs) if found else None


def places(images: Columns, chosen: Bools, detector: Detector) -> Json | None:
    """Share of vertices on the side of the anode, and in the volume, that the image is attributed to.

    Parameters
    ----------
    images
        ``vertex_cm, apa, face``.
    chosen
        Images of the electron itself: other clusters may be far from the vertex.
    """
    usable = chosen & np.isfinite(images["vertex_cm"]).all(axis=1) & (images["face"] != 0)
    if not usable.any():
        return None
    vertex, apa, face = images["vertex_cm"][usable], images["apa"][usable], images["face"][usable]
    inside, known = np.zeros(len(vertex), bool), np.zeros(len(vertex), bool)
    for volume in detector.volumes:
        own = (apa == volume.apa) & (face == volume.face)
        known |= own
        ranges = np.array([volume.x_range_cm, volume.y_range_cm, volume.z_range_cm])
        in_box = (vertex >= ranges[:, 0] - _MARGIN_CM) & (vertex <= ranges[:, 1] + _MARGIN_CM)
        inside |= own & in_box.all(axis=1)
    return {
        "n": int(usable.sum()),
        "right_face": float((np.sign(vertex[:, 0]) == face).mean()),
        "in_volume": float(inside.mean()),
        "n_unknown_volume": int((~known).sum()),
    }


def main_clusters(images: Columns) -> Json:
    """How main clusters and signal are spread over images and events.

    Parameters
    ----------
    images
        ``event_uid, is_main, interaction, energy_reco_mev, signal_fraction``.

    Returns
    -------
    dict
        Shares of main clusters and of signal among all images; events by their number of main images; the share of
        events with several images whose main one has not the highest energy on plane X; images whose label and
        charge disagree (signal by charge, yet no main cluster, is legal: there are several clusters per event).
    """
    main = images["is_main"] == 1
    events, index = np.unique(images["event_uid"], return_inverse=True)
    index = index.reshape(-1)
    per_event, n_images = np.bincount(index[main], minlength=len(events)), np.bincount(index, minlength=len(events))
    energy = images["energy_reco_mev"][:, 2].astype(np.float64)
    highest = np.zeros(len(events))
    np.maximum.at(highest, index, energy)
    compared = main & (n_images[index] > 1)
    not_highest = compared & (energy < highest[index] * (1 - 1e-6))
    fraction = images["signal_fraction"]
    with_truth = np.isfinite(fraction)
    signal = with_truth & (fraction > 0.5)
    return {
        "share_main": float(main.mean()) if len(main) else 0.0,
        "share_signal": float(signal[with_truth].mean()) if with_truth.any() else None,
        "share_main_of_signal": float(main[signal].mean()) if signal.any() else None,
        "share_signal_of_main": float(signal[main & with_truth].mean()) if (main & with_truth).any() else None,
        "n_events": len(events),
        "n_events_without_main": int((per_event == 0).sum()),
        "n_events_with_several_main": int((per_event > 1).sum()),
        "n_compared": int(compared.sum()),
        "n_main_not_highest": int(not_highest.sum()),
        "main_is_signal": bool(with_truth.any() and 0 < main.sum() < len(main) and (main == signal)[with_truth].all()),
    }


def containment(shard: Columns, ticks: int, channels: int) -> npt.NDArray[np.float32]:
    """Share of each image's charge whose TPs begin inside a picture of that size, (N, 3); NaN on empty planes."""
    n_segments = len(shard["offsets"]) - 1
    segment = np.repeat(np.arange(n_segments), np.diff(shard["offsets"]))
    half_ticks, half_channels = ticks // 2, channels // 2
    inside = (shard["tick"] >= -half_ticks) & (shard["tick"] < ticks - half_ticks)
    inside &= (shard["channel"] >= -half_channels) & (shard["channel"] < channels - half_channels)
    adc = shard["adc_integral"].astype(np.float64)
    charge = np.bincount(segment, adc, n_segments)
    kept = np.bincount(segment, adc * inside, n_segments)
    share = np.divide(kept, charge, out=np.full(n_segments, np.nan), where=charge > 0)
    return np.asarray(share.reshape(-1, 3), np.float32)
