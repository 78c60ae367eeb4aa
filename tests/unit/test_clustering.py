"""Clusters: the older greedy rule to the last TP on a real file, and a connected rule that no order changes."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snpoint.data.tpstream import read_tpstream
from snpoint.physics.clustering import cluster_ids, highest_per_event, summarize
from snpoint.physics.geometry import load_detector
from snpoint.physics.matching import match

ADC_PER_MEV = (900.0, 900.0, 3600.0)
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
TP_FINGERPRINTS = {
    "test": "8cdd5fa2b85c59acd531e0cbff6e6eb8dba891e13d2037e49074616fc527ca0d",
    "prod": "0e083dc77e52ce04e1329aec30af9b4a6a461bc30b6c104e6a6d6dcbcfcee3c1",
}
DETECTOR = load_detector("fdhd_1x2x2")


def sha(lines):
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def cluster_lines(tps, ids, chosen):
    lines = []
    for number in np.flatnonzero(chosen):
        rows = np.flatnonzero(ids == number)
        members = sorted(zip(tps["channel"][rows].tolist(), tps["time_start"][rows].tolist(), strict=True))
        plane = "UVX"[tps["plane"][rows[0]]]
        lines.append(f"{tps['event'][rows[0]]}|{plane}|" + ",".join(f"{ch}:{ts}" for ch, ts in members))
    return lines


def synthetic(channels, starts, lengths, event=1):
    """TPs of one event, as columns of the TP table."""
    channels = np.asarray(channels, np.int64)
    n = len(channels)
    return {
        "event_uid": np.full(n, event, np.uint64),
        "channel": channels.astype(np.int32),
        "apa": DETECTOR.apa(channels).astype(np.uint8),
        "plane": DETECTOR.plane(channels).astype(np.uint8),
        "face": DETECTOR.face(channels).astype(np.int8),
        "time_start": np.asarray(starts, np.int64) * 32,
        "samples_over_threshold": np.asarray(lengths, np.uint16),
        "adc_integral": np.full(n, 1800, np.uint32),
    }


def found(tps, algorithm="connected", **changes):
    recipe = {"tick_gap": 3, "channel_gap": 2, "min_tps": 1, "tot_cut": 0} | changes
    return cluster_ids(tps, DETECTOR, algorithm=algorithm, **recipe)


def together(channels, starts, lengths, algorithm="connected", **changes):
    ids = found(synthetic(channels, starts, lengths), algorithm, **changes)
    return len(set(ids.tolist())) == 1


@pytest.fixture(scope="module")
def es(real_data):
    trees = read_tpstream(real_data / "test_es_tpstream.root", ("tps", "mctruths", "mcparticles"))
    return match(trees, DETECTOR, truth="backtracker", interaction="truth")


@pytest.mark.parametrize("run", RUNS)
def test_greedy_is_the_older_rule_to_the_last_tp(es, run):
    cuts, energy_cut_mev, accepted, discarded, n_tps = RUNS[run]
    ids = found(es, "greedy", min_tps=2, **cuts)
    clusters = summarize(ids, es, DETECTOR, ADC_PER_MEV)
    passed = clusters.energy_mev >= energy_cut_mev
    assert sha(cluster_lines(es, ids, np.ones(len(clusters), bool))) == FINGERPRINTS[run, "all"]
    assert sha(cluster_lines(es, ids, passed)) == FINGERPRINTS[run, "accepted"]
    assert tuple(np.bincount(clusters.plane[passed], minlength=3)) == accepted
    assert tuple(np.bincount(clusters.plane[~passed], minlength=3)) == discarded
    assert (es["samples_over_threshold"] > cuts["tot_cut"]).sum() == n_tps


@pytest.mark.parametrize("run", RUNS)
def test_the_tps_that_enter_are_the_documented_ones(es, run):
    kept = es["samples_over_threshold"] > RUNS[run][0]["tot_cut"]
    columns = [
        es[key][kept].tolist() for key in ("event", "channel", "time_start", "samples_over_threshold", "adc_integral")
    ]
    lines = [
        f"{event}|{channel}:{start}:{length}:{adc}" for event, channel, start, length, adc in zip(*columns, strict=True)
    ]
    assert sha(lines) == TP_FINGERPRINTS[run]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_connected_does_not_depend_on_the_order(data, seed):
    rng = np.random.default_rng(seed)
    n = data.draw(st.integers(1, 60))
    near_edges = rng.choice([0, 780, 1580, 2060, 2560], n) + rng.integers(0, 40, n)
    tps = synthetic(near_edges, rng.integers(0, 60, n), rng.integers(1, 12, n))
    shuffled = rng.permutation(n)
    ids = found(tps, min_tps=1)
    again = found({key: values[shuffled] for key, values in tps.items()}, min_tps=1)
    pairs = set(zip(ids[shuffled].tolist(), again.tolist(), strict=True))
    assert len(pairs) == len(set(ids.tolist())) == len(set(again.tolist()))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_connected_agrees_with_comparing_all_pairs(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 50))
    tps = synthetic(rng.choice([0, 785], n) + rng.integers(0, 15, n), rng.integers(0, 80, n), rng.integers(1, 10, n))
    start, length = tps["time_start"] // 32, tps["samples_over_threshold"].astype(int)
    gap = np.maximum(start[:, None] - (start + length)[None], start[None] - (start + length)[:, None])
    distance = np.abs(tps["channel"][:, None] - tps["channel"][None])
    joined = (gap <= 3) & ((distance <= 2) | (distance >= 798)) & (distance < 800)
    joined &= tps["plane"][:, None] == tps["plane"][None]
    reached = np.linalg.matrix_power(joined.astype(float) + np.eye(n), n) > 0
    ids = found(tps)
    np.testing.assert_array_equal(ids[:, None] == ids[None], reached)


@pytest.mark.parametrize("algorithm", ["connected", "greedy"])
def test_neighbors(algorithm):
    assert together([100, 102], [0, 8], [5, 5], algorithm)  # 3 ticks, 2 channels
    assert not together([100, 103], [0, 0], [5, 5], algorithm)
    assert not together([100, 101], [0, 9], [5, 5], algorithm)
    assert together([0, 799], [0, 0], [5, 5], algorithm)  # induction wires wrap
    assert together([800, 1598], [0, 0], [5, 5], algorithm)
    assert not together([799, 800], [0, 0], [5, 5], algorithm)  # U and V
    assert not together([1600, 2559], [0, 0], [5, 5], algorithm)  # collection wires do not wrap
    assert not together([2079, 2080], [0, 0], [5, 5], algorithm)  # and faces do not join
    assert not together([2559, 2560], [0, 0], [5, 5], algorithm)  # nor do APAs


def test_greedy_opens_a_new_cluster_where_a_channel_was_left_too_long_ago():
    # The third TP touches the second, but the first one is on its own channel and too early.
    track = [100, 101, 100], [0, 6, 14], [5, 7, 5]
    assert not together(*track, "greedy")
    assert together(*track, "connected")


def test_cuts():
    tps = synthetic([100, 101, 102, 300], [0, 0, 0, 0], [5, 1, 5, 5])
    assert found(tps, tot_cut=1, min_tps=2).tolist() == [0, -1, 0, -1]
    assert found(tps, tot_cut=9).tolist() == [-1] * 4


def test_events_do_not_mix():
    tps = synthetic([100, 100], [0, 0], [5, 5])
    tps["event_uid"] = np.array([7, 8], np.uint64)
    assert found(tps).tolist() == [0, 1]


def test_summary_and_highest():
    tps = synthetic([1600, 1601, 1700, 5], [10, 12, 50, 0], [5, 9, 4, 4])
    clusters = summarize(found(tps), tps, DETECTOR, ADC_PER_MEV)
    assert clusters.plane.tolist() == [0, 2, 2]
    assert clusters.energy_mev.tolist() == [2.0, 1.0, 0.5]
    assert clusters.n_tps.tolist() == [1, 2, 1]
    assert (clusters.start[1], clusters.end[1]) == (320, 21 * 32)
    assert highest_per_event(clusters, clusters.plane == 2).tolist() == [False, True, False]
