"""The stage `simulate`: files in batches, whole or not at all, legal when empty, the same on many processes."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_memory
import toy_simulation as toy
import yaml
from toy_clusters import cluster_settings
from toy_match_stage import DEFAULTS as MATCH

from snpoint.data.shards import read_shard
from snpoint.data.tables import CLUSTER_TABLE, TP_TABLE, read_table
from snpoint.data.tpstream import SCHEMA, Trees, read_tpstream, write_tpstream
from snpoint.errors import ConfigError, DataError, UsageError
from snpoint.physics.constants import BACKGROUND, CC, ES
from snpoint.physics.geometry import known_detectors
from snpoint.physics.simulation import chunk as simulation
from snpoint.physics.simulation.chunk import simulate_batches, simulate_chunk
from snpoint.settings import ImageSettings, MatchSettings, SimulateSettings
from snpoint.stages import cluster, image, match, simulate

DATASETS = Path(__file__).parents[2] / "configs/datasets/_base.yaml"
DECAYS = toy.radioactivity(ar39_bq_kg=0.01)


def equal(first: Trees, second: Trees) -> bool:
    return all(np.array_equal(first[tree][key], second[tree][key]) for tree in first for key in first[tree])


def simulated(folder: Path, chunk: int = 0, **changes: Any) -> Path:
    path = folder / f"{chunk:04d}.root"
    simulate.run(toy.settings(**changes), sample="sim", chunk=chunk, tpstream=path)
    return path


def matched(path: Path, **changes: Any) -> dict[str, np.ndarray]:
    table = path.with_suffix(".parquet")
    match.run(MatchSettings(**(MATCH | changes)), tpstream=[path], tps=table)
    return read_table(table, TP_TABLE)


def test_a_file_reads_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        path = simulated(tmp_path / "simulate", 1, events_per_chunk=5)
    assert "5 of 5 events" in caplog.text
    assert equal(read_tpstream(path), simulate_chunk(toy.settings(events_per_chunk=5), "sim", 1))
    assert [path.name for path in path.parent.iterdir()] == ["0001.root"]


def test_progress_says_how_fast_and_how_long_still(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter([0.0, 1.0, 20.0, 25.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    progress = simulate._Progress()
    with caplog.at_level(logging.INFO):
        for done in (1, 51, 1001, 4001):
            progress(done, 4001)
    assert caplog.messages == [
        "1001 of 4001 events, 50 events/s, 60 s left",
        "4001 of 4001 events, 160 events/s",
    ]


def test_batches_make_the_same_file_as_one_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"noise": toy.noise(0.05), "radioactivity": DECAYS}
    whole = simulate_chunk(toy.settings(**changes), "sim", 0)
    monkeypatch.setattr(simulation, "EVENTS_PER_BATCH", 6)
    parts = list(simulate_batches(toy.settings(**changes), "sim", 0))
    assert [len(np.unique(part["mctruths"]["Event"])) for part in parts] == [6, 6, 6, 2]
    assert equal(read_tpstream(simulated(tmp_path, **changes)), whole)
    monkeypatch.setattr(simulation, "ROWS_PER_BATCH", 1)
    assert len(list(simulate_batches(toy.settings(**changes), "sim", 0))) == 20


def test_a_batch_is_forgotten_before_the_next_one_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays: list[weakref.ref[np.ndarray]] = []
    alive: list[int] = []

    def watched(*args: Any, **options: Any) -> Iterator[Trees]:
        for part in simulate_batches(*args, **options):
            arrays.append(weakref.ref(part["tps"]["adc_integral"]))
            yield part
            del part
            alive.append(sum(array() is not None for array in arrays))

    monkeypatch.setattr(simulation, "EVENTS_PER_BATCH", 6)
    monkeypatch.setattr(simulate, "simulate_batches", watched)
    simulated(tmp_path, noise=toy.noise(0.05))
    assert alive == [0, 0, 0, 0]


@pytest.mark.parametrize(("generator", "low", "high"), [("es", 0.95, 0.995), ("cc", 0.95, 0.985)])
def test_a_cell_has_one_row_and_most_tps_one_owner_as_in_the_real_files(
    generator: str, low: float, high: float
) -> None:
    # Real: one row in each of 89,206 cells, none below an electron; mean share 0.993 (10 ES events), 0.969 (58 CC).
    trees = simulate_chunk(toy.settings(generator=generator, events_per_chunk=60, noise=toy.noise(0.0)), "cells", 0)
    ides, tps = trees["simides"], trees["tps"]
    cells = np.stack([ides[key].astype(np.int64) for key in ("Event", "channel", "timestamp")])
    assert np.unique(cells, axis=1).shape == cells.shape
    assert len(np.unique(ides["trackID"])) >= 2 and ides["numelectrons"].min() >= 1
    share = tps["bt_primary_track_numelectron_frac"][tps["bt_numelectrons"] > 0]
    assert low < share.mean() < high


def test_an_empty_chunk_goes_through_the_chain(tmp_path: Path) -> None:
    burst = toy.burst(n_es=1, n_cc=0, n_background=0, chunks=2)
    empty = simulated(tmp_path, 0, generator="burst", burst=burst)
    trees = read_tpstream(empty)
    assert list(trees) == list(SCHEMA)
    assert all(len(values) == 0 for branches in trees.values() for values in branches.values())
    assert len(matched(empty)["event_uid"]) == 0
    cluster.run(cluster_settings(), tps=empty.with_suffix(".parquet"), clusters=tmp_path / "clusters.parquet")
    assert len(read_table(tmp_path / "clusters.parquet", CLUSTER_TABLE)["event_uid"]) == 0
    recipe = yaml.safe_load(DATASETS.read_text(encoding="utf-8"))["image"] | {"adc_per_mev": "predecessor"}
    image.run(ImageSettings(**recipe), clusters=tmp_path / "clusters.parquet", shard=tmp_path / "shard.npz")
    assert len(read_shard(tmp_path / "shard.npz")["event_uid"]) == 0


def test_a_burst_says_when_what_happened_and_from_where(tmp_path: Path) -> None:
    burst = toy.burst(n_es=5, n_cc=4, n_background=3, chunks=2)
    rows: list[dict[str, np.ndarray]] = []
    for chunk in range(2):
        path = simulated(tmp_path, chunk, generator="burst", burst=burst)
        rows.append(read_tpstream(path, ["burst"])["burst"])
        table = matched(path)
        kinds = dict(zip(rows[-1]["Event"], rows[-1]["interaction"], strict=True))
        assert all(kinds[event] == kind for event, kind in zip(table["event"], table["interaction"], strict=True))
    found = {key: np.concatenate([part[key] for part in rows]) for key in rows[0]}
    np.testing.assert_array_equal(found["Event"], np.arange(1, 13))
    np.testing.assert_array_equal(found["SubRun"], np.repeat([0, 1], 6))
    assert (np.diff(found["time_s"]) >= 0).all()
    assert np.bincount(found["interaction"], minlength=3).tolist() == [3, 5, 4]
    direction = np.stack([found[f"direction_{axis}"] for axis in "xyz"], axis=1)
    np.testing.assert_allclose(np.linalg.norm(direction, axis=1), 1)
    assert (direction == direction[0]).all()


@pytest.mark.parametrize(("generator", "kind"), [("es", ES), ("cc", CC), ("background", BACKGROUND)])
@pytest.mark.parametrize("truth", ["all", "interaction"])
def test_match_tells_interactions_from_background(tmp_path: Path, generator: str, kind: int, truth: str) -> None:
    rates = toy.radioactivity(ar39_bq_kg=0.05)
    path = simulated(tmp_path, generator=generator, truth=truth, radioactivity=rates, noise=toy.noise(0.02))
    trees, table = read_tpstream(path), matched(path)
    assert set(table["interaction"]) == {kind}
    decay = np.isin(table["pdg"], [0, 11]) & (table["track_id"] != 0) & (table["is_signal"] == 0)
    assert decay.sum() > 20 and (table["edep_mev"][decay] > 0).all()
    assert (table["is_signal"] == 1).any() == (kind != BACKGROUND)
    generators = set(trees["mctruths"]["generator_name"])
    if kind != BACKGROUND and truth == "interaction":
        assert generators == {"marley"}
        assert set(table["pdg"][decay]) == {0}, "the track of a TP that is not listed is background, not an error"
    else:
        assert "Ar39GenInLAr" in generators
    if truth == "interaction":
        assert len(trees["mcparticles"]["Event"]) < 400


def test_noise_alone_is_background_too(tmp_path: Path) -> None:
    table = matched(simulated(tmp_path, generator="background", noise=toy.noise(0.05)))
    assert set(table["interaction"]) == {BACKGROUND} and not table["is_signal"].any()


@pytest.mark.parametrize("detector", known_detectors())
def test_every_layout_is_simulated_and_matched(tmp_path: Path, detector: str) -> None:
    rates = toy.radioactivity(ar39_bq_kg=0.001)
    changes: dict[str, Any] = {"detector": detector, "generator": "es", "noise": toy.noise(0.05), "events_per_chunk": 6}
    changes |= {"electron": {"min_mev": 10.0, "max_mev": 60.0}, "vertex_margin_cm": 15.0}
    path = simulated(tmp_path, radioactivity=rates, **changes)
    table = matched(path, detector=detector)
    assert (table["is_signal"] == 1).sum() > 30
    assert set(table["interaction"]) == {ES}


@pytest.mark.parametrize(
    ("changes", "chunk", "message"),
    [
        ({"vertex_margin_cm": 400.0}, 0, "vertex_margin_cm"),
        ({"generator": "twins"}, 0, "simulate.twins"),
        ({"generator": "burst", "burst": toy.burst(1, 1, 1, chunks=2)}, 2, r"0 \.\. 1"),
        ({}, 4096, r"4096.*events_per_chunk"),
        ({"direction": [0.0, 0.0, 0.0], "generator": "es"}, 0, "direction"),
        ({"electron": {"min_mev": 90.0, "max_mev": 80.0}, "generator": "es"}, 0, "electron"),
        ({"electron": {"min_mev": 90.0, "max_mev": 80.0}, "generator": "cc"}, 0, "electron"),
    ],
)
def test_impossible_settings_leave_no_file(tmp_path: Path, changes: dict[str, Any], chunk: int, message: str) -> None:
    with pytest.raises((ConfigError, UsageError), match=message):
        simulated(tmp_path, chunk, **changes)
    assert not list(tmp_path.iterdir())


def test_parts_of_a_file_must_agree(tmp_path: Path) -> None:
    settings = toy.settings(events_per_chunk=1)
    whole = simulate_chunk(settings, "sim", 0)
    fewer = {tree: branches for tree, branches in whole.items() if tree != "simides"}
    with pytest.raises(DataError, match="parts of one file have different trees"):
        write_tpstream(tmp_path / "parts.root", iter([whole, fewer]))
    assert not list(tmp_path.iterdir())


def simulate_in_processes(settings: SimulateSettings, folder: Path, chunks: range, processes: int) -> list[Trees]:
    """Chunks of a sample from the command line, so many processes at once."""
    folder.mkdir()
    command = [sys.executable, "-m", "snpoint", "simulate", "--settings", settings.model_dump_json(), "--sample", "p"]
    paths = [folder / f"{chunk:04d}.root" for chunk in chunks]
    for first in range(0, len(paths), processes):
        running = [
            subprocess.Popen(
                [*command, "--chunk", str(chunks[k]), "--tpstream", str(paths[k])],
                env=os.environ | {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
            for k in range(first, min(first + processes, len(paths)))
        ]
        assert [process.wait() for process in running] == [0] * len(running)
    return [read_tpstream(path) for path in paths]


def check_processes(folder: Path, chunks: int, processes: int) -> None:
    settings = toy.settings(events_per_chunk=3, noise=toy.noise(0.1), radioactivity=DECAYS, direction="one")
    alone = [simulate_chunk(settings, "p", chunk) for chunk in range(chunks)]
    found = simulate_in_processes(settings, folder / "many", range(chunks), processes)
    assert all(equal(first, second) for first, second in zip(alone, found, strict=True))


def test_processes_side_by_side_give_what_one_gives(tmp_path: Path) -> None:
    check_processes(tmp_path, chunks=2, processes=2)


@pytest.mark.nightly
def test_sixteen_processes_give_what_one_gives(tmp_path: Path) -> None:
    check_processes(tmp_path, chunks=16, processes=16)


@pytest.mark.skipif(not toy_memory.STATUS.exists(), reason="needs Linux to tell the peak of memory")
def test_memory_does_not_grow_with_the_chunk() -> None:
    small, large = (
        toy_memory.peak_mb(toy.settings(events_per_chunk=events, noise=toy.noise(1.0))) for events in (250, 1000)
    )
    assert large < toy_memory.GROWTH * small
    assert large < toy_memory.PEAK_MB
