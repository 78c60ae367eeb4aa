"""Simulated chunks: reproducible event by event, and like the real files in schema, units and TPs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import toy_simulation

from snpoint.data.tpstream import SCHEMA, read_tpstream
from snpoint.errors import UsageError
from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation.chunk import Trees, run_number, simulate_chunk

DETECTOR = load_detector("fdhd_1x2x2")


@pytest.fixture(scope="module")
def chunk() -> Trees:
    """300 events of chunk 3 without standalone noise."""
    return simulate_chunk(toy_simulation.settings(events_per_chunk=300), "sim_es", 3)


def equal(first: Trees, second: Trees) -> bool:
    return all(np.array_equal(first[tree][key], second[tree][key]) for tree in first for key in first[tree])


def of_event(trees: Trees, event: int) -> Trees:
    return {
        tree: {key: values[branches["Event"] == event] for key, values in branches.items()}
        for tree, branches in trees.items()
    }


def test_the_same_settings_give_the_same_arrays() -> None:
    s = toy_simulation.settings(noise=toy_simulation.noise(standalone=0.1))
    first = simulate_chunk(s, "sim_es", 0)
    assert equal(first, simulate_chunk(s, "sim_es", 0))
    for other in (
        simulate_chunk(s, "sim_es", 1),
        simulate_chunk(s, "sim_other", 0),
        simulate_chunk(s.model_copy(update={"seed": 8}), "sim_es", 0),
    ):
        assert not np.array_equal(first["mctruths"]["px"], other["mctruths"]["px"])
        assert not np.array_equal(first["tps"]["channel"], other["tps"]["channel"])


def test_an_event_comes_out_the_same_alone_and_in_any_order() -> None:
    s = toy_simulation.settings(noise=toy_simulation.noise(standalone=0.1))
    whole = simulate_chunk(s, "sim_es", 2)
    for event in (0, 7, 19):
        number = 2 * s.events_per_chunk + event + 1
        alone = simulate_chunk(s, "sim_es", 2, events=[event])
        assert set(alone["tps"]["Event"]) == {number}
        assert equal(alone, of_event(whole, number))
    backwards = simulate_chunk(s, "sim_es", 2, events=range(19, -1, -1))
    assert equal(of_event(backwards, 2 * 20 + 8), of_event(whole, 2 * 20 + 8))


def test_identifiers(chunk: Trees) -> None:
    for branches in chunk.values():
        assert set(branches["SubRun"]) == {3}
        assert set(branches["Run"]) == {run_number("sim_es")}
    np.testing.assert_array_equal(chunk["mcneutrinos"]["Event"], np.arange(901, 1201))
    assert run_number("sim_es") != run_number("sim_es_2")
    assert all(500_000 <= run_number(name) < 2**20 for name in ("a", "sim_es", "x" * 60))
    with pytest.raises(UsageError, match=r"chunk: 4096.*events_per_chunk"):
        simulate_chunk(toy_simulation.settings(), "sim_es", 4096)


def test_branches_and_types_are_those_of_the_schema(chunk: Trees) -> None:
    assert list(chunk) == list(SCHEMA)
    for tree, kinds in SCHEMA.items():
        assert list(chunk[tree]) == list(kinds)
        for key, kind in kinds.items():
            found = chunk[tree][key].dtype
            assert found.kind == "U" if kind == "string" else found == np.dtype(kind), f"{tree}.{key}"


def test_truth_describes_the_scattering_in_the_units_of_the_files(chunk: Trees) -> None:
    truth = {key: values.reshape(-1, 4) for key, values in chunk["mctruths"].items()}
    np.testing.assert_array_equal(truth["pdg"][:, 1::2], 11)
    np.testing.assert_array_equal(truth["pdg"][:, 0], truth["pdg"][:, 2])
    assert set(truth["pdg"][:, 0]) <= {12, -12, 14, -14, 16, -16}
    np.testing.assert_array_equal(chunk["mcneutrinos"]["nupdg"], truth["pdg"][:, 0])
    np.testing.assert_array_equal(truth["status_code"], np.tile([0, 0, 1, 1], (300, 1)))
    momentum = np.stack([truth["px"], truth["py"], truth["pz"]], axis=-1)
    mass = np.array([0, ELECTRON_MASS_MEV, 0, ELECTRON_MASS_MEV]) / 1e3
    np.testing.assert_allclose(truth["energy"] ** 2, (momentum**2).sum(axis=-1) + mass**2, atol=1e-14)
    np.testing.assert_allclose(momentum[:, :2].sum(axis=1), momentum[:, 2:].sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(truth["energy"][:, :2].sum(axis=1), truth["energy"][:, 2:].sum(axis=1), atol=1e-9)
    kinetic = truth["energy"][:, 3] * 1e3 - ELECTRON_MASS_MEV
    assert kinetic.min() >= 3.0 and kinetic.max() <= 60.0
    np.testing.assert_allclose(chunk["mcneutrinos"]["y"], kinetic / truth["energy"][:, 0] / 1e3)
    electrons = chunk["mcparticles"]["pdg"] == 11
    np.testing.assert_array_equal(chunk["mcparticles"]["px"][electrons], truth["px"][:, 3])
    cosine = (momentum[:, 0] * momentum[:, 3]).sum(axis=1) / np.linalg.norm(momentum[:, 0], axis=1)
    assert (cosine / np.linalg.norm(momentum[:, 3], axis=1)).mean() == pytest.approx(0.98, abs=0.02)


def test_deposits_are_summed_over_the_three_planes(chunk: Trees) -> None:
    particles, ides = chunk["mcparticles"], chunk["simides"]
    electrons = particles["pdg"] == 11
    kinetic = particles["energy"][electrons] * 1e3 - ELECTRON_MASS_MEV
    total = (particles["edep"] + particles["shower_edep"])[electrons]
    # A little leaves the volume, or falls between the collection wires of two APAs.
    assert np.median(total / kinetic) == pytest.approx(3.0, abs=0.01)
    assert total.sum() == pytest.approx(ides["energy"].astype(float).sum(), rel=1e-5)
    assert set(ides["trackID"]) == {2, -2}
    assert (particles["edep"][~electrons] == 0).all()


def test_simides_lie_on_the_drift_line(chunk: Trees) -> None:
    ides = chunk["simides"]
    slope, start = np.polyfit(np.abs(ides["x"].astype(float)), ides["timestamp"].astype(float), 1)
    assert 1 / slope == pytest.approx(0.0803, abs=0.0005)
    assert start == pytest.approx(DETECTOR.tick_at_anode, abs=1.0)
    order = np.lexsort((ides["timestamp"], ides["channel"], ides["Event"]))
    np.testing.assert_array_equal(ides["channel"], ides["channel"][order])


def test_collection_channels_follow_the_drift_side(chunk: Trees) -> None:
    tps = chunk["tps"]
    vertex = dict(zip(chunk["mctruths"]["Event"], chunk["mctruths"]["x"], strict=True))
    x = np.array([vertex[event] for event in tps["Event"]])
    # Photons seldom cross the cathode or the APAs: the TPs of the track itself stay on its side.
    own = (tps["bt_primary_track_id"] == 2) & (tps["readout_view"] == 2)
    local = DETECTOR.local(tps["channel"])
    np.testing.assert_array_equal(local[own] < 2080, x[own] < 0)
    assert ((local[own] >= 1600) & (local[own] < 2560)).all()
    np.testing.assert_array_equal(tps["readout_plane_id"][own], np.where(x[own] < 0, 2, 3))
    np.testing.assert_array_equal(np.sign(tps["bt_x"][own]), np.sign(x[own]))


def test_tps_are_like_the_real_ones(chunk: Trees, real_data: Path) -> None:
    es, cc = (read_tpstream(real_data / f"test_{name}_tpstream.root", ["tps"])["tps"] for name in ("es", "cc"))
    mine = chunk["tps"]
    for plane, adc_per_mev in enumerate((1000, 1100, 4100)):
        own, theirs = _signal(mine, plane), _signal(cc, plane)
        found = mine["adc_integral"][own].sum() / mine["bt_edep"][own].sum()
        assert found == pytest.approx(adc_per_mev, rel=0.12)
        # Shapes against the CC file, which has 700 such TPs per plane; numbers against the few ES events.
        for key in ("samples_over_threshold", "adc_peak", "adc_integral"):
            assert np.median(mine[key][own]) == pytest.approx(np.median(cc[key][theirs]), rel=0.25)
        assert own.sum() / 300 == pytest.approx(_signal(es, plane).sum() / 10, rel=0.35)


def _signal(tps: dict[str, np.ndarray], plane: int) -> np.ndarray:
    long_enough = (tps["samples_over_threshold"] >= 4) & (tps["readout_view"] == plane)
    return long_enough & (tps["bt_primary_track_id"] != -99999)


def test_every_signal_tp_has_truth_and_noise_has_none() -> None:
    s = toy_simulation.settings(noise=toy_simulation.noise(standalone=0.2))
    tps = simulate_chunk(s, "sim_es", 0)["tps"]
    noise = tps["bt_primary_track_id"] == -99999
    assert (tps["bt_edep"][~noise] > 0).all() and (tps["bt_edep"][noise] == 0).all()
    for key in ("bt_x", "bt_y", "bt_z", "bt_primary_x", "bt_primary_track_numelectron_frac"):
        assert (tps[key][noise] == -99999).all()
    assert (tps["bt_primary_track_numelectron_frac"][~noise] >= 0.5).all()
    assert noise.sum() == pytest.approx(20 * 0.2 * 1270, rel=0.1)
    np.testing.assert_array_equal(tps["time_start"] % 32, 0)
