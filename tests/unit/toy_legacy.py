"""Image files as the predecessor wrote them, in every layout, made by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from snpoint.data.shards import read_shard
from snpoint.physics.angles import random_directions
from snpoint.physics.legacy_layouts import LAYOUTS
from snpoint.settings import PREDECESSOR_ADC_PER_MEV
from snpoint.tools.legacy_import import write_shards

PLANES = ("U", "V", "X")
MOMENTUM_GEV = 0.0205


def toy_images(n: int, plane: int, seed: int = 1, size: tuple[int, int] = (128, 32)) -> np.ndarray:
    """Short diagonal tracks of whole ADC, a different one for each row."""
    rng = np.random.default_rng(100 * seed + plane)
    pixels = np.zeros((n, *size), np.float32)
    for image in pixels:
        tick, channel = rng.integers(size[0] // 2), rng.integers(size[1] // 2)
        for step in range(rng.integers(3, 7)):
            image[tick + 2 * step : tick + 2 * step + 4, channel + step] = rng.integers(61, 400, 4)
    return pixels


def toy_rows(n: int, plane: int, pixels: np.ndarray, seed: int = 1, first_event: int = 1000) -> dict:
    """Columns by the names of the layouts: every third cluster is background, the first of an event is main."""
    rng = np.random.default_rng(seed)
    marley = np.arange(n) % 3 != 2
    direction = random_directions(rng, n) * marley[:, None]
    position = rng.uniform(-200, 200, (n, 3)) * marley[:, None]
    neutrino = 0.03 * random_directions(rng, n) * marley[:, None]
    rows = {
        "event": first_event + np.arange(n) // 3,
        "is_marley": marley,
        "is_main": np.arange(n) % 3 == 0,
        "is_es": marley & (np.arange(n) % 2 == 0),
        "neutrino_energy_mev": np.where(marley, 30.25, -1.0),
        "particle_energy_mev": np.where(marley, 17.5, -1.0),
        "cluster_energy_mev": pixels.sum(axis=(1, 2)) / PREDECESSOR_ADC_PER_MEV[plane],
        "plane": np.full(n, plane),
        "match_id": np.where(np.arange(n) % 3 == 1, -1, np.arange(n)),
    }
    for axis, name in enumerate("xyz"):
        rows |= {f"{name}_cm": position[:, axis], f"d{name}": direction[:, axis]}
        rows |= {f"p{name}_gev": MOMENTUM_GEV * direction[:, axis], f"neutrino_p{name}_gev": neutrino[:, axis]}
    return rows


def metadata(rows: dict, layout: str) -> np.ndarray:
    """Rows in the columns of a layout, float32."""
    return np.stack([np.asarray(rows[name], np.float32) for name in LAYOUTS[layout]], axis=1)


def write_clusters(
    folder: Path, layout: str, n: int = 9, size: tuple[int, int] = (128, 32), stem: str = "toy_clusters", **how
) -> dict:
    """One file per plane, in folders U, V and X; gives the pixels and the rows by plane."""
    made = {}
    for plane, name in enumerate(PLANES):
        pixels = toy_images(n, plane, size=size, seed=how.get("seed", 1))
        rows = toy_rows(n, plane, pixels, **how)
        path = folder / name / f"{stem}_plane{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, images=pixels, metadata=metadata(rows, layout))
        made[name] = (pixels, rows)
    return made


def write_volumes(folder: Path, n: int = 2, size: tuple[int, int] = (208, 1242), **changes) -> dict:
    """Volumes as object arrays, [channel, time], with a dict per volume."""
    made = {}
    for plane, name in enumerate(PLANES):
        pixels = np.ascontiguousarray(toy_images(n, plane, size=size[::-1]).transpose(0, 2, 1))
        records = [
            {
                "event": 12651 + row,
                "plane": name,
                "interaction_type": ("ES", "CC", "Background")[row % 3],
                "particle_energy": 21.5,
                "cluster_energy": np.float64(12.5 + plane),
                "main_track_momentum": 0.025,
                **{f"main_track_momentum_{axis}": 0.025 * (axis == "xyz"[row % 3]) for axis in "xyz"},
                **{f"main_track_neutrino_momentum_{axis}": 0.04 * (axis == "z") for axis in "xyz"},
                "image_shape": size,
                "main_cluster_match_id": row,
                "source_root_file": "/somewhere/else.root",
            }
            | changes
            for row in range(n)
        ]
        path = folder / name / f"toy_volumes_plane{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, images=np.array(list(pixels), dtype=object), metadata=np.array(records, dtype=object))
        made[name] = (pixels, records)
    return made


def imported(folder: Path, out: Path, **how: Any) -> SimpleNamespace:
    """The first shard that is made of a folder of images."""
    shards = [shard.path for shard in write_shards([folder], out, **how)]
    return SimpleNamespace(**read_shard(shards[0]), paths=shards)
