"""Clusters: the older greedy rule to the last TP on real files, and a connected rule that no order changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_clusters import (
    DETECTOR,
    as_sets,
    in_order_of_the_older_chain,
    literal_greedy,
    permuted,
    real_tps,
    synthetic,
)
from toy_introsort import introsort_order

from snpoint.physics.clustering import cluster_ids, highest_per_event, summarize
from snpoint.physics.clustering_fingerprint import cluster_lines, fingerprint
from snpoint.settings import PREDECESSOR_ADC_PER_MEV

RUNS = {
    "test": ({"tot_cut": 1}, 1.0, (18, 15, 15), (2, 5, 1), 1652),
    "prod": ({"tot_cut": 3}, 2.0, (17, 14, 14), (1, 1, 0), 219),
}
FINGERPRINTS = {
    ("test", "all"): "68ec6212ed8c440050e03ce91e8ad5fa4fb3d3c0aa6b8153258f1a11e4ab6fe0",
    ("test", "accepted"): "3fc854e02f66f843ebd71a14cc72190438649a95d14399df254035862a49dbaa",
    ("prod", "all"): "63a145167c4e317688f180482d01f5c3015074683e8ac7adc29c1b6f623d63ba",
    ("prod", "accepted"): "c85faace314c1d1c6d00986472295d89166fc8a6ba1eeae6eec89c9f1850f4cf",
}
OLDER_CHAIN = {
    ("test", "all"): "6479dea28e36a0efbca98d90c2ca57cb1c8aa2cf7cb256637528361fca4888ac",
    ("test", "accepted"): "5ace6e6f49cdb54f20d5b8da8266ac2d4a0289f52a01c2137ccc159ff620c1ba",
    ("prod", "all"): "8be18d42769de42b15efc574bef25681aa78870d9309a09ee21cfcb5fbdda96c",
    ("prod", "accepted"): "7d2a45bab4fa1275a0426f0300e5f0dd293a1cf81ac36173296d67c70e2e9577",
}
OLDER_COUNTS = {"test": ((18, 15, 15), (2, 5, 1)), "prod": ((18, 14, 14), (0, 1, 0))}
TP_FINGERPRINTS = {
    "test": "8cdd5fa2b85c59acd531e0cbff6e6eb8dba891e13d2037e49074616fc527ca0d",
    "prod": "0e083dc77e52ce04e1329aec30af9b4a6a461bc30b6c104e6a6d6dcbcfcee3c1",
}
METHODS = ("connected", "greedy")


def found(tps, method="connected", **changes):
    recipe = {"tick_limit": 3, "channel_limit": 2, "min_tps": 1, "tot_cut": 0} | changes
    return cluster_ids(tps, DETECTOR, method=method, **recipe)


def together(channels, starts, lengths, method="connected", **changes):
    ids = found(synthetic(channels, starts, lengths), method, **changes)
    return len(set(ids.tolist())) == 1


def fingerprints(tps, ids, energy_cut_mev):
    """Fingerprints of all and of the accepted clusters, and their numbers per plane."""
    clusters = summarize(ids, tps, DETECTOR, PREDECESSOR_ADC_PER_MEV)
    passed = clusters.energy_mev >= energy_cut_mev
    lines, _ = cluster_lines(tps | {"cluster_id": ids, "accepted": np.append(passed, False)[ids]})
    accepted = [line for line, ok in zip(lines, passed, strict=True) if ok]
    numbers = tuple(tuple(np.bincount(clusters.plane[chosen], minlength=3)) for chosen in (passed, ~passed))
    return {"all": fingerprint(lines), "accepted": fingerprint(accepted)}, numbers


def edge_tps(rng, n):
    """Random TPs around the edges of planes, faces and APAs, crowded enough to touch."""
    channel = rng.choice([0, 780, 1580, 2060, 2560], n) + rng.integers(0, 40, n)
    return synthetic(channel, rng.integers(0, 60, n), rng.integers(1, 12, n), rng.integers(1, 3, n))


@pytest.fixture(scope="module")
def es(real_data):
    return real_tps(real_data / "test_es_tpstream.root")


@pytest.mark.parametrize("run", RUNS)
def test_greedy_is_the_older_rule_to_the_last_tp(es, run):
    cuts, energy_cut_mev, accepted, discarded, n_tps = RUNS[run]
    ids = found(es, "greedy", min_tps=2, **cuts)
    hashes, numbers = fingerprints(es, ids, energy_cut_mev)
    assert hashes == {which: FINGERPRINTS[run, which] for which in hashes}
    assert numbers == (accepted, discarded)
    assert (es["samples_over_threshold"] > cuts["tot_cut"]).sum() == n_tps


@pytest.mark.parametrize("run", RUNS)
def test_in_the_order_of_the_older_chain_its_very_clusters_are_found(real_data, run):
    tps = in_order_of_the_older_chain(real_data / "test_es_tpstream.root")
    cuts, energy_cut_mev, *_ = RUNS[run]
    hashes, numbers = fingerprints(tps, found(tps, "greedy", min_tps=2, **cuts), energy_cut_mev)
    assert hashes == {which: OLDER_CHAIN[run, which] for which in hashes}
    assert numbers == OLDER_COUNTS[run]


@pytest.mark.parametrize("name", ["es", "cc"])
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("older", [False, True], ids=["our order", "older order"])
def test_greedy_agrees_with_the_rule_word_for_word(real_data, name, run, older):
    file = real_data / f"test_{name}_tpstream.root"
    tps = in_order_of_the_older_chain(file) if older else real_tps(file, "none")
    recipe = {"tick_limit": 3, "channel_limit": 2, "min_tps": 2} | RUNS[run][0]
    assert as_sets(found(tps, "greedy", **recipe)) == literal_greedy(tps, **recipe)


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(1, 80),
    seed=st.integers(0, 2**32 - 1),
    tick_limit=st.integers(0, 6),
    channel_limit=st.sampled_from([0, 1, 2, 3, 30, 399, 500, 5000]),
)
def test_greedy_agrees_with_the_rule_on_random_tps(n, seed, tick_limit, channel_limit):
    tps = edge_tps(np.random.default_rng(seed), n)
    recipe = {"tick_limit": tick_limit, "channel_limit": channel_limit, "min_tps": 1, "tot_cut": 1}
    assert as_sets(found(tps, "greedy", **recipe)) == literal_greedy(tps, **recipe)


@pytest.mark.parametrize("run", RUNS)
def test_the_tps_that_enter_are_the_documented_ones(es, run):
    kept = es["samples_over_threshold"] > RUNS[run][0]["tot_cut"]
    columns = [
        es[key][kept].tolist() for key in ("event", "channel", "time_start", "samples_over_threshold", "adc_integral")
    ]
    lines = [
        f"{event}|{channel}:{start}:{length}:{adc}" for event, channel, start, length, adc in zip(*columns, strict=True)
    ]
    assert fingerprint(lines) == TP_FINGERPRINTS[run]


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 60), seed=st.integers(0, 2**32 - 1))
def test_connected_does_not_depend_on_the_order(n, seed):
    rng = np.random.default_rng(seed)
    tps = edge_tps(rng, n)
    order = rng.permutation(n)
    once, again = found(tps), found(permuted(tps, order))
    pairs = set(zip(once[order].tolist(), again.tolist(), strict=True))
    assert len(pairs) == len(set(once.tolist())) == len(set(again.tolist()))


@pytest.mark.parametrize("method", METHODS)
def test_a_table_in_order_gives_what_a_shuffled_one_gives(es, method):
    rng = np.random.default_rng(1)
    order = rng.permutation(len(es["channel"]))
    if method == "greedy":  # it keeps the given order of TPs that start together
        order = order[np.argsort(es["channel"][order], kind="stable")]
    np.testing.assert_array_equal(found(permuted(es, order), method, tot_cut=1), found(es, method, tot_cut=1)[order])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), channel_limit=st.sampled_from([0, 2, 400, 2000]))
def test_connected_agrees_with_comparing_all_pairs(seed, channel_limit):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 50))
    tps = synthetic(rng.choice([0, 785], n) + rng.integers(0, 15, n), rng.integers(0, 80, n), rng.integers(1, 10, n))
    start, length = tps["time_start"] // 32, tps["samples_over_threshold"].astype(int)
    gap = np.maximum(start[:, None] - (start + length)[None], start[None] - (start + length)[:, None])
    distance = np.abs(tps["channel"][:, None] - tps["channel"][None])
    joined = (gap <= 3) & (np.minimum(distance, 800 - distance) <= channel_limit)
    joined &= tps["plane"][:, None] == tps["plane"][None]
    reached = np.linalg.matrix_power(joined.astype(float) + np.eye(n), n) > 0
    ids = found(tps, channel_limit=channel_limit)
    np.testing.assert_array_equal(ids[:, None] == ids[None], reached)


@pytest.mark.parametrize("method", METHODS)
def test_neighbors(method):
    assert together([100, 102], [0, 8], [5, 5], method)  # 3 ticks, 2 channels
    assert not together([100, 103], [0, 0], [5, 5], method)
    assert not together([100, 101], [0, 9], [5, 5], method)
    assert together([0, 799], [0, 0], [5, 5], method)  # induction wires wrap
    assert together([800, 1598], [0, 0], [5, 5], method)
    assert not together([799, 800], [0, 0], [5, 5], method)  # U and V
    assert not together([1600, 2559], [0, 0], [5, 5], method)  # collection wires do not wrap
    assert not together([2079, 2080], [0, 0], [5, 5], method)  # and faces do not join
    assert not together([2559, 2560], [0, 0], [5, 5], method)  # nor do APAs


def test_greedy_opens_a_new_cluster_where_a_channel_was_left_too_long_ago():
    # The third TP touches the second, but the first one is on its own channel and too early.
    track = [100, 101, 100], [0, 6, 14], [5, 7, 5]
    assert not together(*track, "greedy")
    assert together(*track, "connected")


def test_cuts():
    tps = synthetic([100, 101, 102, 300], [0, 0, 0, 0], [5, 1, 5, 5])
    assert found(tps, tot_cut=1, min_tps=2).tolist() == [0, -1, 0, -1]
    assert found(tps, tot_cut=9).tolist() == [-1] * 4


@pytest.mark.parametrize("method", METHODS)
def test_events_do_not_mix(method):
    tps = synthetic([100, 100], [0, 0], [5, 5], [7, 8])
    assert found(tps, method).tolist() == [0, 1]


@pytest.mark.parametrize("method", METHODS)
def test_times_of_a_running_detector(es, method):
    """Absolute times, beyond 2^40 clock ticks, change nothing."""
    later = es | {"time_start": es["time_start"] + 107_000_000_000_000_000}
    np.testing.assert_array_equal(found(later, method, tot_cut=1), found(es, method, tot_cut=1))


@pytest.mark.parametrize("method", METHODS)
def test_clusters_are_numbered_by_event_plane_and_first_tp(method):
    tps = synthetic([1700, 100, 90, 1600, 5], [0, 3, 3, 0, 0], [2] * 5, [2, 2, 2, 2, 1])
    assert found(tps, method).tolist() == [4, 2, 1, 3, 0]


def test_no_tps_at_all():
    tps = synthetic([], [], [])
    ids = found(tps)
    assert len(ids) == len(summarize(ids, tps, DETECTOR, PREDECESSOR_ADC_PER_MEV)) == 0


def test_summary_and_highest():
    tps = synthetic([1600, 1601, 1700, 5], [10, 12, 50, 0], [5, 9, 4, 4])
    clusters = summarize(found(tps), tps, DETECTOR, PREDECESSOR_ADC_PER_MEV)
    assert clusters.plane.tolist() == [0, 2, 2]
    assert clusters.energy_mev.tolist() == [2.0, 1.0, 0.5]
    assert clusters.n_tps.tolist() == [1, 2, 1]
    assert (clusters.start[1], clusters.end[1]) == (320, 21 * 32)
    assert highest_per_event(clusters, clusters.plane == 2).tolist() == [False, True, False]


def test_events_are_numbered_in_ascending_order():
    tps = synthetic([1600, 1601, 1602], [0, 0, 0], [5, 5, 5], [9, 3, 6])
    assert summarize(found(tps), tps, DETECTOR, PREDECESSOR_ADC_PER_MEV).event.tolist() == [0, 1, 2]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=200))
def test_the_older_sort_sorts(keys):
    order = introsort_order(keys)
    assert sorted(order) == list(range(len(keys)))
    assert [keys[i] for i in order] == sorted(keys)
