"""`snpoint import`: which files belong together, what becomes of broken ones, and what is kept on record."""

import errno
import zipfile

import numpy as np
import pytest
from toy_legacy import imported, metadata, toy_images, toy_rows, write_clusters, write_volumes

from snpoint.data.legacy_images import find_groups
from snpoint.data.shards import read_shard, shard_sources
from snpoint.errors import DataError, InputMissingError, UntrustedInputError, UsageError
from snpoint.tools.legacy_import import write_shards


def test_files_of_one_folder_group_by_name(tmp_path):
    for name in ("a_planeU", "a_planeX", "clusters_planeX_batch0000", "clusters_planeU_batch0001", "b"):
        (tmp_path / f"{name}.npz").write_bytes(b"")
    groups = {group.name.split("/")[1]: set(group.files) for group in find_groups([tmp_path])}
    assert groups == {"a": {"U", "X"}, "clusters_batch0000": {"X"}, "clusters_batch0001": {"U"}, "b": {None}}


def test_events_of_two_files_stay_apart_whatever_else_is_imported(tmp_path):
    write_clusters(tmp_path / "old", "18", n=3, stem="a")
    alone = imported(tmp_path / "old", tmp_path / "one")
    write_clusters(tmp_path / "old", "18", n=3, stem="0_first", seed=2)
    both = imported(tmp_path / "old", tmp_path / "two")
    assert len(np.unique(both.event_uid)) == 2
    assert set(alone.event_uid) < set(both.event_uid)
    np.testing.assert_array_equal(both.event_uid & np.uint64(0xFFFFFFFF), both.event)
    np.testing.assert_array_equal(both.event_uid >> np.uint64(44), both.run)


def test_shards_are_cut_by_whole_groups(tmp_path):
    for number in range(3):
        write_clusters(tmp_path / "old", "18", n=3, stem=f"f{number}", seed=number)
    shards = list(write_shards([tmp_path / "old"], tmp_path / "new", images_per_shard=1))
    assert [shard.path.name for shard in shards] == [f"shard_import_{number:04d}.npz" for number in range(3)]
    assert [len(shard_sources(read_shard(path), path)["files"]) for path, _ in shards] == [3, 3, 3]


def test_every_file_is_on_record_with_its_checksum_and_production(tmp_path):
    write_clusters(tmp_path / "nov10", "18", n=3, stem="prodmarley_nue_flat_es_000017_clusters")
    ((path, _),) = write_shards([tmp_path / "nov10"], tmp_path / "new")
    sources = shard_sources(read_shard(path), path)
    assert sources["truth"] == "imported"
    assert {entry["production"] for entry in sources["files"]} == {"nov10/prodmarley_nue_flat_es_clusters"}
    assert all(len(entry["sha256"]) == 64 and entry["problem"] is None for entry in sources["files"])


def test_a_broken_file_stops_the_import_or_is_left_out_with_its_group(tmp_path):
    write_clusters(tmp_path / "old", "18", n=3, stem="good")
    write_clusters(tmp_path / "old", "18", n=3, stem="zero", seed=3)
    (tmp_path / "old/V/zero_planeV.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"zero_planeV\.npz: is empty"):
        list(write_shards([tmp_path / "old"], tmp_path / "one"))
    ((path, _),) = write_shards([tmp_path / "old"], tmp_path / "two", quarantine=True)
    problems = {entry["name"]: entry["problem"] for entry in shard_sources(read_shard(path), path)["files"]}
    assert problems["good_planeX.npz"] is None
    assert "zero_planeV.npz: is empty" in problems["zero_planeX.npz"]


def test_a_file_that_the_file_system_does_not_give_is_never_passed_over(tmp_path, monkeypatch):
    write_clusters(tmp_path / "old", "18", n=3, stem="good")
    write_clusters(tmp_path / "old", "18", n=3, stem="stale", seed=3)
    opened = zipfile.ZipFile.open

    def trouble(archive, *arguments):
        if "stale" in archive.filename:
            raise OSError(errno.ESTALE, "Stale file handle")
        return opened(archive, *arguments)

    monkeypatch.setattr(zipfile.ZipFile, "open", trouble)
    with pytest.raises(InputMissingError, match=r"stale_planeU\.npz: cannot be read \(Stale file handle\)"):
        list(write_shards([tmp_path / "old"], tmp_path / "new", quarantine=True))


def test_an_unsafe_file_is_never_passed_over(tmp_path):
    write_clusters(tmp_path / "old", "18", n=3)
    np.savez(tmp_path / "old/X/evil_planeX.npz", images=np.ones((1, 9, 4)), metadata=np.array([print], object))
    with pytest.raises(UntrustedInputError, match=r"evil_planeX\.npz: 'metadata': .* builtins\.print"):
        list(write_shards([tmp_path / "old"], tmp_path / "new", quarantine=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.full((3, 128, 32), 0.5)}, "were the images scaled"),
        ({"images": np.full((3, 128, 32), np.nan)}, "NaN or infinite"),
        ({"images": np.full((3, 128, 32), -40.0)}, "raw ADC is expected"),
        ({"images": np.full((3, 32, 128), 90.0)}, "more ticks than channels"),
        ({"images": np.full((3, 128), 90.0)}, r"expected numbers \(N, height, width\)"),
        ({"metadata": np.zeros((2, 18))}, r"expected numbers \(3, columns\)"),
        ({"metadata": np.zeros((3, 17))}, "metadata of 17 columns"),
        ({"metadata": np.full((3, 18), np.nan)}, "NaN or infinite"),
        ({"metadata": np.zeros((3, 18))}, r"a file of plane 2 with planes \[0\]"),
        ({"other": np.zeros(3)}, "has no array images and no metadata"),
    ],
)
def test_files_that_are_no_images_are_named(change, message, tmp_path):
    pixels = toy_images(3, 2)
    good = {"images": pixels, "metadata": metadata(toy_rows(3, 2, pixels), "18")}
    np.savez(tmp_path / "bad_planeX.npz", **(change if "other" in change else good | change))
    with pytest.raises(DataError, match=rf"bad(_planeX\.npz)?: .*{message}"):
        list(write_shards([tmp_path / "bad_planeX.npz"], tmp_path / "new"))


