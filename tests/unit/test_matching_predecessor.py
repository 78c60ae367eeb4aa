"""The predecessor's rule: its C++ reference reproduced on every TP of the real ES file, faults included."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from toy_matching import ELECTRON, GAMMA, RADIOLOGICAL, joined, match_settings, toy_trees

from snpoint.data.tpstream import read_tpstream
from snpoint.physics.geometry import load_detector
from snpoint.physics.matching import match

DETECTOR = load_detector("fdhd_1x2x2")
APA = DETECTOR.channels_per_apa

# SHA-256 over the lines event|channel:start:samples:integral of the TPs above a cut, of all and of those with truth,
# and the sum of their energies [MeV]: from a run of the C++ with margin 10.
REFERENCE = {
    2: (
        "8cdd5fa2b85c59acd531e0cbff6e6eb8dba891e13d2037e49074616fc527ca0d",
        "1b9a9f79f9098463b1d29a115a4c2e6cb2aa5a02bc8be4b508c5bda5ab222ed8",
        (1652, 221, 256.2126),
    ),
    4: (
        "0e083dc77e52ce04e1329aec30af9b4a6a461bc30b6c104e6a6d6dcbcfcee3c1",
        "7503587a829b1e70ed83bbe7f50d88dc7241f3e7090781b3d1aca6c72bca1a58",
        (219, 202, 240.8608),
    ),
}


def matched(trees, margin=10):
    return match(trees, DETECTOR, settings=match_settings(truth="predecessor", margin_ticks=margin))


def fingerprint(table, rows):
    keys = ("event", "channel", "time_start", "samples_over_threshold", "adc_integral")
    columns = zip(*(table[key][rows].tolist() for key in keys), strict=True)
    lines = sorted(f"{event}|{ch}:{start}:{samples}:{adc}" for event, ch, start, samples, adc in columns)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("samples", REFERENCE)
def test_real_es_tps_are_those_of_the_reference(real_data, samples):
    table = matched(read_tpstream(real_data / "test_es_tpstream.root"))
    every, with_truth, (n, n_truth, energy) = REFERENCE[samples]
    rows = table["samples_over_threshold"] >= samples
    truth = rows & (table["is_signal"] == 1)
    assert (rows.sum(), truth.sum()) == (n, n_truth)
    assert fingerprint(table, rows) == every
    assert fingerprint(table, truth) == with_truth
    assert table["edep_mev"][rows].sum(dtype=np.float64) == pytest.approx(energy, abs=1e-4)


def test_margin_zero_loses_a_third_of_the_signal(real_data):
    trees = read_tpstream(real_data / "test_es_tpstream.root")
    upstream = match(trees, DETECTOR, settings=match_settings())
    own = upstream["samples_over_threshold"] >= 2
    found = [np.sum(matched(trees, margin)["is_signal"] & upstream["is_signal"][own]) for margin in (0, 10)]
    assert upstream["is_signal"][own].sum() == 232
    assert found == [147, 220]


def slow(trees, margin):
    """The rule read literally: for each TP a look at all deposits of its event in the order of the file."""
    tps, deposits, particles, truths = (trees[key] for key in ("tps", "simides", "mcparticles", "mctruths"))
    rows = []
    for event in np.unique(tps["Event"]):
        rows += _slow_event(
            *({key: values[tree["Event"] == event] for key, values in tree.items()}
              for tree in (tps, deposits, particles, truths)),
            window=(1 + margin) * 32,
        )  # fmt: skip
    return sorted(rows)


def _slow_event(tps, deposits, particles, truths, window):
    by_track = {}
    for row in range(len(particles["pdg"])):
        if particles["status_code"][row] != 0 and particles["pdg"][row] != 12:
            by_track[abs(int(particles["g4_track_id"][row]))] = row
    generator = {}
    for row in range(len(truths["pdg"])):
        if truths["status_code"][row] != 0 and truths["pdg"][row] != 12:
            generator.setdefault(int(truths["block_id"][row]), str(truths["generator_name"][row]))
    known = [row for row, track in enumerate(deposits["trackID"]) if abs(int(track)) in by_track]
    channel = deposits["channel"][known].astype(np.int64)
    time = deposits["timestamp"][known].astype(np.int64) * 32
    apas = set((channel[channel >= APA] // APA).tolist())
    keep = tps["samples_over_threshold"] >= (2 if (tps["samples_over_threshold"] > 0).any() else 0)
    found = []
    for tp in np.flatnonzero(keep):
        own, start, energy, particle, name = int(tps["channel"][tp]), int(tps["time_start"][tp]), 0.0, -1, ""
        if len(known) and not (apas and own // APA not in apas):
            distance = np.abs(start - time)
            near = np.flatnonzero((np.where(channel < APA, own % APA, own) == channel) & (distance <= window))
            if len(near):
                energy = float(sum(float(deposits["energy"][known[i]]) for i in near))
                nearest = known[near[np.argmin(distance[near])]]
                particle = by_track[abs(int(deposits["trackID"][nearest]))]
                name = generator.get(int(particles["truth_block_id"][particle]), "")
        signal = "marley" in name.lower()
        pdg = int(particles["pdg"][particle]) if signal else 0
        found.append((int(tps["Event"][tp]), start, own, int(signal), pdg, np.float32(energy), particle >= 0))
    return found


def as_rows(table):
    keys = ("event", "time_start", "channel", "is_signal", "pdg", "edep_mev")
    return sorted(zip(*(table[key].tolist() for key in keys), (table["track_id"] != 0).tolist(), strict=True))


@pytest.mark.parametrize("margin", [0, 10])
@pytest.mark.parametrize("name", ["es", "cc"])
def test_real_tps_have_the_truth_of_a_literal_reading(real_data, name, margin):
    trees = read_tpstream(real_data / f"test_{name}_tpstream.root")
    ours, expected = as_rows(matched(trees, margin)), slow(trees, margin)
    assert [row[:5] + row[6:] for row in ours] == [row[:5] + row[6:] for row in expected]
    np.testing.assert_allclose([row[5] for row in ours], [row[5] for row in expected], rtol=1e-6)


CHANNELS = st.sampled_from([0, 1, APA, APA + 1, 2 * APA])
TPS = st.lists(st.tuples(CHANNELS, st.integers(0, 40), st.integers(0, 4)), min_size=1, max_size=12)
DEPOSITS = st.lists(
    st.tuples(CHANNELS, st.integers(0, 40), st.integers(1, 9), st.sampled_from([1, 2, -2, 3, 7, 99])), max_size=25
)


@given(st.lists(st.tuples(TPS, DEPOSITS), min_size=1, max_size=3), st.integers(0, 4))
@hypothesis_settings(max_examples=150, deadline=None)
def test_random_events_have_the_truth_of_a_literal_reading(events, margin):
    trees = joined(*(toy_trees(set(tps), deposits, event) for event, (tps, deposits) in enumerate(events)))
    ours, expected = as_rows(matched(trees, margin)), slow(trees, margin)
    assert [row[:5] + row[6:] for row in ours] == [row[:5] + row[6:] for row in expected]
    np.testing.assert_allclose([row[5] for row in ours], [row[5] for row in expected], rtol=1e-6)


def test_apa_0_is_lost_where_other_apas_have_deposits():
    tps, deposits = [(5, 10, 4), (APA + 5, 10, 4)], [(5, 10, 100, ELECTRON), (APA + 6, 10, 100, ELECTRON)]
    assert matched(toy_trees(tps, deposits))["is_signal"].tolist() == [0, 1]
    assert matched(toy_trees(tps[:1], deposits[:1]))["is_signal"].tolist() == [1]


def test_deposits_of_apa_0_match_tps_of_any_apa():
    assert matched(toy_trees([(3 * APA + 5, 10, 4)], [(5, 10, 100, ELECTRON)]))["is_signal"].tolist() == [1]


def test_a_deposit_counts_for_every_tp_in_reach():
    table = matched(toy_trees([(5, 10, 2), (5, 14, 2)], [(5, 12, 100, ELECTRON)]))
    assert table["edep_mev"].tolist() == pytest.approx([0.1, 0.1])


def test_nearest_deposit_gives_the_particle_and_the_first_in_the_file_wins_a_tie():
    table = matched(toy_trees([(5, 10, 9)], [(5, 13, 100, GAMMA), (5, 8, 1, ELECTRON), (5, 12, 100, GAMMA)]))
    assert table["track_id"].tolist() == [ELECTRON]
    assert table["x_cm"].tolist() == [2.0]


def test_truth_of_background_is_a_track_without_a_particle():
    table = matched(toy_trees([(5, 10, 9)], [(5, 10, 100, RADIOLOGICAL)]))
    assert (table["track_id"][0], table["is_signal"][0], table["pdg"][0]) == (RADIOLOGICAL, 0, 0)
    assert table["edep_mev"][0] == pytest.approx(0.1)


def test_tps_of_one_sample_are_dropped_unless_no_tp_has_a_length():
    assert len(matched(toy_trees([(5, 10, 1), (6, 10, 2)], []))["channel"]) == 1
    assert len(matched(toy_trees([(5, 10, 0), (6, 10, 0)], []))["channel"]) == 2
