"""`snpoint import`: the command, from files of the predecessor to a dataset that networks are trained on."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from toy_legacy import write_clusters

from snpoint import config
from snpoint.data.shards import load_dataset
from snpoint.errors import DataError, UsageError
from snpoint.plots import dataset as plots
from snpoint.tools import import_, legacy_import

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
    with pytest.raises(DataError, match=r"files of 2 productions are mixed: 'nov10/es_clusters' .*'nov11/es_clusters'"):
        run(tmp_path / "nov10", tmp_path / "nov11", "-o", tmp_path / "mixed")
    declared = ("--set", 'productions=["nov10/*", "nov11/*"]')
    run(tmp_path / "nov10", tmp_path / "nov11", "-o", tmp_path / "declared", *declared)
    run(tmp_path / "nov10", tmp_path / "nov11", "-o", tmp_path / "tagged", "--production", "november")
