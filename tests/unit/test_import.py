"""`snpoint import`: images of the predecessor become a dataset, with their planes, truth and pixels."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from toy_legacy import LAYOUTS, PLANES, metadata, toy_images, toy_rows, write_clusters, write_volumes

from snpoint.data.legacy_images import find_groups
from snpoint.data.shards import load_dataset, read_shard, shard_sources
from snpoint.errors import DataError, InputMissingError, UntrustedInputError, UsageError
from snpoint.physics.drawing import draw
from snpoint.physics.legacy_images import Dense, check_pixels, pair, shard_arrays
from snpoint.physics.legacy_layouts import named_clusters
from snpoint.plots import dataset as plots
from snpoint.tools import import_
from snpoint.tools.legacy import write_shards

REPOSITORY = Path(__file__).parents[2]
pixel = st.one_of(st.just(0.0), st.floats(2, 2**20, width=32))


def imported(folder: Path, out: Path, **how) -> SimpleNamespace:
    shards = list(write_shards([folder], out, **how))
    return SimpleNamespace(**read_shard(shards[0]), paths=shards)


def drawn(shard, row, plane, size=(128, 32)):
    return draw(shard, [row], *size)[0, plane]


def row_of(shard, pixels, plane):
    """The image that shows these pixels on this plane."""
    size = pixels.shape
    (row,) = [i for i in range(len(shard.event_uid)) if (drawn(shard, i, plane, size) == np.rint(pixels)).all()]
    return row


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(128, 16), (128, 32)])
def test_every_image_of_every_layout_is_drawn_as_it_was(layout, size, tmp_path):
    made = write_clusters(tmp_path / "old", layout, n=6, size=size)
    shard = imported(tmp_path / "old", tmp_path / "new")
    assert (str(shard.orientation), str(shard.detector)) == ("predecessor", "fdhd_1x2x2")
    for plane, name in enumerate(PLANES):
        for pixels in made[name][0]:
            row_of(shard, pixels, plane)
    n_planes = int((np.diff(shard.offsets) > 0).sum())
    assert n_planes == 18, "each plane of each cluster is in one image"
    assert (shard.samples_over_threshold == 1).all()


def test_planes_are_put_together_by_event_and_match_number(tmp_path):
    made = write_clusters(tmp_path / "old", "18", n=6)
    shard = imported(tmp_path / "old", tmp_path / "new")
    match_id = made["X"][1]["match_id"]
    assert (match_id >= 0).sum() == 4
    assert len(shard.event_uid) == 4 + 3 * 2, "what has no match stays single"
    for number in range(6):
        rows = {row_of(shard, made[name][0][number], plane) for plane, name in enumerate(PLANES)}
        assert len(rows) == (1 if match_id[number] >= 0 else 3)


def test_without_match_numbers_main_clusters_of_an_event_go_together(tmp_path):
    made = write_clusters(tmp_path / "old", "13_cluster", n=6)
    shard = imported(tmp_path / "old", tmp_path / "new")
    for number in range(6):
        rows = {row_of(shard, made[name][0][number], plane) for plane, name in enumerate(PLANES)}
        assert len(rows) == (1 if made["X"][1]["is_main"][number] else 3)


def test_a_match_number_that_was_given_twice_joins_no_plane_twice():
    rows = {"event": np.array([1, 1, 1, 2]), "match_id": np.array([4, 4, 4, 4]), "plane": np.array([2, 0, 2, 2])}
    image, n = pair(rows | {"is_main": np.zeros(4, bool)})
    assert image.tolist() == [0, 0, 1, 2]
    assert n == 3


def test_truth_and_energies_come_along(tmp_path):
    made = write_clusters(tmp_path / "old", "18", n=6)
    shard = imported(tmp_path / "old", tmp_path / "new")
    pixels, rows = made["X"]
    for number in range(6):
        row = row_of(shard, pixels[number], 2)
        momentum = np.array([rows[f"p{axis}_gev"][number] for axis in "xyz"])
        if rows["is_marley"][number]:
            np.testing.assert_allclose(shard.direction[row], momentum / np.linalg.norm(momentum), atol=1e-6)
            assert shard.neutrino_energy_mev[row] == pytest.approx(30.25)
        else:
            assert np.isnan(shard.direction[row]).all()
        assert shard.energy_reco_mev[row, 2] == pytest.approx(rows["cluster_energy_mev"][number], rel=1e-6)
        assert shard.event[row] == rows["event"][number]
        assert shard.is_main[row] == rows["is_main"][number]
    assert (shard.apa == 255).all()
    assert (shard.face == 0).all()


def test_energies_that_a_layout_lacks_come_from_the_pixels(tmp_path):
    made = write_clusters(tmp_path / "old", "11", n=3)
    shard = imported(tmp_path / "old", tmp_path / "new")
    row = row_of(shard, made["U"][0][1], 0)
    assert shard.energy_reco_mev[row].tolist() == pytest.approx([made["U"][0][1].sum() / 900, 0, 0])


def test_volumes_are_turned_to_time_by_channel(tmp_path):
    made = write_volumes(tmp_path / "old", n=3)
    shard = imported(tmp_path / "old", tmp_path / "new")
    assert len(shard.event_uid) == 3
    assert shard.interaction.tolist() == [1, 2, 0]
    assert shard.energy_reco_mev[0].tolist() == [12.5, 13.5, 14.5]
    np.testing.assert_allclose(shard.direction, np.eye(3), atol=1e-7)
    for plane, name in enumerate(PLANES):
        np.testing.assert_array_equal(drawn(shard, 1, plane, (1242, 208)), made[name][0][1].T)


def test_old_files_of_one_volume_are_read(tmp_path):
    pixels = np.zeros((208, 1242), np.float32)
    pixels[100, 600:620] = 90
    record = {"event": 3, "plane": "X", "interaction_type": "CC"}
    np.savez(tmp_path / "one_planeX.npz", image=pixels, metadata=np.array([record], object))
    shard = imported(tmp_path / "one_planeX.npz", tmp_path / "new")
    np.testing.assert_array_equal(drawn(shard, 0, 2, (1242, 208)), pixels.T)


def test_files_of_matched_planes_are_read(tmp_path):
    images = {f"images_{name.lower()}": toy_images(4, plane, size=(128, 16)) for plane, name in enumerate(PLANES)}
    rows = toy_rows(4, 2, images["images_x"])
    np.savez(tmp_path / "matched.npz", **images, metadata=metadata(rows, "14"), match_ids=np.array([4, 5, 6, 7]))
    shard = imported(tmp_path / "matched.npz", tmp_path / "new")
    assert len(shard.event_uid) == 4
    for plane, key in enumerate(images):
        np.testing.assert_array_equal(drawn(shard, 2, plane, (128, 16)), images[key][2])
    np.testing.assert_allclose(shard.energy_reco_mev[:, 2], rows["cluster_energy_mev"], rtol=1e-6)
    np.testing.assert_allclose(shard.energy_reco_mev[:, 0], images["images_u"].sum(axis=(1, 2)) / 900, rtol=1e-6)


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
    assert [path.name for path in shards] == [f"shard_import_{number:04d}.npz" for number in range(3)]
    assert [len(shard_sources(read_shard(path), path)["files"]) for path in shards] == [3, 3, 3]


def test_every_file_is_on_record_with_its_checksum_and_production(tmp_path):
    write_clusters(tmp_path / "nov10", "18", n=3, stem="prodmarley_nue_flat_es_000017_clusters")
    (path,) = write_shards([tmp_path / "nov10"], tmp_path / "new")
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
    (path,) = write_shards([tmp_path / "old"], tmp_path / "two", quarantine=True)
    problems = {entry["name"]: entry["problem"] for entry in shard_sources(read_shard(path), path)["files"]}
    assert problems["good_planeX.npz"] is None
    assert "zero_planeV.npz: is empty" in problems["zero_planeX.npz"]


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


def test_images_without_a_pixel_are_left_out(tmp_path):
    pixels = toy_images(3, 2)
    rows = toy_rows(3, 2, pixels)
    pixels[1] = 0
    np.savez(tmp_path / "a_planeX.npz", images=pixels, metadata=metadata(rows, "18"))
    shard = imported(tmp_path / "a_planeX.npz", tmp_path / "new")
    assert len(shard.event_uid) == 2
    assert (np.diff(shard.offsets)[2::3] > 0).all()


def test_copies_have_one_fingerprint_and_others_their_own(tmp_path):
    pixels = toy_images(3, 2)
    pixels[2] = np.roll(pixels[0], 3, axis=0)
    np.savez(tmp_path / "a_planeX.npz", images=pixels, metadata=metadata(toy_rows(3, 2, pixels), "11"))
    shard = imported(tmp_path / "a_planeX.npz", tmp_path / "new")
    first, second, third = shard.fingerprint
    assert first == third != second, "when an image was taken does not tell it from its copy"


@settings(deadline=None, max_examples=30)
@given(arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(5, 40), st.integers(1, 4)), elements=pixel))
def test_any_image_is_drawn_as_it_was(pixels):
    n = len(pixels)
    rows = named_clusters(metadata(toy_rows(n, 1, pixels), "18"), "18") | {"match_id": np.full(n, -1)}
    shard = SimpleNamespace(**shard_arrays(Dense(pixels, rows), 7))
    filled = pixels.max(axis=(1, 2)) >= 0.5
    assert len(shard.event_uid) == filled.sum()
    found = draw(shard, range(filled.sum()), *pixels.shape[1:])
    np.testing.assert_array_equal(found[:, 1], np.where(pixels >= 0.5, np.rint(pixels), 0)[filled])
    assert (found[:, [0, 2]] == 0).all()


def test_no_pixels_are_legal_pixels():
    check_pixels(np.zeros((0, 128, 32)))
    check_pixels(np.zeros((2, 128, 32)))


def test_nothing_to_import_is_an_error(tmp_path):
    np.savez(tmp_path / "none_planeX.npz", images=np.zeros((0,)), metadata=np.zeros((0,)))
    with pytest.raises(DataError, match="none of 1 files holds an image"):
        list(write_shards([tmp_path / "none_planeX.npz"], tmp_path / "new"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputMissingError, match="holds no NPZ file"):
        list(write_shards([tmp_path / "empty"], tmp_path / "new"))
    with pytest.raises(InputMissingError, match=r"absent\.npz: no such file"):
        list(write_shards([tmp_path / "absent.npz"], tmp_path / "new"))


def run(*arguments, code=0):
    result = CliRunner().invoke(import_.command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_the_command_writes_a_dataset_that_is_loaded_for_training(tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(plots, "png_uri", lambda _: "data:image/png;base64,")
    write_clusters(tmp_path / "old", "18", n=60)
    result = run(tmp_path / "old", "-o", tmp_path / "new", "--set", "duplicates=drop")
    assert result.output.splitlines()[-1] == str(tmp_path / "new/dataset/split.npz")
    events = load_dataset(tmp_path / "new/dataset/split.npz")
    assert events.orientation == "predecessor"
    assert len(events) == 40 + 60
    assert set(events.split.tolist()) == {0, 1, 2, 3}
    assert json.loads((tmp_path / "new/dataset/card.json").read_text())["splits"]
    assert json.loads((tmp_path / "new/dataset/provenance.json").read_text())["state"] == "ok"


def test_where_to_write_is_said_once_and_nothing_is_overwritten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"where to\? give --name NAME"):
        run("x.npz")
    with pytest.raises(UsageError, match="--name 'Nov 10': a dataset is named with small letters"):
        run("x.npz", "--name", "Nov 10")
    (tmp_path / "results/imported/nov10/image").mkdir(parents=True)
    with pytest.raises(UsageError, match="results/imported/nov10 already holds a dataset"):
        run("x.npz", "--name", "nov10")
    with pytest.raises(UsageError, match="results/imported/nov10 already holds a dataset"):
        run("x.npz", "--name", "nov10", "-o", "results/imported")


def test_two_productions_are_not_mixed_unless_that_is_declared(tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(plots, "png_uri", lambda _: "data:image/png;base64,")
    for seed, folder in enumerate(("nov10", "nov11")):
        write_clusters(tmp_path / folder, "18", n=60, stem="es_clusters", seed=seed)
    with pytest.raises(DataError, match=r"files of 2 productions are mixed: 'nov10/es_clusters' .*'nov11/es_clusters'"):
        run(tmp_path / "nov10", tmp_path / "nov11", "-o", tmp_path / "mixed")
    declared = ("--set", 'productions=["nov10/*", "nov11/*"]')
    run(tmp_path / "nov10", tmp_path / "nov11", "-o", tmp_path / "declared", *declared)
    run(tmp_path / "nov10", tmp_path / "nov11", "-o", tmp_path / "tagged", "--production", "november")
