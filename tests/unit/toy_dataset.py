"""Shards to make datasets of: images of random TPs, images with nothing to complain about, and settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from toy_images import toy_arrays

from snpoint.data.shards import write_shard
from snpoint.physics.geometry import load_detector
from snpoint.settings import DatasetSettings, Selection, Split

Arrays = dict[str, np.ndarray]

SHARES = (0.7, 0.1, 0.1, 0.1)
N = 600


def recipe(
    shares: tuple[float, ...] = SHARES, min_planes: int = 1, min_tps: int = 1, truth: bool = True, **changes: Any
) -> DatasetSettings:
    """Settings that ask for nothing special, but for the changes."""
    split = Split(**dict(zip(("train", "val", "calib", "test"), shares, strict=True)))
    selection = Selection(min_planes=min_planes, min_tps_per_plane=min_tps, require_truth=truth)
    plain = {"seed": 1, "images": None, "allow_fewer": False, "balance": "none", "productions": []}
    plain |= {"duplicates": "error", "max_quarantined": 0.0}
    return DatasetSettings(split=split, selection=selection, **(plain | changes))


def write(folder: Path, *shards: Arrays) -> list[Path]:
    """Write shards as the image stage names them."""
    paths = [folder / "image" / f"shard_s_{number:04d}.npz" for number in range(len(shards))]
    for path, arrays in zip(paths, shards, strict=True):
        write_shard(path, arrays)
    return paths


def shard_arrays(n: int, first_event: int = 0, seed: int = 1, truth: bool = True) -> Arrays:
    """A shard of ``n`` images with random TPs and isotropic truth."""
    rng = np.random.default_rng([seed, first_event])
    counts = rng.integers(0, 6, 3 * n)
    counts[2::3] += 2
    n_tps = int(counts.sum())
    direction = rng.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    known = 1.0 if truth else np.nan
    event = np.arange(first_event, first_event + n)
    return {
        "orientation": np.array("canonical"),
        "detector": np.array("fdhd_1x2x2"),
        "sources": np.array('{"truth": "backtracker"}'),
        "event_uid": (event + (7 << 44)).astype(np.uint64),
        "run": np.full(n, 7, np.uint32),
        "subrun": np.zeros(n, np.uint32),
        "event": event.astype(np.uint32),
        "offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "channel": rng.integers(-16, 16, n_tps).astype(np.int16),
        "tick": rng.integers(-50, 40, n_tps).astype(np.int16),
        "samples_over_threshold": rng.integers(4, 20, n_tps).astype(np.uint16),
        "samples_to_peak": rng.integers(0, 4, n_tps).astype(np.uint16),
        "adc_integral": rng.integers(100, 9000, n_tps).astype(np.uint32),
        "adc_peak": rng.integers(60, 900, n_tps).astype(np.uint16),
        "in_main": np.ones(n_tps, np.uint8),
        "direction": (direction * known).astype(np.float32),
        "vertex_cm": (rng.uniform(-300, 300, (n, 3)) * known).astype(np.float32),
        "energy_true_mev": (rng.uniform(3, 60, n) * known).astype(np.float32),
        "energy_reco_mev": rng.uniform(1, 50, (n, 3)).astype(np.float32),
        "interaction": np.full(n, 1 if truth else 255, np.uint8),
        "is_main": np.ones(n, np.uint8),
        "apa": rng.integers(0, 4, n).astype(np.uint8),
        "face": rng.choice([-1, 1], n).astype(np.int8),
        "neutrino_direction": (direction * known).astype(np.float32),
        "neutrino_energy_mev": (rng.uniform(5, 70, n) * known).astype(np.float32),
        "fingerprint": rng.integers(1, 2**64, n, np.uint64),
        "background_uid": (event + (9 << 44)).astype(np.uint64),
        "background_fingerprint": rng.integers(1, 2**64, n, np.uint64),
        "link_margin": rng.normal(5, 1, n).astype(np.float32),
        "signal_fraction": (rng.uniform(0, 1, n) * known).astype(np.float32),
    }


def source(name: str = "prodmarley_es_1.root", tag: str = "prodmarley_es:1x2x2:v1", **changes: Any) -> dict[str, Any]:
    """Record of an input file."""
    record = {"name": name, "sha256": name.encode().hex(), "size": 1, "production": tag, "tree": "t"}
    record |= {"n_events": 10, "n_tps": 100, "lowest_adc_peak": {"U": 71, "V": 71, "X": 61}, "problem": None}
    return record | changes


def record(*files: dict[str, Any], **more: Any) -> np.ndarray:
    """What a shard says it was made of."""
    return np.array(json.dumps({"files": list(files) or [source()], "truth": "backtracker", **more}))


def good(n: int = N, seed: int = 3, **sources: Any) -> Arrays:
    """Images with nothing to complain about: vertices in their volumes, labels of the tracks, energies that fit."""
    arrays = toy_arrays(n, seed)
    rng = np.random.default_rng(seed)
    volumes = load_detector("fdhd_1x2x2").volumes
    of = rng.integers(0, len(volumes), n)
    ranges = np.array([(v.x_range_cm, v.y_range_cm, v.z_range_cm) for v in volumes])[of]
    arrays["apa"] = np.array([v.apa for v in volumes], np.uint8)[of]
    arrays["face"] = np.array([v.face for v in volumes], np.int8)[of]
    inside = rng.uniform(0.1, 0.9, (n, 3))
    arrays["vertex_cm"] = (ranges[..., 0] + inside * (ranges[..., 1] - ranges[..., 0])).astype(np.float32)
    arrays["energy_reco_mev"] = (arrays["energy_true_mev"][:, None] * rng.normal(0.8, 0.1, (n, 3))).astype(np.float32)
    arrays["fingerprint"] = rng.integers(1, 2**63, n, np.uint64)
    arrays["background_fingerprint"] = rng.integers(1, 2**63, n, np.uint64)
    arrays["background_uid"] = rng.integers(1, 2**63, n, np.uint64)
    arrays["link_margin"] = np.ones(n, np.float32)
    arrays["signal_fraction"] = np.ones(n, np.float32)
    return arrays | {"sources": record(**sources)}


def in_pairs(arrays: Arrays) -> np.ndarray:
    """Every two images one event: its main cluster, and another of half the energy."""
    second = np.arange(N) % 2 == 1
    arrays["event_uid"] = arrays["event_uid"] - second.astype(np.uint64)
    arrays["is_main"] = (~second).astype(np.uint8)
    arrays["energy_reco_mev"][second] = arrays["energy_reco_mev"][np.flatnonzero(second) - 1] / 2
    arrays["direction"][second] = arrays["direction"][np.flatnonzero(second) - 1]
    arrays["background_fingerprint"][second] = arrays["background_fingerprint"][np.flatnonzero(second) - 1]
    return second
