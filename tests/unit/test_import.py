"""`snpoint import`: the command, from files of the predecessor to a dataset that networks are trained on."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from toy_images import write_toy_dataset
from toy_legacy import write_clusters

from snpoint import config
from snpoint.data.shards import load_dataset
from snpoint.errors import DataError, UsageError
from snpoint.plots import dataset as plots
from snpoint.tools import import_, legacy_import
from snpoint.tools.legacy_export import write_dense

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A project folder with the configurations of this one, and quick pictures."""
    shutil.copytree(REPOSITORY / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plots, "png_uri", lambda _: "data:image/png;base64,")


def run(*arguments, code=0):
    result = CliRunner().invoke(import_.command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_the_command_writes_a_dataset_that_is_loaded_for_training(tmp_path):
    write_clusters(tmp_path / "old", "18", n=60)
    result = run(tmp_path / "old", "-o", tmp_path / "new", "--set", "duplicates=drop")
    assert result.output.splitlines()[-1] == str(tmp_path / "new/dataset/split.npz")
    events = load_dataset(tmp_path / "new/dataset/split.npz")
    assert events.orientation == "predecessor"
    assert len(events) == 40 + 60
    assert set(events.split.tolist()) == {0, 1, 2, 3}
    assert json.loads((tmp_path / "new/dataset/card.json").read_text())["splits"]
    assert json.loads((tmp_path / "new/dataset/provenance.json").read_text())["state"] == "ok"


def everything_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("kept", [False, True])
def test_an_import_that_failed_leaves_nothing_and_can_be_repeated(kept, tmp_path):
    write_clusters(tmp_path / "old/a", "18", n=60)
    for path in (tmp_path / "old/a").glob("*/*.npz"):  # other files, the same images
        copy = tmp_path / "old/b" / path.relative_to(tmp_path / "old/a")
        copy.parent.mkdir(parents=True)
        np.savez_compressed(copy, **np.load(path))
    if kept:
        (tmp_path / "new").mkdir()
        (tmp_path / "new/notes.txt").write_text("mine")
    arguments = (tmp_path / "old", "-o", tmp_path / "new", "--production", "same")
    with pytest.raises(DataError, match="duplicates"):
        run(*arguments)
    assert (tmp_path / "new").exists() == kept
    assert not kept or everything_below(tmp_path / "new") == ["notes.txt"]
    run(*arguments, "--set", "duplicates=drop")
    assert len(load_dataset(tmp_path / "new/dataset/split.npz")) == 40 + 60


def test_shards_that_were_written_before_a_broken_file_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(legacy_import, "write_shards", partial(legacy_import.write_shards, images_per_shard=1))
    for stem in ("a", "b", "c"):
        write_clusters(tmp_path / "old", "18", n=3, stem=stem)
    (tmp_path / "old/X/c_planeX.npz").write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        run(tmp_path / "old", "--name", "old")
    assert not (tmp_path / "results/imported/old").exists()


def test_what_makes_an_imported_dataset_known_is_said_and_works(tmp_path):
    write_clusters(tmp_path / "old", "18", n=60)
    line = run(tmp_path / "old", "--name", "es_old", "--set", "duplicates=drop").output.splitlines()[-2]
    path, _, rest = line.partition(" with ")
    content, _, why = rest.rpartition("} ")
    assert why == "lets versions train on it"
    Path(path).write_text(content + "}")
    assert config.load_dataset("es_old").imported
    assert Path(config.dataset_file("split.npz", "es_old")).is_file()
    elsewhere = run(tmp_path / "old", "-o", tmp_path / "new", "--name", "es_old", "--set", "duplicates=drop").output
    assert "lets versions" not in elsewhere


def test_where_to_write_is_said_once_and_nothing_is_overwritten(tmp_path):
    with pytest.raises(UsageError, match=r"where to\? give --name NAME"):
        run("x.npz")
    with pytest.raises(UsageError, match="--name 'Nov 10': a dataset is named with small letters"):
        run("x.npz", "--name", "Nov 10")
    (tmp_path / "results/imported/nov10/image").mkdir(parents=True)
    with pytest.raises(UsageError, match="results/imported/nov10 already holds a dataset"):
        run("x.npz", "--name", "nov10")
    with pytest.raises(UsageError, match="results/imported/nov10 already holds a dataset"):
        run("x.npz", "--name", "nov10", "-o", "results/imported")


def test_two_productions_are_not_mixed_unless_that_is_declared(tmp_path):
    for seed, folder in enumerate(("nov10", "nov11")):
        write_clusters(tmp_path / folder, "18", n=60, stem="es_clusters", seed=seed)
    with pytest.raises(
        DataError,
        match=r"files of 2 productions are mixed: 'nov10/es_clusters' .*'nov11/es_clusters'.* --production TAG",
    ):
        run(tmp_path / "nov10", tmp_path / "nov11", "-o", tmp_path / "mixed")
    declared = ("--set", 'productions=["nov10/*", "nov11/*"]')
    run(tmp_path / "nov10", tmp_path / "nov11", "-o", tmp_path / "declared", *declared)
    run(tmp_path / "nov10", tmp_path / "nov11", "-o", tmp_path / "tagged", "--production", "november")


def exported(split, folder):
    list(write_dense(split, folder, ticks=128, channels=32, waveform="pentagon"))
    return folder


@pytest.mark.parametrize("images_per_shard", [1, 10_000])
def test_images_of_an_export_stay_in_their_splits(images_per_shard, tmp_path, monkeypatch):
    one = partial(legacy_import.write_shards, images_per_shard=images_per_shard)
    monkeypatch.setattr(legacy_import, "write_shards", one)
    split = write_toy_dataset(tmp_path / "toy", 60)
    output = run(exported(split, tmp_path / "dense"), "-o", tmp_path / "new").output
    assert "stay in the splits that the files say: train 30, val 12, calib 5, test 13" in output
    before, after = load_dataset(split), load_dataset(tmp_path / "new/dataset/split.npz")
    found, wanted = np.argsort(after.event_uid), np.argsort(before.event_uid)
    np.testing.assert_array_equal(after.event_uid[found], before.event_uid[wanted])
    np.testing.assert_array_equal(after.split[found], before.split[wanted])
    card = json.loads((tmp_path / "new/dataset/card.json").read_text())
    assert card["splits"]["calib"]["share_asked"] == card["settings"]["split"]["calib"] == pytest.approx(5 / 60)
    assert [entry["tag"] for entry in card["productions"]] == ["toy"], "the splits of one dataset are one production"
    assert {split for file in card["files"] for split in file["splits"]} == {"train", "val", "calib", "test"}


def test_test_events_that_were_exported_are_not_trained_on(tmp_path):
    split = write_toy_dataset(tmp_path / "toy", 60)
    exported(split, tmp_path / "dense")
    for path in (tmp_path / "dense").rglob("*.npz"):
        if "_test_" not in path.name:
            path.unlink()
    run(tmp_path / "dense", "-o", tmp_path / "new")
    assert set(load_dataset(tmp_path / "new/dataset/split.npz").split.tolist()) == {3}
    with pytest.raises(
        UsageError, match=r"--set split\.train=1: the files are of `snpoint export` and say which split"
    ):
        run(tmp_path / "dense", "-o", tmp_path / "other", *(("--set", "split.train=1", "--set", "split.test=0")))
    assert not (tmp_path / "other").exists()
