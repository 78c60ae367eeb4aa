"""Truth of TPs: joined by track, block and event; ES and CC told apart by the truth tables."""

import numpy as np
import pytest

from snpoint.data.tables import TP_TABLE, read_table
from snpoint.data.tpstream import BACKTRACKER, read_tpstream, write_tpstream
from snpoint.errors import DataError, InputMissingError
from snpoint.physics.geometry import load_detector
from snpoint.physics.matching import CC, ES, UNKNOWN, event_uid, match
from snpoint.settings import MatchSettings
from snpoint.stages import match as stage

DETECTOR = load_detector("fdhd_1x2x2")


def read(real_data, name):
    return read_tpstream(real_data / f"test_{name}_tpstream.root", ("tps", "mctruths", "mcparticles"))


def matched(trees, truth="backtracker", interaction="truth"):
    return match(trees, DETECTOR, truth=truth, interaction=interaction)


def settings(**changes):
    values = {"code": 1, "detector": "fdhd_1x2x2", "truth": "backtracker", "interaction": "truth", "sha256": {}}
    return MatchSettings(**(values | changes))


@pytest.mark.parametrize(
    ("name", "kind", "electron_mev", "neutrino_mev", "signal"),
    [("es", ES, 13.882, 32.229, 251), ("cc", CC, 26.095, 34.505, 2609)],
)
def test_real_events_have_their_documented_truth(real_data, name, kind, electron_mev, neutrino_mev, signal):
    table = matched(read(real_data, name))
    _, first = np.unique(table["event_uid"], return_index=True)
    assert set(table["interaction"]) == {kind}
    assert table["energy_true_mev"][first].mean() == pytest.approx(electron_mev, abs=0.002)
    assert table["neutrino_energy_mev"][first].mean() == pytest.approx(neutrino_mev, abs=0.002)
    assert table["is_signal"].sum() == (table["track_id"] != 0).sum() == signal


def test_electrons_of_es_follow_the_neutrino(real_data):
    table = matched(read(real_data, "es"))
    _, first = np.unique(table["event_uid"], return_index=True)
    cosine = sum(table[f"direction_{a}"][first] * table[f"neutrino_direction_{a}"][first] for a in "xyz")
    assert cosine.mean() == pytest.approx(0.979, abs=0.002)


def test_side_of_signal_is_the_face_of_its_channel(real_data):
    table = matched(read(real_data, "es"))
    rows = (table["plane"] == 2) & (table["is_signal"] == 1)
    np.testing.assert_array_equal(np.sign(table["x_cm"][rows]), table["face"][rows])


def test_table_is_sorted_and_complete(real_data):
    trees = read(real_data, "es")
    table = matched(trees)
    assert list(table) == list(TP_TABLE) or set(table) == set(TP_TABLE)
    keys = list(zip(*(table[key].tolist() for key in ("event_uid", "time_start", "channel")), strict=True))
    assert keys == sorted(keys)
    assert table["adc_integral"].sum() == trees["tps"]["adc_integral"].sum()


def test_order_of_the_file_does_not_matter(real_data):
    trees = read(real_data, "es")
    rng = np.random.default_rng(3)
    shuffled = {}
    for tree, content in trees.items():
        order = rng.permutation(len(content["Event"])) if tree != "mctruths" else np.arange(len(content["Event"]))
        shuffled[tree] = {key: values[order] for key, values in content.items()}
    ours, theirs = matched(trees), matched(shuffled)
    for key, values in ours.items():
        np.testing.assert_array_equal(theirs[key], values, err_msg=key)


def test_background_block_is_no_signal(real_data):
    trees = read(real_data, "es")
    # The second particle of the first event, which makes its TPs, now comes from a radiological block.
    trees["mcparticles"]["truth_block_id"][1] = 1
    radiological = {key: values[:1].copy() for key, values in trees["mctruths"].items()}
    radiological |= {"generator_name": np.array(["Ar39GenInLAr"]), "block_id": np.array([1]), "pdg": np.array([11])}
    radiological["status_code"] = np.array([1])
    trees["mctruths"] = {key: np.concatenate([radiological[key], values]) for key, values in trees["mctruths"].items()}
    table = matched(trees)
    first = table["event"] == 12651
    assert table["is_signal"][first].sum() == 0
    assert (table["track_id"][first] != 0).sum() > 0
    assert table["energy_true_mev"][first][0] == pytest.approx(13.673 - 0.511, abs=0.001)


