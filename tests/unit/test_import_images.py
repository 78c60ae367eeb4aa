"""`snpoint import`: images of the predecessor keep their planes, truth and pixels."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from toy_legacy import LAYOUTS, PLANES, imported, metadata, toy_images, toy_rows, write_clusters, write_volumes

from snpoint.physics.drawing import draw
from snpoint.physics.legacy_images import Dense, check_pixels, pair, shard_arrays
from snpoint.physics.legacy_layouts import named_clusters

pixel = st.one_of(st.just(0.0), st.floats(2, 2**20, width=32))


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
