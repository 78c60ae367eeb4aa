"""`snpoint export` of a dataset: dense images with every column right, and the way back."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from toy_images import toy_arrays, write_toy_dataset

from snpoint import provenance
from snpoint.data.legacy_npz import read_legacy_npz
from snpoint.data.shards import load_dataset, read_shard
from snpoint.errors import InputMissingError, UsageError
from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.drawing import draw
from snpoint.physics.geometry import load_detector
from snpoint.physics.legacy_layouts import named_clusters, recognize
from snpoint.physics.legacy_metadata import EXACT, metadata
from snpoint.tools import legacy_export
from snpoint.tools.legacy_export import write_dense
from snpoint.tools.legacy_import import write_shards

PLANES = ("U", "V", "X")


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return write_toy_dataset(tmp_path_factory.mktemp("toy") / "tracks", 60)


def exported(split, folder, **how):
    options = {"ticks": 128, "channels": 32, "waveform": "pentagon"} | how
    return dict(write_dense(split, folder, **options))


def test_each_split_and_plane_has_its_file_and_rows_go_together(split, tmp_path):
    files = exported(split, tmp_path)
    assert {str(path.relative_to(tmp_path)): count for path, count in files.items()} == {
        f"{plane}/tracks_{name}_0000_plane{plane}.npz": count
        for name, count in (("train", 30), ("val", 12), ("calib", 5), ("test", 13))
        for plane in PLANES
    }
    planes = [read_legacy_npz(tmp_path / plane / f"tracks_val_0000_plane{plane}.npz") for plane in PLANES]
    for plane, arrays in enumerate(planes):
        assert arrays["images"].shape == (12, 128, 32)
        assert arrays["images"].dtype == arrays["metadata"].dtype == np.float32
        assert arrays["metadata"].shape == (12, 18)
        assert (arrays["metadata"][:, 12] == plane).all()
        np.testing.assert_array_equal(arrays["metadata"][:, [0, 13]], planes[0]["metadata"][:, [0, 13]])


def test_large_splits_are_cut_into_files(split, tmp_path):
    files = exported(split, tmp_path, images_per_file=20)
    assert [count for path, count in files.items() if "train" in path.name and "planeX" in path.name] == [20, 10]


def test_all_eighteen_columns_are_right(split, tmp_path):
    exported(split, tmp_path)
    arrays = read_legacy_npz(tmp_path / "X/tracks_test_0000_planeX.npz")
    events = load_dataset(split, ("test",))
    columns = arrays["metadata"].astype(np.float64)
    np.testing.assert_array_equal(columns[:, 0], events.event)
    assert (columns[:, 1:4] == 1).all(), "marley, main, ES"
    np.testing.assert_array_equal(columns[:, 4:7], events.vertex_cm)
    total = np.hypot(1e3 * np.linalg.norm(columns[:, 7:10], axis=1), ELECTRON_MASS_MEV)
    np.testing.assert_allclose(total - ELECTRON_MASS_MEV, events.energy_true_mev, rtol=1e-5)
    np.testing.assert_allclose(
        columns[:, 7:10] / np.linalg.norm(columns[:, 7:10], axis=1)[:, None], events.direction, atol=1e-6
    )
    np.testing.assert_array_equal(columns[:, 10], events.energy_reco_mev[:, 2])
    np.testing.assert_array_equal(columns[:, 11], events.energy_true_mev)
    assert (columns[:, 12] == 2).all()
    assert columns[:, 13].tolist() == list(range(len(events)))
    np.testing.assert_array_equal(columns[:, 14], events.neutrino_energy_mev)
    momentum = events.neutrino_direction * events.neutrino_energy_mev[:, None] / 1e3
    np.testing.assert_allclose(columns[:, 15:18], momentum, atol=1e-7)


def test_what_is_not_known_is_written_as_the_predecessor_did():
    arrays = toy_arrays(3)
    arrays["direction"][1] = arrays["energy_true_mev"][1] = np.nan
    arrays["neutrino_energy_mev"][1] = arrays["neutrino_direction"][1] = arrays["vertex_cm"][1] = np.nan
    arrays["interaction"][:] = (1, 0, 2)
    arrays["is_main"][1] = 0
    rows = metadata(SimpleNamespace(**arrays), 0)
    assert np.isfinite(rows).all()
    assert rows[:, 1].tolist() == [1, 0, 1]
    assert rows[:, 2].tolist() == [1, 0, 1]
    assert rows[:, 3].tolist() == [1, 0, 0]
    assert rows[1, [4, 5, 6, 7, 8, 9, 15, 16, 17]].tolist() == [0] * 9
    assert rows[1, [11, 14]].tolist() == [-1, -1]


def test_columns_are_those_that_the_import_recognizes():
    rows = metadata(SimpleNamespace(**toy_arrays(5)), 1).astype(np.float64)
    assert recognize(rows, np.zeros(5)) == "18"
    assert named_clusters(rows, "18")["plane"].tolist() == [1] * 5


def test_more_images_than_a_float_can_number_are_refused():
    with pytest.raises(ValueError, match="cannot be numbered as float32"):
        metadata(SimpleNamespace(event=range(EXACT)), 0)


@pytest.mark.parametrize("waveform", ["pentagon", "triangle"])
@pytest.mark.parametrize("orientation", ["canonical", "predecessor"])
def test_export_and_import_give_the_same_images_and_truth(orientation, waveform, tmp_path):
    split = write_toy_dataset(tmp_path / "toy", 30, orientation=orientation)
    exported(split, tmp_path / "dense", waveform=waveform)
    (path,) = write_shards([tmp_path / "dense"], tmp_path / "back")
    back, events = SimpleNamespace(**read_shard(path)), load_dataset(split)
    assert str(back.orientation) == orientation
    found, wanted = np.argsort(back.event_uid), np.argsort(events.event_uid)
    np.testing.assert_array_equal(back.event_uid[found], events.event_uid[wanted])
    pixels, expected = draw(back, found, 128, 32), draw(events, wanted, 128, 32, waveform)
    assert np.abs(pixels - expected).max() <= 0.5
    assert expected.max() > 50
    for key in ("direction", "vertex_cm", "energy_true_mev", "energy_reco_mev", "neutrino_direction", "interaction",
                "neutrino_energy_mev", "is_main", "run", "subrun", "event"):  # fmt: skip
        np.testing.assert_allclose(getattr(back, key)[found], getattr(events, key)[wanted], rtol=2e-6, atol=2e-6)


def test_nothing_is_written_over_an_older_export(split, tmp_path):
    exported(split, tmp_path)
    with pytest.raises(UsageError, match="already holds NPZ files"):
        exported(split, tmp_path)
    with pytest.raises(InputMissingError, match="name the folder of a dataset"):
        exported(tmp_path, tmp_path / "other")


def test_the_record_says_what_was_exported(split, tmp_path):
    files = exported(split, tmp_path, waveform="triangle")
    record = json.loads((tmp_path / "export.json").read_text())
    assert record["source"] == {"file": str(split), **provenance.fingerprint(split)}
    assert record["drawing"] == {"ticks": 128, "channels": 32, "waveform": "triangle"}
    assert record["columns"][:4] == ["event", "is_marley", "is_main", "is_es"]
    assert len(record["columns"]) == 18
    assert record["files"] == {str(path.relative_to(tmp_path)): count for path, count in files.items()}
    assert (record["rounded_event_numbers"], record["notes"]) == (0, [])


def test_event_numbers_that_float32_does_not_hold_are_said_and_stay_exact_in_event_uid(tmp_path, capsys, monkeypatch):
    split = write_toy_dataset(tmp_path / "toy", 10)
    events = load_dataset(split, ("train",))
    events.event[:] = 20_000_002 + np.arange(len(events))
    events.event_uid[:] = (np.uint64(1) << np.uint64(44)) | events.event
    empty = events.take([])
    monkeypatch.setattr(legacy_export, "load_dataset", lambda path, splits: events if splits == ("train",) else empty)
    exported(split, tmp_path / "dense")
    arrays = read_legacy_npz(tmp_path / "dense/X/toy_train_0000_planeX.npz")
    assert arrays["metadata"][:3, 0].astype(int).tolist() == [20_000_002, 20_000_004, 20_000_004]
    assert (arrays["event_uid"] & np.uint64(0xFFFFFFFF)).tolist() == events.event.tolist()
    warning = capsys.readouterr().err
    assert "warning: float32" in warning
    assert "event numbers of 2 of 5 images: column 0" in warning
    assert "take 'event_uid'" in warning
    record = json.loads((tmp_path / "dense/export.json").read_text())
    assert record["rounded_event_numbers"] == 2
    assert record["notes"][0] in warning
    (path,) = write_shards([tmp_path / "dense"], tmp_path / "back")
    assert sorted(read_shard(path)["event"].tolist()) == events.event.tolist()


def test_pulses_stand_on_the_thresholds_of_the_datasets_detector(split, tmp_path, monkeypatch):
    other = replace(load_detector("fdhd_1x2x2"), threshold_adc=(20.0, 30.0, 10.0))
    monkeypatch.setattr(legacy_export, "load_detector", {"fdhd_1x2x2": other}.get)
    exported(split, tmp_path)
    events = load_dataset(split, ("test",))
    for plane, name in enumerate(PLANES):
        found = read_legacy_npz(tmp_path / f"{name}/tracks_test_0000_plane{name}.npz")["images"]
        rows = np.arange(len(events))
        wanted = draw(events, rows, 128, 32, "pentagon", thresholds_adc=(25.0, 25.0, 10.0), planes=[plane])
        np.testing.assert_array_equal(found, wanted[:, 0])
        assert (found != draw(events, rows, 128, 32, "pentagon", planes=[plane])[:, 0]).any()
