"""Links over the three planes and main clusters: found without any truth, judged by it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_clusters import ADC_PER_MEV, DETECTOR, LINKING, real_tps, synthetic
from toy_links import quality, seen, together, true_mains
from toy_matching import match_settings
from toy_simulation import noise
from toy_simulation import settings as simulation

from snpoint.physics import linking
from snpoint.physics.clustering import cluster_ids, summarize
from snpoint.physics.constants import U, V, X
from snpoint.physics.geometry import known_detectors, load_detector
from snpoint.physics.linking import link
from snpoint.physics.linking_assignment import assign
from snpoint.physics.linking_scores import wires_of, y_of
from snpoint.physics.matching import match
from snpoint.physics.simulation.chunk import simulate_chunk
from snpoint.settings import PREDECESSOR_ADC_PER_MEV

CUTS = {
    "test": ("greedy", 1, PREDECESSOR_ADC_PER_MEV),
    "prod": ("greedy", 3, PREDECESSOR_ADC_PER_MEV),
    "default": ("connected", 3, ADC_PER_MEV),
}


def clustered(tps, method="connected", tot_cut=3, adc_per_mev=ADC_PER_MEV, detector=DETECTOR):
    ids = cluster_ids(tps, detector, method=method, tick_limit=3, channel_limit=2, min_tps=2, tot_cut=tot_cut)
    return ids, summarize(ids, tps, detector, adc_per_mev)


def linked(*parts, **changes):
    """Clusters of some TPs, and their links."""
    tps = together(*parts)
    ids, clusters = clustered(tps)
    return clusters, link(ids, tps, clusters, DETECTOR, LINKING.model_copy(update=changes))


@pytest.mark.parametrize("apa", [0, 1, 2, 3])
@pytest.mark.parametrize("face", [-1, 1])
def test_a_point_is_linked_wherever_it_is(apa, face):
    y, z = DETECTOR.volume(apa, face).y_range_cm[0] + 150.0, DETECTOR.volume(apa, face).z_range_cm[0] + 100.0
    clusters, links = linked(seen(y, z, 1000, apa=apa, face=face))
    assert links.link_id.tolist() == [0, 0, 0]
    assert links.n_planes.tolist() == [3, 3, 3]
    assert links.is_main.all()
    assert np.isnan(links.margin).all()
    assert clusters.plane.tolist() == [U, V, X]


@settings(max_examples=60, deadline=None)
@given(volume=st.integers(0, 7), plane=st.sampled_from([U, V]), up=st.floats(0.01, 0.99), along=st.floats(0.01, 0.99))
def test_a_crossing_gives_the_height_back(volume, plane, up, along):
    own = DETECTOR.volumes[volume]
    y, z = (low + share * (high - low) for share, (low, high) in ((up, own.y_range_cm), (along, own.z_range_cm)))
    found = y_of(wires_of(DETECTOR), volume, plane, own.channel(plane, y, z), own.channel(X, y, z))
    assert found == pytest.approx(y, abs=1e-6)


@pytest.mark.parametrize("name", known_detectors())
def test_every_layout_links_two_points_of_one_time(name):
    detector = load_detector(name)
    for volume in detector.volumes[:: max(1, len(detector.volumes) // 8)]:
        places = [
            tuple(low + share * (high - low) for share, (low, high) in zip(shares, ranges, strict=True))
            for shares in ((0.3, 0.4), (0.7, 0.55))
            for ranges in ((volume.y_range_cm, volume.z_range_cm),)
        ]
        parts = [seen(y, z, 1000, volume=volume, detector=detector) for y, z in places]
        tps = together(*parts)
        ids, clusters = clustered(tps, detector=detector)
        links = link(ids, tps, clusters, detector, LINKING)
        assert links.n_planes.tolist() == [3] * 6
        for part in parts:
            assert len(set(links.link_id[ids[np.isin(tps["channel"], part["channel"])]].tolist())) == 1


def test_of_two_points_at_one_time_each_gets_its_own_wires():
    """Times and charges are the same; only the height tells which U belongs to which V."""
    first, second = seen(100, 50, 1000), seen(420, 75, 1000)
    tps = together(first, second)
    ids, clusters = clustered(tps)
    links = link(ids, tps, clusters, DETECTOR, LINKING)
    assert len(clusters) == 6
    for part in (first, second):
        rows = np.isin(tps["channel"], part["channel"])
        assert len(set(links.link_id[ids[rows]].tolist())) == 1
    assert (links.margin > 5).all()


def test_a_time_gap_is_allowed_up_to_the_tolerance():
    near = seen(100, 50, 1000, planes=(V, X)), seen(100, 50, 1000 + 14, planes=(U,), length=6)
    assert linked(*near, tolerance_ticks=6.0)[1].n_planes.tolist() == [3, 3, 3]
    assert linked(*near, tolerance_ticks=2.0)[1].n_planes.tolist() == [0, 2, 2]


@pytest.mark.parametrize(
    "stranger",
    [{"y": -100, "apa": 0}, {"tick": 1200}, {"event": 2}],
    ids=["another APA", "another time", "another event"],
)
def test_what_lies_elsewhere_is_no_partner(stranger):
    place = {"y": 100, "z": 50, "tick": 1000}
    _, links = linked(seen(**place, planes=(V, X)), seen(**(place | stranger), planes=(U,)))
    assert sorted(links.n_planes.tolist()) == [0, 2, 2]


def test_a_partner_of_another_height_is_left_out():
    """V crosses the X wires 200 cm away from where U does: one of them is wrong, and both are not taken."""
    _, links = linked(seen(100, 50, 1000, planes=(U, X)), seen(300, 50, 1000, planes=(V,)), missing_plane_cost=6.0)
    assert sorted(links.n_planes.tolist()) == [0, 2, 2]


def test_what_sticks_out_of_the_interval_of_x_is_of_something_else():
    """Both U clusters cross the X wires and have the same mean time; one has the energy, but it is too long."""
    place = {"y": 100, "z": 50, "tick": 1000}
    short = seen(**place, planes=(U,), mev=4.6)
    long = seen(300, 50, 1000, planes=(U,), length=60)
    assert partner_of_x(seen(**place, planes=(X,)), short, long) == set(short["channel"].tolist())
    assert partner_of_x(seen(**place, planes=(X,)), seen(300, 50, 1000, planes=(U,)), short) != set(
        short["channel"].tolist()
    )


def test_wires_that_cross_outside_of_the_volume_are_of_something_else():
    """Where wires are not wrapped, about half of all pairs cross above or below; wrapped ones by 20 cm at most."""
    for name, volume in (("fdhd_1x2x2", 2), ("fdvd_example", 0)):
        detector = load_detector(name)
        own = detector.volumes[volume]
        low, high = own.y_range_cm
        z = float(np.mean(own.z_range_cm))
        parts = [
            seen(y, z, 1000, planes=planes, mev=mev, volume=own, detector=detector)
            for y, planes, mev in (
                (0.5 * (low + high), (X,), 5.0), (0.5 * (low + high), (U,), 4.6), (high + 13, (U,), 5.0)
            )
        ]  # fmt: skip
        assert partner_of_x(*parts, detector=detector) == set(parts[1]["channel"].tolist()), name


def partner_of_x(*parts, detector=DETECTOR):
    """Channels of the induction cluster that is linked to the one on X."""
    tps = together(*parts)
    ids, clusters = clustered(tps, detector=detector)
    links = link(ids, tps, clusters, detector, LINKING)
    assert sorted(clusters.plane.tolist()) == [U, U, X]
    [partner] = np.flatnonzero((links.link_id >= 0) & (clusters.plane == U))
    return set(tps["channel"][ids == partner].tolist())


def test_no_link_without_the_collection_plane():
    _, links = linked(seen(100, 50, 1000, planes=(U, V)))
    assert links.link_id.tolist() == [-1, -1]
    assert links.is_main.tolist() == [True, True]
    assert links.n_planes.tolist() == [0, 0]
    assert np.isnan(links.margin).all()


def test_two_x_clusters_do_not_share_a_partner():
    """Two tracks on X, one on U and V: it belongs to the one whose energy it has; the other goes without."""
    clusters, links = linked(seen(100, 50, 1000, mev=6), seen(100, 70, 1002, planes=(X,), mev=1.5))
    x = np.flatnonzero(clusters.plane == X)
    assert links.n_planes[x].tolist() == [3, 0]
    assert links.link_id.tolist() == [0, 0, 0, -1]


def test_the_larger_of_two_x_clusters_comes_first_where_both_want_one_partner():
    clusters, links = linked(
        seen(100, 50, 1000, planes=(X,), mev=9.0), seen(100, 60, 1000, planes=(X,), mev=3.0),
        seen(100, 55, 1000, planes=(U,), mev=3.2),
    )  # fmt: skip
    x = np.flatnonzero(clusters.plane == X)
    assert links.n_planes[x].tolist() == [2, 0]
    assert np.isnan(links.margin[x]).all()  # neither has another partner


def test_of_many_partners_the_best_are_looked_at(monkeypatch):
    """A table of links grows with the square of the partners; the best of them lie among the cheapest pairs."""
    sizes = []
    monkeypatch.setattr(
        linking, "assign", lambda choices, weight: sizes.append(choices.begin) or assign(choices, weight)
    )
    rng = np.random.default_rng(1)
    points = [seen(y, 8 + 15 * k, 1000 + k, mev=rng.uniform(3, 5)) for k, y in enumerate(rng.uniform(20, 570, 14))]
    _, everything = linked(*points)
    monkeypatch.setattr(linking, "_MOST_PARTNERS", 8)
    _, most = linked(*points)
    assert everything.n_cut == 0
    assert most.n_cut > 0
    assert np.diff(sizes[0]).max() > np.diff(sizes[1]).max() == (1 + 8) ** 2
    np.testing.assert_array_equal(most.link_id, everything.link_id)


def test_margin_says_how_clear_the_choice_was():
    """A second U cluster at the same place and time: the nearer it is in energy, the smaller the margin."""
    margins = []
    for mev in (4.5, 3.0, 1.5):
        clusters, links = linked(seen(100, 50, 1000), seen(100, 53, 1000, planes=(U,), mev=mev))
        margins.append(float(links.margin[np.flatnonzero(clusters.plane == X)[0]]))
    assert 0 < margins[0] < margins[1] < margins[2]


def test_main_clusters_are_those_of_the_highest_x_cluster():
    clusters, links = linked(seen(100, 50, 1000, mev=5), seen(200, 100, 3000, mev=8), seen(400, 20, 5000, mev=3))
    assert (clusters.start[links.is_main] // 32 > 2900).all()
    assert (clusters.start[links.is_main] // 32 < 3100).all()
    assert links.is_main.sum() == 3
    assert sorted(set(links.link_id.tolist())) == [0, 1, 2]


def test_on_a_plane_that_the_link_lacks_main_is_the_highest_one():
    elsewhere = seen(-100, 50, 1000, apa=0, planes=(U,), mev=3), seen(-100, 50, 1300, apa=0, planes=(U,), mev=4)
    clusters, links = linked(seen(100, 50, 1000, planes=(V, X)), *elsewhere)
    assert clusters.plane.tolist() == [U, U, V, X]
    assert links.link_id.tolist() == [-1, -1, 0, 0]
    assert links.is_main.tolist() == [False, True, True, True]


def test_every_event_has_its_own_links():
    _, links = linked(*(seen(100, 50, 1000, event=event) for event in (1, 4, 9)))
    assert links.link_id.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_wrapped_cluster_is_in_one_piece():
    """The U wires of this track are the last and the first ones of the plane."""
    volume = DETECTOR.volume(1, 1)
    heights = np.linspace(5, 590, 4000)
    y = heights[np.argmin(np.abs(volume.channel(U, heights, 80.0) - 0.4))]
    part = seen(float(y), 80.0, 1000, n=5)
    on_u = part["channel"][part["plane"] == U] % 2560
    assert on_u.min() < 5
    assert on_u.max() > 795
    clusters, links = linked(part)
    assert links.n_planes.tolist() == [3, 3, 3]
    assert len(clusters) == 3


def test_times_of_a_running_detector():
    parts = seen(100, 50, 1000), seen(420, 75, 1000)
    shift = 107_000_000_000_000_000
    later = [part | {"time_start": part["time_start"] + shift} for part in parts]
    (_, now), (_, then) = linked(*parts), linked(*later)
    np.testing.assert_array_equal(now.link_id, then.link_id)
    np.testing.assert_allclose(now.margin, then.margin, atol=1e-3)


def test_no_clusters_at_all():
    clusters, links = linked(synthetic([], [], []))
    assert len(clusters) == len(links.link_id) == len(links.is_main) == 0


@pytest.mark.parametrize("cuts", CUTS)
def test_real_es_events_have_their_three_true_mains_in_one_link(real_data, cuts):
    """The older chain has 7 (`test`) and 8 (`prod`) of 10."""
    tps = real_tps(real_data / "test_es_tpstream.root")
    ids, clusters = clustered(tps, *CUTS[cuts])
    links = link(ids, tps, clusters, DETECTOR, LINKING)
    found = quality(tps, ids, clusters, links)
    assert found.n == 10
    assert found.efficiency >= 0.9
    assert found.purity == 1.0


@pytest.mark.parametrize("cuts", CUTS)
def test_real_cc_events_have_pure_main_links(real_data, cuts):
    """Many have several particles, and often the largest clusters of two planes are of different ones."""
    tps = real_tps(real_data / "test_cc_tpstream.root")
    ids, clusters = clustered(tps, *CUTS[cuts])
    found = quality(tps, ids, clusters, link(ids, tps, clusters, DETECTOR, LINKING))
    assert found.n >= 45
    assert found.efficiency >= 0.85
    assert found.purity >= 0.98


@pytest.mark.parametrize("events", [700, pytest.param(5000, marks=pytest.mark.nightly)])
def test_simulated_main_links_are_complete_and_pure(events):
    sample = simulation(events_per_chunk=events, noise=noise(standalone=1.0), vertex_margin_cm=30.0)
    trees = simulate_chunk(sample, "links", 0)
    tps = match(trees, DETECTOR, settings=match_settings())
    ids, clusters = clustered(tps)
    found = quality(tps, ids, clusters, link(ids, tps, clusters, DETECTOR, LINKING))
    assert found.n > 0.93 * events
    assert found.efficiency >= 0.95
    assert found.purity >= 0.97


def test_true_mains_need_a_signal_tp():
    tps = together(seen(100, 50, 1000, mev=5), seen(200, 100, 3000, mev=8))
    ids, clusters = clustered(tps)
    tps["is_signal"] = (tps["time_start"] < 2000 * 32).astype(np.uint8)
    mains = true_mains(tps, ids, clusters)
    assert (clusters.start[mains[0]] < 2000 * 32).all()
