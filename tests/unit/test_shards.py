"""Shards, splits and datasets in memory: what is written comes back, and what is broken is refused by name."""

from types import SimpleNamespace

import numpy as np
import pytest
from toy_dataset import shard_arrays

from snpoint.data.shards import (
    Events,
    load_dataset,
    read_shard,
    read_split,
    shard_sources,
    write_shard,
    write_split,
)
from snpoint.errors import DataError, InputMissingError
from snpoint.physics.drawing import draw
from snpoint.provenance import fingerprint


@pytest.fixture
def dataset(tmp_path):
    """Two shards of 20 images, and a split that takes 25 of them in the order of shard and row."""
    names = ["shard_a_0000.npz", "shard_b_0000.npz"]
    shards = [shard_arrays(20), shard_arrays(20, first_event=100)]
    for name, arrays in zip(names, shards, strict=True):
        write_shard(tmp_path / "image" / name, arrays)
    shard, row = (
        np.repeat([0, 1], [10, 15]).astype(np.uint32),
        np.append(np.arange(0, 20, 2), np.arange(15)).astype(np.uint32),
    )
    uid = np.array([shards[s]["event_uid"][r] for s, r in zip(shard, row, strict=True)])
    split = np.resize([0, 0, 1, 2, 3], 25).astype(np.uint8)
    path = tmp_path / "dataset" / "split.npz"
    arrays = {"shards": np.array(names), "shard": shard, "row": row, "event_uid": uid, "split": split}
    arrays["shard_sha256"] = np.array([fingerprint(tmp_path / "image" / name)["sha256"] for name in names])
    write_split(path, arrays)
    return path


def test_shard_comes_back(tmp_path):
    arrays = shard_arrays(12)
    write_shard(tmp_path / "shard.npz", arrays)
    again = read_shard(tmp_path / "shard.npz")
    assert set(again) == {*arrays, "format_version"}
    for key, values in arrays.items():
        np.testing.assert_array_equal(again[key], values)


def test_shard_knows_where_its_images_come_from(tmp_path):
    write_shard(tmp_path / "shard.npz", shard_arrays(3))
    assert shard_sources(read_shard(tmp_path / "shard.npz"), tmp_path / "shard.npz") == {"truth": "backtracker"}


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_sources_that_are_no_object_are_refused(tmp_path, text):
    with pytest.raises(DataError, match=r"shard\.npz: 'sources' is .* run the image stage again"):
        shard_sources(shard_arrays(1) | {"sources": np.array(text)}, tmp_path / "shard.npz")


def test_images_of_one_event_may_be_many(dataset):
    path = dataset.parent.parent / "image" / "shard_b_0000.npz"
    arrays = shard_arrays(20, first_event=100)
    arrays["event_uid"][:] = arrays["event_uid"][0]
    write_shard(path, arrays)
    split = read_split(dataset)
    split["shard_sha256"][1] = fingerprint(path)["sha256"]
    split["event_uid"][split["shard"] == 1] = arrays["event_uid"][0]
    write_split(dataset, split)
    events = load_dataset(dataset)
    assert len(np.unique(events.event_uid)) == 11
    assert len(np.unique(events.fingerprint)) == 25


def test_shard_can_be_memory_mapped_member_by_member(tmp_path):
    write_shard(tmp_path / "shard.npz", shard_arrays(12))
    import zipfile

    with zipfile.ZipFile(tmp_path / "shard.npz") as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_wrong_dtype_is_not_written(tmp_path):
    arrays = shard_arrays(12)
    arrays["tick"] = arrays["tick"].astype(np.int64)
    with pytest.raises(DataError, match="'tick' has dtype i8"):
        write_shard(tmp_path / "shard.npz", arrays)
    assert list(tmp_path.iterdir()) == []


