"""The cluster stage: tables in, tables with clusters, links and main clusters out, of any size."""

import logging
import re

import numpy as np
import pytest
from toy_clusters import ADC_PER_MEV, cluster_settings
from toy_matching import match_settings

from snpoint.data import tables
from snpoint.data.calibration import write_calibration
from snpoint.data.tables import CLUSTER_TABLE, TP_TABLE, iter_table, read_sources, read_table, write_table
from snpoint.errors import ConfigError, DataError, InputMissingError
from snpoint.physics import linking
from snpoint.stages import cluster, match

NEW = ("cluster_id", "accepted", "is_main", "link_id", "link_margin", "link_planes")


@pytest.fixture(scope="module")
def tps(real_data, tmp_path_factory):
    path = tmp_path_factory.mktemp("cc") / "tps.parquet"
    match.run(match_settings(), tpstream=[real_data / "test_cc_tpstream.root"], tps=path)
    return path


@pytest.fixture(scope="module")
def table(tps):
    cluster.run(cluster_settings(), tps=tps, clusters=tps.with_name("clusters.parquet"))
    return read_table(tps.with_name("clusters.parquet"), CLUSTER_TABLE)


def test_tps_come_through_unchanged(tps, table):
    before = read_table(tps, TP_TABLE)
    for key, values in before.items():
        np.testing.assert_array_equal(values, table[key], err_msg=key)
    assert read_sources(tps.with_name("clusters.parquet")) == read_sources(tps)


def test_columns_belong_to_clusters(table):
    inside = table["cluster_id"] >= 0
    assert not table["is_main"][~inside].any()
    assert not table["accepted"][~inside].any()
    assert not table["link_planes"][~inside].any()
    assert (table["link_id"][~inside] == -1).all()
    assert np.isnan(table["link_margin"][~inside]).all()
    assert (table["samples_over_threshold"][inside] > 3).all()
    ids = table["cluster_id"][inside]
    assert set(ids.tolist()) == set(range(ids.max() + 1))
    for key in ("accepted", "is_main", "link_id", "link_planes", "plane", "apa", "face", "event_uid"):
        assert len(set(zip(ids.tolist(), table[key][inside].tolist(), strict=True))) == ids.max() + 1, key


def test_accepted_means_enough_energy(table):
    inside = table["cluster_id"] >= 0
    ids, first = table["cluster_id"][inside], np.unique(table["cluster_id"][inside], return_index=True)[1]
    energy = np.bincount(ids, table["adc_integral"][inside]) / np.array(ADC_PER_MEV)[table["plane"][inside][first]]
    np.testing.assert_array_equal(energy[ids] >= 2.0, table["accepted"][inside] == 1)


def test_a_link_holds_one_cluster_of_each_of_its_planes(table):
    rows = np.flatnonzero(table["link_id"] >= 0)
    links = {}
    for i in rows.tolist():
        links.setdefault(int(table["link_id"][i]), set()).add(
            tuple(int(table[key][i]) for key in ("event_uid", "apa", "plane", "cluster_id"))
        )
    assert set(links) == set(range(len(links)))
    for members in links.values():
        planes = [plane for _, _, plane, _ in members]
        assert len({(uid, apa) for uid, apa, _, _ in members}) == 1
        assert len(set(planes)) == len(planes)
        assert 2 in planes
    sizes = np.array([len(links[number]) for number in table["link_id"][rows].tolist()])
    np.testing.assert_array_equal(table["link_planes"][rows], sizes)
    assert (table["link_planes"][table["link_id"] < 0] == 0).all()


def test_every_event_has_one_main_cluster_on_each_plane_that_it_sees(table):
    inside = table["cluster_id"] >= 0
    seen = set(zip(table["event_uid"][inside].tolist(), table["plane"][inside].tolist(), strict=True))
    main = inside & (table["is_main"] == 1)
    keys = zip(*(table[key][main].tolist() for key in ("event_uid", "plane", "cluster_id")), strict=True)
    mains = set(keys)
    assert {(uid, plane) for uid, plane, _ in mains} == seen
    assert len(mains) == len(seen)