def test_generator_name_counts_in_any_case(real_data):
    trees = read(real_data, "es")
    trees["mctruths"]["generator_name"] = np.full(40, "MARLEY")
    assert matched(trees)["is_signal"].sum() == 251


def test_interaction_can_be_given(real_data):
    assert set(matched(read(real_data, "es"), interaction="CC")["interaction"]) == {CC}


@pytest.mark.parametrize("missing", ["setting", "trees", "branches"])
def test_without_truth_everything_is_unknown(real_data, missing):
    trees = read(real_data, "es")
    if missing == "trees":
        trees = {"tps": trees["tps"]}
    if missing == "branches":
        trees["tps"] = {key: values for key, values in trees["tps"].items() if key not in BACKTRACKER}
    table = matched(trees, truth="none" if missing == "setting" else "backtracker")
    assert set(table["interaction"]) == {UNKNOWN}
    assert np.isnan(table["direction_x"]).all()
    assert np.isnan(table["energy_true_mev"]).all()
    assert table["is_signal"].sum() == 0


def test_event_number_holds_run_and_subrun():
    assert event_uid([3], [2], [1]).tolist() == [3 << 44 | 2 << 32 | 1]
    with pytest.raises(ValueError, match="too large"):
        event_uid([1 << 20], [0], [0])


def test_stage_writes_the_table_of_all_its_files(real_data, tmp_path):
    files = [real_data / "test_cc_tpstream.root", real_data / "test_es_tpstream.root"]
    stage.run(settings(), tpstream=files, tps=tmp_path / "tps.parquet")
    table = read_table(tmp_path / "tps.parquet", TP_TABLE)
    assert len(table["event"]) == 12782 + 66254
    assert (np.diff(table["event_uid"].astype(np.int64)) >= 0).all()


def test_stage_refuses_a_file_listed_twice(real_data, tmp_path):
    file = real_data / "test_es_tpstream.root"
    with pytest.raises(DataError, match="list each file once"):
        stage.run(settings(), tpstream=[file, file], tps=tmp_path / "tps.parquet")
    assert list(tmp_path.iterdir()) == []


def test_stage_refuses_a_file_that_is_not_the_one_meant(real_data, tmp_path):
    files, digest = (
        [real_data / "test_es_tpstream.root"],
        "734c78ee9228da7ffbb6bfe4c4042f2a66f626ba0907a5b77edb7c349d45fd1c",
    )
    stage.run(settings(sha256={files[0].name: digest}), tpstream=files, tps=tmp_path / "right.parquet")
    with pytest.raises(DataError, match=r"test_es_tpstream\.root: sha256 is 734c78ee.* names 0000"):
        stage.run(settings(sha256={files[0].name: "0" * 64}), tpstream=files, tps=tmp_path / "wrong.parquet")


def test_stage_names_the_file_of_another_detector(real_data, tmp_path):
    trees = read(real_data, "es")
    trees["tps"]["channel"] += np.uint32(10240)
    write_tpstream(tmp_path / "other.root", trees)
    with pytest.raises(DataError, match=r"other\.root: channel .* 'match\.detector'"):
        stage.run(settings(), tpstream=[tmp_path / "other.root"], tps=tmp_path / "tps.parquet")


def test_table_that_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(InputMissingError, match="no such file"):
        read_table(tmp_path / "tps.parquet", TP_TABLE)
    (tmp_path / "tps.parquet").write_bytes(b"PAR1 broken PAR1")
    with pytest.raises(DataError, match="not a readable parquet file"):
        read_table(tmp_path / "tps.parquet", TP_TABLE)