def test_broken_shards_are_named(tmp_path):
    with pytest.raises(InputMissingError, match=r"shard\.npz: no such file"):
        read_shard(tmp_path / "shard.npz")
    write_shard(tmp_path / "shard.npz", shard_arrays(12))
    content = (tmp_path / "shard.npz").read_bytes()
    for share in (0.0, 0.3, 0.9, 0.999):
        (tmp_path / "cut.npz").write_bytes(content[: int(share * len(content))])
        with pytest.raises(DataError, match=r"cut\.npz: not an NPZ file"):
            read_shard(tmp_path / "cut.npz")


def test_offsets_that_do_not_count_the_tps_are_refused(tmp_path):
    arrays = shard_arrays(12)
    arrays["offsets"] = arrays["offsets"].copy()
    arrays["offsets"][-1] -= 1
    write_shard(tmp_path / "shard.npz", arrays)
    with pytest.raises(DataError, match="'offsets' do not count"):
        read_shard(tmp_path / "shard.npz")


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "shard.npz", tick=np.array([{}], object))
    with pytest.raises(DataError, match="not a readable NPZ"):
        read_shard(tmp_path / "shard.npz")


def test_dataset_holds_the_images_of_its_split(dataset):
    events = load_dataset(dataset)
    assert isinstance(events, Events)
    assert len(events) == 25
    assert events.event.tolist() == [*range(0, 20, 2), *range(100, 115)]
    assert events.offsets[-1] == len(events.tick)


def test_images_are_drawn_alike_from_shard_and_dataset(dataset):
    events = load_dataset(dataset, ("val", "test"))
    assert set(events.split.tolist()) == {1, 3}
    for row, uid in enumerate(events.event_uid):
        arrays = shard_arrays(20, first_event=100 if uid & 0xFFFF >= 100 else 0)
        own = SimpleNamespace(**arrays)
        at = int(np.flatnonzero(arrays["event_uid"] == uid)[0])
        np.testing.assert_array_equal(draw(events, [row], 128, 32), draw(own, [at], 128, 32))
        np.testing.assert_array_equal(events.direction[row], arrays["direction"][at])


def test_dataset_knows_its_frame(dataset):
    events = load_dataset(dataset).take([1, 2])
    assert (events.orientation, events.detector) == ("canonical", "fdhd_1x2x2")
    assert type(events.orientation) is str


@pytest.mark.parametrize(("key", "value"), [("orientation", "predecessor"), ("detector", "other")])
def test_shards_of_two_frames_are_no_dataset(dataset, key, value):
    path = dataset.parent.parent / "image" / "shard_b_0000.npz"
    write_shard(path, shard_arrays(20, first_event=100) | {key: np.array(value)})
    split = read_split(dataset)
    split["shard_sha256"][1] = fingerprint(path)["sha256"]
    write_split(dataset, split)
    with pytest.raises(DataError, match=rf"shard_b_0000\.npz: '{key}' is {value}, but .* in shard_a_0000\.npz"):
        load_dataset(dataset)


def test_taking_rows_keeps_each_image_whole(dataset):
    events = load_dataset(dataset)
    rows = [7, 3, 3, 24]
    np.testing.assert_array_equal(draw(events.take(rows), range(4), 64, 16), draw(events, rows, 64, 16))
    assert events.take([]).offsets.tolist() == [0]
    assert len(events.of_split("train")) + len(events.of_split("val", "calib", "test")) == 25


def test_split_with_no_images_of_the_wanted_kind_is_empty(dataset, tmp_path):
    split = read_split(dataset)
    del split["format_version"]
    split["split"][:] = 3
    write_split(dataset, split)
    events = load_dataset(dataset, ("train",))
    assert len(events) == 0
    assert events.offsets.tolist() == [0]


def test_shard_that_was_made_anew_is_refused(dataset):
    write_shard(dataset.parent.parent / "image" / "shard_b_0000.npz", shard_arrays(20, first_event=300))
    with pytest.raises(DataError, match=r"shard_b_0000\.npz: is not the shard that .* run the dataset stage again"):
        load_dataset(dataset)


def test_missing_shard_is_named(dataset):
    (dataset.parent.parent / "image" / "shard_b_0000.npz").unlink()
    with pytest.raises(InputMissingError, match=r"shard_b_0000\.npz"):
        load_dataset(dataset)