def test_a_layout_can_be_named_where_the_values_leave_it_open(tmp_path):
    values = np.zeros((2, 12))
    np.savez(tmp_path / "open_planeU.npz", images=toy_images(2, 0), metadata=values)
    with pytest.raises(DataError, match="12_direction and 12_momentum fit"):
        list(write_shards([tmp_path / "open_planeU.npz"], tmp_path / "new"))
    assert list(write_shards([tmp_path / "open_planeU.npz"], tmp_path / "new", layout="12_momentum"))
    with pytest.raises(UsageError, match="--layout '12': unknown, known are 11, 12_direction"):
        list(write_shards([tmp_path / "open_planeU.npz"], tmp_path / "new", layout="12"))


def test_clusters_and_volumes_make_no_common_dataset(tmp_path):
    write_clusters(tmp_path / "old", "18", n=3)
    write_volumes(tmp_path / "old", n=1)
    with pytest.raises(DataError, match=r"toy_volumes: volumes, .* but the files before: clusters"):
        list(write_shards([tmp_path / "old"], tmp_path / "new"))


def test_nothing_to_import_is_an_error(tmp_path):
    np.savez(tmp_path / "none_planeX.npz", images=np.zeros((0,)), metadata=np.zeros((0,)))
    with pytest.raises(DataError, match="none of 1 files holds an image"):
        list(write_shards([tmp_path / "none_planeX.npz"], tmp_path / "new"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputMissingError, match="holds no NPZ file"):
        list(write_shards([tmp_path / "empty"], tmp_path / "new"))
    with pytest.raises(InputMissingError, match=r"absent\.npz: no such file"):
        list(write_shards([tmp_path / "absent.npz"], tmp_path / "new"))


def with_split(folder, value, **changes):
    """Let the files of a folder say that all their images are of one split."""
    for path in folder.rglob("*.npz"):
        arrays = dict(np.load(path))
        np.savez(path, **arrays, split=np.full(len(arrays["images"]), value, np.uint8), **changes)


def test_splits_of_some_files_alone_are_an_error(tmp_path):
    write_clusters(tmp_path / "old/a", "18", n=3, stem="a")
    with_split(tmp_path / "old/a", 3)
    write_clusters(tmp_path / "old/b", "18", n=3, stem="b", seed=2)
    with pytest.raises(DataError, match=r"b/b: does not say which splits .*; import files of `snpoint export` apart"):
        list(write_shards([tmp_path / "old"], tmp_path / "new"))
    write_clusters(tmp_path / "one", "18", n=3)
    with_split(tmp_path / "one/V", 3)
    with pytest.raises(DataError, match=r"toy_clusters: its planes hold different arrays: .* apart"):
        list(write_shards([tmp_path / "one"], tmp_path / "new"))


def test_splits_that_cannot_be_are_refused(tmp_path):
    write_clusters(tmp_path / "four", "18", n=3)
    with_split(tmp_path / "four", 4)
    with pytest.raises(DataError, match=r"toy_clusters: images of split 4, where 0 to 3 are expected"):
        list(write_shards([tmp_path / "four"], tmp_path / "new"))
    write_clusters(tmp_path / "two", "18", n=3)
    for number, plane in enumerate("UVX"):
        with_split(tmp_path / "two" / plane, number)
    with pytest.raises(DataError, match="planes of the same image that are in different splits"):
        list(write_shards([tmp_path / "two"], tmp_path / "new"))
    write_clusters(tmp_path / "short", "18", n=3)
    path = tmp_path / "short/X/toy_clusters_planeX.npz"
    np.savez(path, **dict(np.load(path)), split=np.zeros(2, np.uint8))
    with pytest.raises(DataError, match=r"planeX\.npz: 'split' is \(2,\) of uint8, expected whole numbers \(3,\)"):
        list(write_shards([tmp_path / "short"], tmp_path / "new"))


def test_a_plane_without_images_has_no_events_on_record(tmp_path):
    write_clusters(tmp_path / "old", "18", n=3)
    for plane in "UV":
        path = tmp_path / f"old/{plane}/toy_clusters_plane{plane}.npz"
        np.savez(path, images=np.zeros((0,)), metadata=np.zeros((0,)))
    ((path, split),) = write_shards([tmp_path / "old"], tmp_path / "new")
    assert split is None
    counts = {entry["name"][-5]: entry["n_events"] for entry in shard_sources(read_shard(path), path)["files"]}
    assert counts == {"U": 0, "V": 0, "X": 1}
