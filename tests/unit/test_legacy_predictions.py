"""Predictions of the predecessor's networks as a table of ours."""

import numpy as np
import pytest
from toy_legacy import metadata, toy_images, toy_rows

from snpoint.physics.legacy_predictions import predictions_of

N, TEST = 12, 3


def old(layout="18", **changes):
    """Arrays as its trainers saved them: labels are the normalized momenta of the metadata."""
    pixels = toy_images(N, 2)
    rows = toy_rows(N, 2, pixels)
    true = np.stack([rows[f"d{axis}"] for axis in "xyz"], axis=1).astype(np.float32)
    predicted = np.roll(true, 1, axis=1)
    predicted[~rows["is_marley"]] = (0, 0, 1)
    cosines = np.clip((predicted * true).sum(axis=1), -1, 1)
    arrays = {
        "predictions": predicted,
        "true_directions": true,
        "angular_errors": np.degrees(np.arccos(cosines)),
        "energies": rows["cluster_energy_mev"].astype(np.float32),
        "metadata": metadata(rows, layout),
    }
    return {key: value for key, value in (arrays | changes).items() if value is not None}, rows


def test_all_events_become_test_events_with_what_the_metadata_knows():
    arrays, rows = old()
    table, said = predictions_of(arrays, TEST)
    marley = rows["is_marley"]
    assert set(table["split"]) == {TEST}
    np.testing.assert_array_equal(table["event_uid"], rows["event"])
    np.testing.assert_allclose(table["direction_true"][marley], arrays["true_directions"][marley], atol=1e-6)
    assert np.isnan(table["direction_true"][~marley]).all(), "a label of length 0 is no direction"
    np.testing.assert_allclose(table["energy_reco_mev"][:, 2], rows["cluster_energy_mev"], rtol=1e-6)
    assert (table["energy_reco_mev"][:, :2] == 0).all()
    assert np.isfinite(table["energy_true_mev"][marley]).all()
    for key in ("axis", "kappa", "head_probability"):
        assert np.isnan(table[key]).all()
    assert said == {"n": N, "without_truth": 4, "metadata": "18", "labels_off_momentum": 0} | {
        "largest_change_deg": pytest.approx(0, abs=0.05)
    }


@pytest.mark.parametrize("layout", ["11", "12_direction", "12_momentum", "13_cluster", "14", "15"])
def test_metadata_of_all_layouts_is_used(layout):
    _, said = predictions_of(old(layout)[0], TEST)
    assert said["metadata"] == ("13" if layout == "13_cluster" else layout)
    assert said["labels_off_momentum"] == 0


@pytest.mark.parametrize("layout", ["11", "12_momentum", "13_cluster"])
def test_energies_are_no_energies_where_their_column_held_something_else(layout):
    table, _ = predictions_of(old(layout)[0], TEST)
    assert (table["energy_reco_mev"] == 0).all()


def test_energies_without_metadata_are_those_of_the_x_plane():
    arrays, rows = old(metadata=None)
    table, said = predictions_of(arrays, TEST)
    np.testing.assert_allclose(table["energy_reco_mev"][:, 2], rows["cluster_energy_mev"], rtol=1e-6)
    assert said["metadata"] == "none"
    assert said["labels_off_momentum"] is None
    assert set(table["interaction"]) == {255}
    assert table["event_uid"].tolist() == list(range(N))


def test_labels_that_are_positions_are_counted():
    arrays, rows = old()
    arrays["true_directions"] = np.stack([rows[f"{axis}_cm"] for axis in "xyz"], axis=1)
    assert predictions_of(arrays, TEST)[1]["labels_off_momentum"] == rows["is_marley"].sum()


def test_the_other_names_and_lengths_are_taken():
    arrays, _ = old()
    other = {"y_pred": 1e3 * arrays["predictions"], "y_true": 0.02 * arrays["true_directions"]}
    table, _ = predictions_of(other, TEST)
    np.testing.assert_allclose(np.linalg.norm(table["direction_pred"], axis=1), 1, atol=1e-6)
    expected = predictions_of(arrays, TEST)[0]
    np.testing.assert_allclose(table["direction_true"], expected["direction_true"], atol=1e-6)


def test_records_of_volumes_are_metadata():
    records = [
        {"event": 4, "plane": "X", "interaction_type": "ES", "cluster_energy": 8.5}
        | {f"main_track_momentum_{axis}": 0.02 * (axis == "y") for axis in "xyz"}
    ]
    arrays = {"predictions": np.eye(3)[:1], "true_directions": np.eye(3)[1:2], "metadata": np.array(records, object)}
    table, said = predictions_of(arrays, TEST)
    assert (said["metadata"], said["labels_off_momentum"]) == ("volumes", 0)
    assert table["energy_reco_mev"].tolist() == [[0, 0, 8.5]]
    assert table["interaction"].tolist() == [1]


@pytest.mark.parametrize("wrong", [np.zeros((N, 17)), np.zeros((N - 1, 18)), np.array([1] * N, object)])
def test_metadata_that_cannot_be_read_for_certain_is_not_used(wrong):
    table, said = predictions_of(old(metadata=wrong)[0], TEST)
    assert said["metadata"].startswith("not used: ")
    assert (table["energy_reco_mev"] == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predictions": np.zeros((N, 3))}, "12 of 12 predicted directions that are 0"),
        ({"predictions": np.full((N, 3), np.nan)}, "12 of 12 predicted directions"),
        ({"predictions": np.ones((N, 2))}, r"'predictions' of shape \(12, 2\)"),
        ({"predictions": np.ones((5, 3))}, "5 predicted and 12 true directions"),
        ({"true_directions": None}, "no array 'true_directions'"),
        ({"predictions": np.ones((0, 3)), "true_directions": np.ones((0, 3))}, "0 predicted and 0 true"),
    ],
)
def test_files_of_no_direction_network_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        predictions_of(old(**change)[0], TEST)