def test_pieces_of_a_large_table_give_what_the_whole_gives(tps, table, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_ROWS_PER_GROUP", 5000)
    write_table(tmp_path / "tps.parquet", read_table(tps, TP_TABLE), TP_TABLE, read_sources(tps))
    assert len(list(iter_table(tmp_path / "tps.parquet", TP_TABLE))) > 5
    cluster.run(cluster_settings(), tps=tmp_path / "tps.parquet", clusters=tmp_path / "clusters.parquet")
    pieces = read_table(tmp_path / "clusters.parquet", CLUSTER_TABLE)
    for key in NEW:
        np.testing.assert_array_equal(pieces[key], table[key], err_msg=key)


def test_a_table_without_tps_gives_one_without_clusters(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    empty = {key: np.zeros(0, array.dtype) for key, array in TP_TABLE.items()}
    write_table(tmp_path / "tps.parquet", empty, TP_TABLE)
    cluster.run(cluster_settings(), tps=tmp_path / "tps.parquet", clusters=tmp_path / "clusters.parquet")
    assert len(read_table(tmp_path / "clusters.parquet", CLUSTER_TABLE)["cluster_id"]) == 0
    assert "0 events, 0 clusters (0 accepted)" in caplog.text


def test_events_whose_tps_are_all_cut_stay_in_the_table(tps, tmp_path):
    cluster.run(cluster_settings(tot_cut=60000), tps=tps, clusters=tmp_path / "clusters.parquet")
    found = read_table(tmp_path / "clusters.parquet", CLUSTER_TABLE)
    assert len(np.unique(found["event_uid"])) == 50
    assert (found["cluster_id"] == -1).all()


def test_a_calibration_sets_the_energies(tps, table, tmp_path):
    factors = {"U": 10.0 * ADC_PER_MEV[0], "V": 10.0 * ADC_PER_MEV[1], "X": 10.0 * ADC_PER_MEV[2]}
    write_calibration(tmp_path / "calibration.json", {"adc_per_mev": factors})
    calibrated = cluster_settings(adc_per_mev="calibrated", energy_cut_mev=0.2)
    cluster.run(calibrated, tps=tps, clusters=tmp_path / "clusters.parquet", calibration=tmp_path / "calibration.json")
    found = read_table(tmp_path / "clusters.parquet", CLUSTER_TABLE, NEW)
    for key in NEW[:4]:
        np.testing.assert_array_equal(found[key], table[key], err_msg=key)
    with pytest.raises(ConfigError, match="calibrated"):
        cluster.run(calibrated, tps=tps, clusters=tmp_path / "none.parquet")


def test_the_log_says_what_was_found(tps, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    cluster.run(cluster_settings(), tps=tps, clusters=tmp_path / "clusters.parquet")
    assert "50 events, 400 clusters" in caplog.text


def test_the_log_says_how_many_pairs_were_left_out(tps, tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    cluster.run(cluster_settings(), tps=tps, clusters=tmp_path / "clusters.parquet")
    assert "were left out" not in caplog.text
    monkeypatch.setattr(linking, "_MOST_PARTNERS", 1)
    cluster.run(cluster_settings(), tps=tps, clusters=tmp_path / "clusters.parquet")
    assert re.search(r"clusters\.parquet: \d+ pairs of clusters were left out", caplog.text)


def test_broken_input_is_named(tmp_path):
    with pytest.raises(InputMissingError, match=r"tps\.parquet"):
        cluster.run(cluster_settings(), tps=tmp_path / "tps.parquet", clusters=tmp_path / "clusters.parquet")
    (tmp_path / "tps.parquet").write_bytes(b"PAR1 not quite")
    with pytest.raises(DataError, match=r"tps\.parquet"):
        cluster.run(cluster_settings(), tps=tmp_path / "tps.parquet", clusters=tmp_path / "clusters.parquet")
    assert not (tmp_path / "clusters.parquet").exists()
