"""Columns of the predecessor's metadata: every layout is told from the others, and read by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_legacy import MOMENTUM_GEV, metadata, toy_images, toy_rows

from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.legacy_layouts import (
    LAYOUTS,
    NO_EVENT,
    NO_MATCHES,
    named_clusters,
    named_volumes,
    recognize,
)
from snpoint.settings import PREDECESSOR_ADC_PER_MEV

KINETIC_MEV = np.hypot(1e3 * MOMENTUM_GEV, ELECTRON_MASS_MEV) - ELECTRON_MASS_MEV


def made(layout, plane=2, n=12):
    pixels = toy_images(n, plane)
    rows = toy_rows(n, plane, pixels)
    return metadata(rows, layout).astype(np.float64), pixels.sum(axis=(1, 2)), rows


def test_the_last_layout_is_that_of_the_reference():
    columns = dict(enumerate(LAYOUTS["18"]))
    assert columns[0] == "event"
    assert [columns[i] for i in (1, 2, 3)] == ["is_marley", "is_main", "is_es"]
    assert [columns[i] for i in (7, 8, 9)] == ["px_gev", "py_gev", "pz_gev"]
    assert [columns[i] for i in (10, 11, 12, 13)] == ["cluster_energy_mev", "particle_energy_mev", "plane", "match_id"]
    assert columns[14] == "neutrino_energy_mev"
    assert {name.split("_")[0]: len(columns) for name, columns in LAYOUTS.items()} == {
        str(n): n for n in (11, 12, 13, 14, 15, 18)
    }


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("plane", [0, 1, 2])
def test_every_layout_is_recognized(layout, plane):
    values, adc, _ = made(layout, plane)
    assert recognize(values, adc) == layout


@pytest.mark.parametrize("layout", LAYOUTS)
def test_columns_are_read_by_name(layout):
    values, _, rows = made(layout)
    found = named_clusters(values, layout)
    marley = rows["is_marley"]
    direction = np.stack([rows[f"d{axis}"] for axis in "xyz"], axis=1)
    np.testing.assert_allclose(found["direction"][marley], direction[marley], atol=1e-6)
    assert np.isnan(found["direction"][~marley]).all(), "no momentum is no direction, not (0, 0, 0)"
    assert np.isnan(found["vertex_cm"][~marley]).all()
    np.testing.assert_allclose(found["vertex_cm"][marley, 1], rows["y_cm"][marley], rtol=1e-6)
    np.testing.assert_array_equal(found["is_main"], rows["is_main"])
    assert (found["plane"] == 2).all()
    expected = rows["event"] if "event" in LAYOUTS[layout] else np.full(12, NO_EVENT)
    np.testing.assert_array_equal(found["event"], expected)
    expected = rows["match_id"] if "match_id" in LAYOUTS[layout] else np.full(12, NO_MATCHES)
    np.testing.assert_array_equal(found["match_id"], expected)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_true_energy_is_that_of_the_momentum_and_never_the_column_from_adc(layout):
    values, _, rows = made(layout)
    energy = named_clusters(values, layout)["energy_true_mev"]
    if "px_gev" in LAYOUTS[layout]:
        np.testing.assert_allclose(energy[rows["is_marley"]], KINETIC_MEV, rtol=1e-5)
        assert np.isnan(energy[~rows["is_marley"]]).all()
    else:
        assert np.isnan(energy).all()


def test_interactions_need_a_column_for_them():
    values, _, rows = made("18")
    kinds = np.where(rows["is_marley"], np.where(rows["is_es"], 1, 2), 0)
    np.testing.assert_array_equal(named_clusters(values, "18")["interaction"], kinds)
    values, _, rows = made("11")
    np.testing.assert_array_equal(named_clusters(values, "11")["interaction"], np.where(rows["is_marley"], 255, 0))


def test_energies_that_are_not_known_are_nan():
    values, adc, rows = made("18")
    found = named_clusters(values, "18")
    np.testing.assert_array_equal(np.isnan(found["neutrino_energy_mev"]), ~rows["is_marley"])
    np.testing.assert_allclose(found["energy_reco_mev"], adc / PREDECESSOR_ADC_PER_MEV[2], rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found["neutrino_direction"][rows["is_marley"]], axis=1), 1)
    assert np.isnan(named_clusters(made("13_neutrino")[0], "13_neutrino")["energy_reco_mev"]).all()


def test_an_unknown_number_of_columns_is_named():
    with pytest.raises(ValueError, match="metadata of 17 columns; known are 11, 12, 13, 14, 15, 18"):
        recognize(np.zeros((3, 17)), np.zeros(3))


def test_shifted_columns_are_refused():
    values, adc, _ = made("14")
    with pytest.raises(ValueError, match="of layout 14, but none of them fits the values"):
        recognize(np.roll(values, 1, axis=1), adc)


def test_two_layouts_that_both_fit_are_not_guessed():
    values = np.zeros((3, 12))
    with pytest.raises(ValueError, match="12_direction and 12_momentum fit the values; name it with --layout"):
        recognize(values, np.zeros(3))


def test_without_images_the_energy_of_13_columns_is_not_guessed():
    values, _, _ = made("13_cluster")
    with pytest.raises(ValueError, match="13_neutrino and 13_cluster fit"):
        recognize(values, None)


@given(st.lists(st.sampled_from(["ES", "CC", "Background", "UNKNOWN"]), min_size=1, max_size=4))
def test_volumes_are_read_from_their_records(kinds):
    records = [
        {"event": 5 + i, "plane": "UVX"[i % 3], "interaction_type": kind, "main_track_momentum_x": 0.03}
        | {"main_track_momentum_y": 0.0, "main_track_momentum_z": 0.04, "cluster_energy": 4.5, "particle_energy": 99.0}
        for i, kind in enumerate(kinds)
    ]
    found = named_volumes(records)
    codes = {"ES": 1, "CC": 2, "Background": 0, "UNKNOWN": 255}
    assert found["interaction"].tolist() == [codes[kind] for kind in kinds]
    np.testing.assert_allclose(found["direction"], [[0.6, 0, 0.8]] * len(kinds))
    np.testing.assert_allclose(found["energy_true_mev"], np.hypot(50, ELECTRON_MASS_MEV) - ELECTRON_MASS_MEV)
    assert np.isnan(found["neutrino_energy_mev"]).all(), "records of before 18 November have no neutrino"
    assert (found["match_id"] == NO_MATCHES).all()


@pytest.mark.parametrize("wrong", [{"event": None}, {"plane": "W"}, {"main_track_momentum_x": "fast"}])
def test_a_record_that_is_no_volume_is_named(wrong):
    record = {"event": 1, "plane": "X", "interaction_type": "ES", "main_track_momentum_x": 0.1} | wrong
    with pytest.raises(ValueError, match="metadata of a volume"):
        named_volumes([record])
