"""A small dataset of straight tracks with blips ahead of them, written as the real shards are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snpoint.data import contracts
from snpoint.data.atomic import write_npz
from snpoint.physics.angles import random_directions
from snpoint.provenance import fingerprint

TICKS_PER_CM = 12.455
GRADIENTS = np.array([[0.0, 1.2501, 1.7391], [0.0, 1.2501, -1.7391], [0.0, 0.0, 1 / 0.479]])
SHARES = (0.5, 0.2, 0.1, 0.2)
COLUMNS = ("channel", "tick", "samples_over_threshold", "samples_to_peak", "adc_integral", "adc_peak", "in_main")


def toy_arrays(n: int, seed: int = 1, length_cm: float = 4.0, blips: bool = True, x_per_time: int = 1) -> dict:
    """Arrays of a shard with n images; ``direction`` is what the tracks were drawn along."""
    rng = np.random.default_rng(seed)
    directions = random_directions(rng, n)
    tps, offsets = [], [0]
    for direction in directions:
        track = direction * np.arange(-length_cm / 2, length_cm / 2, 0.05)[:, None]
        spots = direction * (length_cm / 2 + 2.0) + rng.normal(0, 0.2, (2, 3)) if blips else np.empty((0, 3))
        for gradient in GRADIENTS:
            rows = _tps(track, gradient, True, x_per_time) + _tps(spots, gradient, False, x_per_time)
            tps += rows
            offsets.append(offsets[-1] + len(rows))
    table = np.array(tps)
    columns = {key: table[:, i].astype(contracts.SHARD[key].dtype) for i, key in enumerate(COLUMNS)}
    return {**columns, **_truth(n, rng, directions), "offsets": np.array(offsets, np.int64)}


def _tps(points: np.ndarray, gradient: np.ndarray, main: bool, x_per_time: int) -> list[tuple]:
    """One TP per channel: as long in time as the deposits on it, plus the width of a pulse."""
    channels = np.rint(points @ gradient).astype(int)
    ticks = np.rint(x_per_time * points[:, 0] * TICKS_PER_CM).astype(int)
    rows = []
    for channel in np.unique(channels):
        own = ticks[channels == channel]
        start, length, charge = own.min() - 6, np.ptp(own) + 13, 200 * len(own) + 400
        if abs(channel) < 16 and start > -60 and start + length < 60:
            rows.append((channel, start, length, length // 2, charge, 2 * charge // length, int(main)))
    return rows


def _truth(n: int, rng: np.random.Generator, directions: np.ndarray) -> dict:
    events = np.arange(n, dtype=np.uint32)
    return {
        "format_version": np.array(contracts.FORMAT_VERSION, np.uint16),
        "orientation": np.array("canonical"),
        "detector": np.array("fdhd_1x2x2"),
        "sources": np.array("{}"),
        "event_uid": (np.uint64(1) << np.uint64(44)) + events.astype(np.uint64),
        "run": np.ones(n, np.uint32),
        "subrun": np.zeros(n, np.uint32),
        "event": events,
        "direction": directions.astype(np.float32),
        "vertex_cm": np.zeros((n, 3), np.float32),
        "energy_true_mev": rng.uniform(3, 60, n).astype(np.float32),
        "energy_reco_mev": rng.uniform(3, 60, (n, 3)).astype(np.float32),
        "interaction": np.ones(n, np.uint8),
        "is_main": np.ones(n, np.uint8),
        "apa": np.zeros(n, np.uint8),
        "face": np.ones(n, np.int8),
        "neutrino_direction": directions.astype(np.float32),
        "neutrino_energy_mev": rng.uniform(5, 60, n).astype(np.float32),
        "fingerprint": 1 + events.astype(np.uint64),
        "background_uid": np.zeros(n, np.uint64),
        "background_fingerprint": np.zeros(n, np.uint64),
        "link_margin": np.full(n, np.nan, np.float32),
        "signal_fraction": np.ones(n, np.float32),
    }


def write_toy_dataset(folder: Path, n: int, seed: int = 1, truth: bool = True, orientation: str = "canonical") -> Path:
    """Write ``image/shard_toy_0000.npz`` and ``dataset/split.npz``; returns the path of the latter."""
    arrays = toy_arrays(n, seed) | {"orientation": np.array(orientation)}
    if not truth:
        arrays["direction"][:] = np.nan
        arrays["energy_true_mev"][:] = np.nan
        arrays["interaction"][:] = 255
    contracts.validate(arrays, contracts.SHARD, "toy")
    write_npz(folder / "image" / "shard_toy_0000.npz", arrays)
    split = folder / "dataset" / "split.npz"
    borders = (np.cumsum(SHARES)[:-1] * n).astype(int)
    write_npz(
        split,
        {
            "format_version": np.array(contracts.FORMAT_VERSION, np.uint16),
            "shards": np.array(["shard_toy_0000.npz"]),
            "shard_sha256": np.array([fingerprint(folder / "image" / "shard_toy_0000.npz")["sha256"]]),
            "shard": np.zeros(n, np.uint32),
            "row": np.arange(n, dtype=np.uint32),
            "event_uid": arrays["event_uid"],
            "split": np.searchsorted(borders, np.arange(n), side="right").astype(np.uint8),
        },
    )
    return split
