"""`snpoint export` of a dataset: dense images with every column right, and the way back."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from toy_images import toy_arrays, write_toy_dataset

from snpoint import provenance
from snpoint.data.atomic import write_npz
from snpoint.data.legacy_npz import read_legacy_npz
from snpoint.data.shards import load_dataset, read_shard, shard_sources
from snpoint.errors import DataError, InputMissingError, UsageError
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


def changed(split, **arrays):
    """The dataset with other arrays in its shard."""
    shard, order = split.parent.parent / "image/shard_toy_0000.npz", dict(np.load(split))
    write_npz(shard, dict(np.load(shard)) | arrays)
    write_npz(split, order | {"shard_sha256": np.array([provenance.fingerprint(shard)["sha256"]])})
    return split


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


def test_an_image_that_is_mostly_background_has_no_truth_whatever_its_event_is():
    arrays = toy_arrays(5)
    arrays["interaction"][:] = (1, 1, 0, 0, 255)
    arrays["signal_fraction"][:] = (0.2, 0.5, 0.1, np.nan, 0.9)
    arrays["vertex_cm"][:] = 5.0
    rows = metadata(SimpleNamespace(**arrays), 2)
    assert rows[:, 1].tolist() == [0, 1, 0, 0, 1]
    assert rows[:, 3].tolist() == [0, 1, 0, 0, 0]
    assert (rows[[0, 2, 3]][:, [4, 5, 6, 7, 8, 9, 15, 16, 17]] == 0).all()
    assert (rows[[0, 2, 3]][:, [11, 14]] == -1).all()
    assert (rows[[1, 4]][:, [4, 7, 11, 14, 15]] != 0).all()
    assert rows[:, 2].tolist() == [1] * 5, "it is the main cluster all the same"
    read = named_clusters(rows.astype(np.float64), "18")
    assert np.isnan(read["direction"]).any(axis=1).tolist() == [True, False, True, True, False]


def test_background_is_background_beside_the_metadata_too(tmp_path):
    split = changed(write_toy_dataset(tmp_path / "toy", 10), signal_fraction=np.full(10, 0.25, np.float32))
    exported(split, tmp_path / "dense")
    arrays = read_legacy_npz(tmp_path / "dense/X/toy_train_0000_planeX.npz")
    assert not arrays["interaction"].any()
    assert not arrays["metadata"][:, [1, 3]].any()


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
    ((path, kept),) = write_shards([tmp_path / "dense"], tmp_path / "back")
    back, events = SimpleNamespace(**read_shard(path)), load_dataset(split)
    assert str(back.orientation) == orientation
    found, wanted = np.argsort(back.event_uid), np.argsort(events.event_uid)
    np.testing.assert_array_equal(back.event_uid[found], events.event_uid[wanted])
    pixels, expected = draw(back, found, 128, 32), draw(events, wanted, 128, 32, waveform)
    np.testing.assert_array_equal(kept[found], events.split[wanted])
    assert np.abs(pixels - expected).max() <= 0.5
    assert expected.max() > 50
    for key in ("direction", "vertex_cm", "energy_true_mev", "energy_reco_mev", "neutrino_direction", "interaction",
                "neutrino_energy_mev", "is_main", "run", "subrun", "event"):  # fmt: skip
        np.testing.assert_allclose(getattr(back, key)[found], getattr(events, key)[wanted], rtol=2e-6, atol=2e-6)


def test_nothing_is_written_over_an_older_export(split, tmp_path):
    exported(split, tmp_path)
    with pytest.raises(UsageError, match="already holds NPZ files"):
        exported(split, tmp_path)


def test_a_dataset_is_its_folder_or_what_is_in_it(split, tmp_path):
    names = {str(path.relative_to(tmp_path / "0")) for path in exported(split, tmp_path / "0")}
    for number, source in enumerate((split.parent, split.parent.parent), 1):
        found = {str(path.relative_to(tmp_path / str(number))) for path in exported(source, tmp_path / str(number))}
        assert found == names
    with pytest.raises(
        InputMissingError, match=r"holds no dataset/split\.npz nor split\.npz; name the folder of a dat"
    ):
        exported(tmp_path, tmp_path / "other")
    with pytest.raises(InputMissingError, match=r"absent\.npz: no such file"):
        exported(tmp_path / "absent.npz", tmp_path / "other")


def test_files_of_another_kind_are_called_by_their_name(split, tmp_path):
    shard = split.parent.parent / "image/shard_toy_0000.npz"
    with pytest.raises(UsageError, match=rf"is a shard of images, not a dataset; name .*, here {split}"):
        exported(shard, tmp_path)
    arrays = dict(np.load(shard))
    np.savez(tmp_path / "old.npz", **{key: arrays[key] for key in arrays if key != "fingerprint"})
    with pytest.raises(UsageError, match=r"old\.npz: is a shard of images of another version, not a dataset"):
        exported(tmp_path / "old.npz", tmp_path)
    np.savez(tmp_path / "any.npz", a=np.zeros(3))
    with pytest.raises(UsageError, match=r"any\.npz: is something else, not a dataset"):
        exported(tmp_path / "any.npz", tmp_path)
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(DataError, match=r"text\.npz: not an NPZ file"):
        exported(tmp_path / "text.npz", tmp_path)


def test_charge_that_is_cut_off_is_counted_and_said(split, tmp_path, capsys):
    exported(split, tmp_path / "whole")
    whole = json.loads((tmp_path / "whole/export.json").read_text())["charge_cut"]
    assert whole == {"share": 0.1, "images": 0, "mean_loss": None, "largest_loss": None}
    assert "lose" not in capsys.readouterr().err
    exported(split, tmp_path / "small", ticks=32, channels=6)
    record = json.loads((tmp_path / "small/export.json").read_text())
    cut, events = record["charge_cut"], load_dataset(split)
    begin = np.repeat(np.arange(180), np.diff(events.offsets))
    main = replace(events, adc_integral=events.adc_integral * events.in_main)
    small = draw(main, np.arange(60), 32, 6, "pentagon").sum(axis=(2, 3))
    lost = 1 - (small / np.bincount(begin, main.adc_integral).reshape(60, 3)).min(axis=1)
    assert cut["images"] == (lost > 0.1).sum() > 5
    assert cut["largest_loss"] == pytest.approx(lost.max(), abs=0.01)
    assert cut["mean_loss"] == pytest.approx(lost[lost > 0.1].mean(), abs=0.01)
    warning = capsys.readouterr().err
    assert f"{cut['images']} of 60 images lose more than 10% of the charge of their cluster" in warning
    assert record["notes"][0] in warning


def test_context_that_is_cut_off_is_no_loss(tmp_path):
    arrays = toy_arrays(10)
    far = np.where(arrays["in_main"] == 1, 0, 200).astype(np.int16)
    split = changed(write_toy_dataset(tmp_path / "toy", 10), tick=arrays["tick"] + far)
    exported(split, tmp_path / "dense")
    assert json.loads((tmp_path / "dense/export.json").read_text())["charge_cut"]["images"] == 0
    split = changed(split, tick=arrays["tick"] + np.int16(200))
    exported(split, tmp_path / "far")
    cut = json.loads((tmp_path / "far/export.json").read_text())["charge_cut"]
    assert (cut["images"], cut["mean_loss"], cut["largest_loss"]) == (10, 1.0, 1.0)


def test_every_image_says_its_split_and_production(tmp_path):
    files = [{"name": name, "production": name, "n_events": 5} for name in ("prod_b", "prod_a", "stand_in:x")]
    sources = np.array(json.dumps({"files": files, "background": [], "truth": "backtracker"}))
    split = changed(write_toy_dataset(tmp_path / "toy", 40), sources=sources)
    exported(split, tmp_path / "dense")
    for number, name in enumerate(("train", "val", "calib", "test")):
        arrays = read_legacy_npz(tmp_path / f"dense/V/toy_{name}_0000_planeV.npz")
        assert (arrays["split"] == number).all()
        assert arrays["split"].dtype == np.uint8
        assert str(arrays["production"]) == "stand_in:x + prod_a + prod_b", "a stand-in is seen at the beginning"
    record = json.loads((tmp_path / "dense/export.json").read_text())
    assert record["productions"] == ["stand_in:x", "prod_a", "prod_b"]
    assert record["splits"] == {"train": 20, "val": 8, "calib": 3, "test": 9}
    ((path, _),) = write_shards([tmp_path / "dense"], tmp_path / "back")
    found = shard_sources(read_shard(path), path)["files"]
    assert {entry["production"] for entry in found} == {"stand_in:x + prod_a + prod_b"}
    assert {tuple(entry["splits"]) for entry in found} == {("train",), ("val",), ("calib",), ("test",)}


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
    ((path, _),) = write_shards([tmp_path / "dense"], tmp_path / "back")
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
