"""Drawing and storing images: rates on one core, what they take on disk, and whether charge is kept.

Run ``python tests/benchmarks/data_images.py [events]``. The images are those of simulated events with noise TPs, from
the stages themselves; compilation is not counted. With ``SNPOINT_DATA`` set, the real CC file is measured, too.
"""

from __future__ import annotations

import os
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import yaml
from rows import Row, processor_seconds, show

from snpoint.data.shards import read_shard
from snpoint.physics.drawing import draw
from snpoint.physics.waveforms import WAVEFORMS
from snpoint.settings import ClusterSettings, ImageSettings, MatchSettings, SimulateSettings
from snpoint.stages import cluster, image, match, simulate

_ADC_PER_MEV = {"U": 1000.0, "V": 1100.0, "X": 4100.0}
_ZERO = {"U": 0.0, "V": 0.0, "X": 0.0}
_DETECTOR = "fdhd_1x2x2"


def simulated(folder: Path, events: int) -> Path:
    """A TPStream file of simulated events with noise TPs."""
    base = Path(__file__).parents[2] / "configs/samples/_base.yaml"
    values = yaml.safe_load(base.read_text(encoding="utf-8"))["simulate"]
    settings = SimulateSettings(**(values | {"events_per_chunk": events}))
    simulate.run(settings, sample="images", chunk=0, tpstream=folder / "simulated.root")
    return folder / "simulated.root"


def shard_of(tpstream: Path, folder: Path, window: tuple[int, int]) -> Path:
    """The images of a file: its main clusters and all TPs around them, those of one tick included."""
    simide = {"before_ticks": 0.0, "after_ticks": 0.0, "offset_ticks": _ZERO, "min_fraction": 0.3}
    truth: dict[str, Any] = {"detector": _DETECTOR, "truth": "backtracker", "interaction": "truth", "margin_ticks": 10}
    truth |= {
        "simide": simide,
        "compare": False,
        "production": None,
        "background_production": None,
        "quarantine": False,
    }
    truth |= {"sha256": {}, "overlay": {"seed": 0, "noise": "drop", "shortage": "error"}}
    links = {"tolerance_ticks": 20.0, "sigma_ticks": 5.0, "sigma_y_cm": 3.0, "sigma_log_charge": 0.7}
    recipe: dict[str, Any] = {"detector": _DETECTOR, "method": "connected", "tick_limit": 3, "channel_limit": 2}
    recipe |= {"min_tps": 2, "tot_cut": 3, "energy_cut_mev": 2.0, "adc_per_mev": _ADC_PER_MEV}
    recipe |= {"link": links | {"missing_plane_cost": 10.0}}
    images: dict[str, Any] = {"detector": _DETECTOR, "anchors": "main", "context": "window", "tot_cut": 0}
    images |= {"orientation": "canonical", "window_ticks": window[0], "window_channels": window[1]}
    match.run(MatchSettings(**truth), tpstream=[tpstream], tps=folder / "tps.parquet")
    cluster.run(ClusterSettings(**recipe), tps=folder / "tps.parquet", clusters=folder / "clusters.parquet")
    shard = folder / f"{tpstream.stem}_{window[0]}.npz"
    image.run(ImageSettings(**images, adc_per_mev=_ADC_PER_MEV), clusters=folder / "clusters.parquet", shard=shard)
    return shard


def drawing_rows(small: Path, large: Path) -> list[Row]:
    """Rates of drawing; new memory for images, one buffer used again for volumes."""
    rows = []
    images, volumes = (SimpleNamespace(**read_shard(path)) for path in (small, large))
    chosen = np.resize(np.arange(len(images.event_uid)), 4096)
    few = np.resize(np.arange(len(volumes.event_uid)), 128)
    one, three = (np.zeros((len(few), planes, 1242, 208), np.float32) for planes in (1, 3))
    for waveform in WAVEFORMS:
        found = len(chosen) / processor_seconds(lambda waveform=waveform: draw(images, chosen, 128, 32, waveform))
        rows.append(Row(f"drawing 128x32, three planes, {waveform}", "375/s, one plane", 30_000, found, "images/s"))
    for waveform in WAVEFORMS:
        found = len(few) / processor_seconds(
            lambda waveform=waveform: draw(volumes, few, 1242, 208, waveform, planes=(2,), out=one)
        )
        rows.append(Row(f"drawing 1242x208, one plane, {waveform}", "22/s", 1_000, found, "volumes/s"))
    found = len(few) / processor_seconds(lambda: draw(volumes, few, 1242, 208, "pentagon", out=three))
    rows.append(Row("drawing 1242x208, three planes, pentagon", "7/s", 1_000, found, "volumes/s"))
    return rows


def storage_row(name: str, shard: Path) -> Row:
    """What an image takes on disk."""
    size = shard.stat().st_size / max(len(read_shard(shard)["event_uid"]), 1) / 1000
    return Row(f"one-meter images, {name}", "1030-8300 kB", 10.0, size, "kB/image", higher_is_better=False)


def charge_row(shard: Path) -> Row:
    """Largest relative difference between the pixels of a plane and the ADC of its TPs."""
    arrays = read_shard(shard)
    # What could be cut at the border of the picture is none of the question: the picture is larger than the window.
    rows, worst = np.arange(min(len(arrays["event_uid"]), 200)), 0.0
    bounds = arrays["offsets"][: 3 * len(rows) + 1]
    charge = np.array([arrays["adc_integral"][a:b].sum(dtype=np.float64) for a, b in pairwise(bounds)])
    for waveform in WAVEFORMS:
        drawn = draw(SimpleNamespace(**arrays), rows, 512, 128, waveform).sum(axis=(2, 3), dtype=np.float64).ravel()
        relative = np.abs(drawn - charge)[charge > 0] / charge[charge > 0]
        worst = max(worst, float(relative.max(initial=0.0)))
    return Row("charge lost in a picture, all waveforms", "0.3-0.5 %", 0.1, 100 * worst, "%", higher_is_better=False)


def measure(events: int = 300) -> list[Row]:
    """All figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = simulated(folder, events)
        small, large = shard_of(source, folder, (128, 32)), shard_of(source, folder, (1248, 216))
        rows = [*drawing_rows(small, large), storage_row("simulated with noise", large), charge_row(small)]
        data = Path(os.environ.get("SNPOINT_DATA") or "data") / "test_cc_tpstream.root"
        if data.exists():
            rows.append(storage_row("real CC events", shard_of(data, folder, (1248, 216))))
    return rows


if __name__ == "__main__":
    sys.exit(not show(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 300)))
