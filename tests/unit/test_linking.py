"""Main clusters and their links over the three planes, without any truth."""

import numpy as np
import pytest

from snpoint.data.tables import CLUSTER_TABLE, read_table
from snpoint.physics.clustering import Clusters
from snpoint.physics.geometry import load_detector
from snpoint.physics.linking import link
from snpoint.settings import ClusterSettings, MatchSettings, PerPlane
from snpoint.stages import cluster, match

DETECTOR = load_detector("fdhd_1x2x2")
U, V, X = 0, 1, 2


def clusters(*rows):
    """Clusters from (event, plane, apa, start tick, end tick, energy)."""
    event, plane, apa, start, end, energy = (np.array(column) for column in zip(*rows, strict=True))
    face = np.where(plane == X, 1, 0)
    return Clusters(event, plane, apa, face, start * 32, end * 32, np.full(len(event), 3), energy.astype(float))


def settings(**changes):
    values = {"detector": "fdhd_1x2x2", "algorithm": "connected", "tick_gap": 3, "channel_gap": 2, "min_tps": 2}
    values |= {"tot_cut": 3, "energy_cut_mev": 2.0, "adc_per_mev": PerPlane(U=1000.0, V=1100.0, X=4100.0)}
    return ClusterSettings(**(values | {"link_tolerance_ticks": 10.0} | changes))


def test_linked_clusters_meet_in_time_after_the_offsets():
    # U comes 12.6 ticks before X: 100-110 on X is 87.4-97.4 on U.
    found = link(clusters((0, U, 0, 87, 97, 5), (0, V, 0, 92, 102, 5), (0, X, 0, 100, 110, 9)), DETECTOR, 0)
    assert found.link_id.tolist() == [0, 0, 0]
    found = link(clusters((0, U, 0, 98, 110, 5), (0, V, 0, 92, 102, 5), (0, X, 0, 100, 110, 9)), DETECTOR, 0)
    assert found.link_id.tolist() == [-1, 0, 0]
    found = link(clusters((0, U, 0, 98, 110, 5), (0, V, 0, 92, 102, 5), (0, X, 0, 100, 110, 9)), DETECTOR, 1)
    assert found.link_id.tolist() == [0, 0, 0]


def test_longest_overlap_is_taken_then_energy():
    found = link(clusters((0, U, 0, 90, 94, 9), (0, U, 0, 88, 97, 5), (0, X, 0, 100, 110, 9)), DETECTOR, 0)
    assert found.link_id.tolist() == [-1, 0, 0]
    found = link(clusters((0, U, 0, 88, 97, 5), (0, U, 0, 88, 97, 6), (0, X, 0, 100, 110, 9)), DETECTOR, 0)
    assert found.link_id.tolist() == [-1, 0, 0]


def test_main_is_the_linked_cluster_where_the_highest_one_is_in_another_apa():
    found = link(clusters((0, U, 1, 90, 94, 9), (0, U, 0, 88, 97, 5), (0, X, 0, 100, 110, 9)), DETECTOR, 0)
    assert found.link_id.tolist() == [-1, 0, 0]
    assert found.is_main.tolist() == [False, True, True]


def test_link_may_lack_a_plane_and_its_main_is_then_the_highest():
    found = link(
        clusters((0, U, 1, 90, 94, 3), (0, U, 1, 300, 304, 4), (0, V, 0, 92, 99, 1), (0, X, 0, 100, 110, 9)),
        DETECTOR,
        0,
    )
    assert found.link_id.tolist() == [-1, -1, 0, 0]
    assert found.is_main.tolist() == [False, True, True, True]
    assert found.planes().tolist() == [2]


def test_event_without_collection_cluster_has_mains_but_no_link():
    found = link(clusters((0, U, 0, 90, 94, 3), (0, V, 0, 90, 94, 3)), DETECTOR, 10)
    assert found.link_id.tolist() == [-1, -1]
    assert found.is_main.tolist() == [True, True]


def test_every_event_has_its_own_link():
    rows = [(event, plane, 0, 100, 130, 5) for event in (0, 2, 5) for plane in (U, V, X)]
    found = link(clusters(*rows), DETECTOR, 0)
    assert found.link_id.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_no_clusters_at_all():
    none = np.empty(0, np.int64)
    found = link(Clusters(none, none, none, none, none, none, none, none.astype(float)), DETECTOR, 10)
    assert len(found.link_id) == len(found.planes()) == 0


@pytest.mark.parametrize(("name", "n_events", "at_least"), [("es", 10, 8), ("cc", 50, 42)])
def test_real_events_have_a_linked_three_plane_main_cluster(real_data, tmp_path, name, n_events, at_least):
    truth = MatchSettings(detector="fdhd_1x2x2", truth="none", interaction="truth", sha256={})
    match.run(truth, tpstream=[real_data / f"test_{name}_tpstream.root"], tps=tmp_path / "tps.parquet")
    cluster.run(settings(), tps=tmp_path / "tps.parquet", clusters=tmp_path / "clusters.parquet")
    table = read_table(tmp_path / "clusters.parquet", CLUSTER_TABLE)
    assert len(np.unique(table["event_uid"])) == n_events
    linked = (table["is_main"] == 1) & (table["link_id"] >= 0)
    planes = {event: set() for event in np.unique(table["event_uid"]).tolist()}
    for event, plane, apa in zip(*(table[key][linked].tolist() for key in ("event_uid", "plane", "apa")), strict=True):
        planes[event].add((plane, apa))
    complete = [found for found in planes.values() if {plane for plane, _ in found} == {U, V, X}]
    assert len(complete) >= at_least
    assert all(len({apa for _, apa in found}) == 1 for found in complete)


def test_stage_marks_main_accepted_and_links_consistently(real_data, tmp_path):
    truth = MatchSettings(detector="fdhd_1x2x2", truth="backtracker", interaction="truth", sha256={})
    match.run(truth, tpstream=[real_data / "test_cc_tpstream.root"], tps=tmp_path / "tps.parquet")
    cluster.run(settings(), tps=tmp_path / "tps.parquet", clusters=tmp_path / "clusters.parquet")
    table = read_table(tmp_path / "clusters.parquet", CLUSTER_TABLE)
    inside = table["cluster_id"] >= 0
    assert not table["is_main"][~inside].any()
    assert not table["accepted"][~inside].any()
    assert (table["samples_over_threshold"][inside] > 3).all()
    assert table["is_main"][table["link_id"] >= 0].all()
    ids = table["cluster_id"][inside]
    assert set(ids.tolist()) == set(range(ids.max() + 1))
    for key in ("accepted", "is_main", "link_id", "plane", "apa", "face", "event_uid"):
        assert len(set(zip(ids.tolist(), table[key][inside].tolist(), strict=True))) == ids.max() + 1, key
    energy = (
        np.bincount(ids, table["adc_integral"][inside])
        / np.array([1000, 1100, 4100])[table["plane"][inside][np.unique(ids, return_index=True)[1]]]
    )
    np.testing.assert_array_equal(energy[ids] >= 2.0, table["accepted"][inside] == 1)
