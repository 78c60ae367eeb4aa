"""Truth trees: real events told as blocks give the rows of the real files; tracks, sums and what is listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snpoint.data.tpstream import Trees, read_tpstream
from snpoint.physics.constants import BACKGROUND, CC, ES, NO_TRACK
from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation import truthtables
from snpoint.physics.simulation.events import (
    ARGON_40,
    ELECTRON,
    MASS_MEV,
    NEUTRON,
    NO_MOTHER,
    PHOTON,
    POTASSIUM_39,
    Block,
    Event,
    Neutrino,
    particles,
)
from snpoint.physics.simulation.records import (
    NOTHING,
    EventRecord,
    event_record,
    interaction_of,
    joined,
    listed,
    track_numbers,
)

DETECTOR = load_detector("fdhd_1x2x2")
UP = (0.0, 1.0, 0.0)


def real_event(mctruths: dict[str, np.ndarray], event: int) -> Event:
    """An event of a file as a block."""
    row = {key: values[mctruths["Event"] == event] for key, values in mctruths.items()}
    momentum = 1e3 * np.stack([row["px"], row["py"], row["pz"]], axis=1)
    size = np.linalg.norm(momentum, axis=1)
    direction = momentum / np.maximum(size, 1e-300)[:, None]
    final = row["status_code"] == 1
    mass = np.array([MASS_MEV[code] for code in row["pdg"].tolist()])
    # From the momentum, since a nucleus of 37 GeV tells little about its own kinetic energy
    kinetic = size**2 / (np.hypot(size, mass) + mass)
    vertex = np.stack([row["x"], row["y"], row["z"]], axis=1)[0]
    made = particles(row["pdg"][final], kinetic[final], vertex, direction[final])
    neutrino = Neutrino(int(row["pdg"][0]), 1e3 * row["energy"][0], direction[0])
    return Event((Block("marley", made, neutrino, int(row["pdg"][1])),))


def record(event: Event, truth: str = "all", **readout: np.ndarray) -> EventRecord:
    """The record of an event whose particles stay where they are."""
    made = joined(event.blocks)
    tracks = track_numbers(made)
    tps, keys = (readout.get(name, np.zeros((0, n), np.int64)) for name, n in (("tps", 7), ("keys", 3)))
    amounts = readout.get("amounts", np.ones((len(keys), 5)))
    return event_record(
        listed(event, made, tracks, truth),
        tracks,
        (np.zeros(len(tracks)), made.position_cm.copy()),
        (tps, np.zeros((len(tps), 9))),
        (np.arange(len(keys)), keys, amounts),
    )


def trees_of(*events: Event, truth: str = "all") -> Trees:
    numbers = np.arange(1, len(events) + 1)
    return truthtables.trees([record(event, truth) for event in events], DETECTOR, (7, 0, numbers))


@pytest.fixture(scope="module", params=["es", "cc"])
def real(request: pytest.FixtureRequest, real_data: Path) -> Trees:
    names = ["mctruths", "mcneutrinos", "mcparticles"]
    return read_tpstream(real_data / f"test_{request.param}_tpstream.root", names)


def test_real_events_give_the_rows_of_the_real_files(real: Trees) -> None:
    numbers = np.unique(real["mctruths"]["Event"])
    records = [record(real_event(real["mctruths"], number)) for number in numbers]
    again = truthtables.trees(records, DETECTOR, (8106, 0, numbers))
    for key in ("Event", "block_id", "truth_track_id", "pdg", "generator_name", "status_code", "process"):
        np.testing.assert_array_equal(again["mctruths"][key], real["mctruths"][key], key)
    for key in ("x", "y", "z", "px", "py", "pz"):
        np.testing.assert_allclose(again["mctruths"][key], real["mctruths"][key], atol=1e-12, err_msg=key)
    # GeV: masses of nuclei are typed in to the keV
    np.testing.assert_allclose(again["mctruths"]["energy"], real["mctruths"]["energy"], atol=3e-6)


def test_neutrino_rows_are_filled_as_in_the_real_files(real: Trees) -> None:
    numbers = np.unique(real["mctruths"]["Event"])
    records = [record(real_event(real["mctruths"], number)) for number in numbers]
    mine, theirs = truthtables.trees(records, DETECTOR, (8106, 0, numbers))["mcneutrinos"], real["mcneutrinos"]
    for key in ("Event", "block_id", "nupdg", "leptonpdg", "ccnc", "mode", "interactionType", "target", "hitnuc"):
        np.testing.assert_array_equal(mine[key], theirs[key], key)
    for key, tolerance in {"w": 3e-6, "x": 1e-6, "y": 1e-9, "qsqr": 1e-9, "pt": 1e-12, "theta": 1e-9}.items():
        np.testing.assert_allclose(mine[key], theirs[key], atol=tolerance, err_msg=key)
    # Upstream forgets the name in its first row; that is not imitated.
    assert theirs["generator_name"][0] == "" and set(mine["generator_name"]) == {"marley"}


def test_tracks_are_numbered_in_the_order_of_the_final_state_as_in_the_real_files(real: Trees) -> None:
    numbers = np.unique(real["mctruths"]["Event"])
    records = [record(real_event(real["mctruths"], number)) for number in numbers]
    mine, theirs = truthtables.trees(records, DETECTOR, (8106, 0, numbers))["mcparticles"], real["mcparticles"]
    primary = theirs["process"] == "primary"
    for key in ("Event", "pdg", "g4_track_id", "mother", "truth_block_id", "status_code", "process", "generator_name"):
        np.testing.assert_array_equal(mine[key], theirs[key][primary], key)
    for key in ("x", "px", "py", "pz", "t"):
        np.testing.assert_allclose(mine[key], theirs[key][primary], atol=1e-12, err_msg=key)
    neutrino = mine["pdg"] == 12
    for axis in "xyz":
        np.testing.assert_allclose(mine[f"end_{axis}"][neutrino], theirs[f"end_{axis}"][primary][neutrino], rtol=1e-6)
    np.testing.assert_allclose(mine["end_t"][neutrino], theirs["end_t"][primary][neutrino], rtol=1e-6)


def test_every_neutrino_of_the_real_files_ends_at_our_wall_of_the_world(real: Trees) -> None:
    # Antineutrinos of decays are among them; those are the ones that reach the walls above and below.
    made = {
        key: values[np.isin(np.abs(real["mcparticles"]["pdg"]), (12, 14, 16))]
        for key, values in real["mcparticles"].items()
    }
    start, momentum, end = (np.stack([made[f"{name}{axis}"] for axis in "xyz"], axis=1) for name in ("", "p", "end_"))
    flight = momentum / np.linalg.norm(momentum, axis=1)[:, None]
    ours = start + truthtables._to_world_wall(start, flight)[:, None] * flight
    np.testing.assert_allclose(ours, end, rtol=1e-6, atol=1e-3)


def with_neutron() -> Event:
    """A CC interaction with a neutron that is captured after 200 us, and two decays beside it."""
    made = particles(
        [ELECTRON, POTASSIUM_39, NEUTRON, PHOTON, PHOTON],
        [10.0, 0.1, 2.0, 4.0, 2.1],
        [(150, 100, 50), (150, 100, 50), (150, 100, 50), (180, 90, 70), (180, 90, 70)],
        UP,
        [0.0, 0.0, 0.0, 200.0, 200.0],
        [NO_MOTHER, NO_MOTHER, NO_MOTHER, 2, 2],
    )
    decays = particles([ELECTRON, ELECTRON], [0.2, 0.3], [(50, 1, 2), (60, 3, 4)], UP, [-30.0, 400.0])
    neutrino = Neutrino(12, 25.0, np.array([0.0, 0.0, 1.0]))
    return Event((Block("marley", made, neutrino, ARGON_40), Block("Ar39GenInLAr", decays)))


def test_what_is_born_later_has_a_mother_and_no_row_in_mctruths() -> None:
    trees = trees_of(with_neutron())
    truth, made = trees["mctruths"], trees["mcparticles"]
    np.testing.assert_array_equal(truth["pdg"], [12, ARGON_40, ELECTRON, POTASSIUM_39, NEUTRON, ELECTRON, ELECTRON])
    np.testing.assert_array_equal(truth["truth_track_id"], [-1, -2, -3, -4, -5, -1, -2])
    np.testing.assert_array_equal(truth["block_id"], [0, 0, 0, 0, 0, 1, 1])
    assert truth["generator_name"].tolist() == ["marley"] * 5 + ["Ar39GenInLAr"] * 2
    np.testing.assert_array_equal(made["g4_track_id"], np.arange(1, 8))
    np.testing.assert_array_equal(made["pdg"], [ELECTRON, POTASSIUM_39, NEUTRON, ELECTRON, ELECTRON, PHOTON, PHOTON])
    np.testing.assert_array_equal(made["mother"], [0, 0, 0, 0, 0, 3, 3])
    np.testing.assert_array_equal(made["truth_block_id"], [0, 0, 0, 1, 1, 0, 0])
    assert made["process"].tolist() == ["primary"] * 5 + ["nCapture"] * 2
    # ns and cm: the neutron ends where and when it is captured
    np.testing.assert_allclose(made["t"], [0, 0, 0, -3e4, 4e5, 2e5, 2e5])
    assert [made[f"end_{axis}"][2] for axis in "xyz"] == [180, 90, 70] and made["end_t"][2] == pytest.approx(2e5)


def test_tracks_of_tps_and_deposits_tell_the_particle_from_its_daughters() -> None:
    tps = np.zeros((3, 7), np.int64)
    tps[:, 6] = [2 * 0, 2 * 3 + 1, -1]  # the electron itself, daughters of the first gamma, noise
    keys = np.array([[5, 9, 0], [5, 9, 1], [6, 9, 7], [7, 9, 10]])
    amounts = np.array([[100.0, 1.0, 0, 0, 0], [10, 0.1, 0, 0, 0], [20, 0.2, 0, 0, 0], [30, 0.3, 0, 0, 0]])
    found = record(with_neutron(), tps=tps, keys=keys, amounts=amounts)
    np.testing.assert_array_equal(found.tps[:, 6], [1, -6, NO_TRACK])
    np.testing.assert_array_equal(found.ide_keys[:, 2], [1, -1, -6, 4])
    made = truthtables.trees([found], DETECTOR, (7, 0, np.array([1])))["mcparticles"]
    np.testing.assert_allclose(made["edep"], [1.0, 0, 0, 0.3, 0, 0, 0])
    np.testing.assert_allclose(made["shower_edep"], [0.1, 0, 0, 0, 0, 0.2, 0])
    np.testing.assert_allclose(made["numelectrons"], [100, 0, 0, 30, 0, 0, 0])
    np.testing.assert_allclose(made["shower_numelectrons"], [10, 0, 0, 0, 0, 20, 0])


def test_interaction_alone_lists_its_rows_with_the_same_numbers() -> None:
    keys = np.array([[5, 9, 0], [7, 9, 10], [8, 9, 6]])
    found = record(with_neutron(), "interaction", keys=keys, tps=np.array([[0, 0, 0, 0, 0, 0, 10]]))
    some = truthtables.trees([found], DETECTOR, (7, 0, np.array([1])))
    every = truthtables.trees([record(with_neutron(), keys=keys)], DETECTOR, (7, 0, np.array([1])))
    for tree, column in (("mctruths", "block_id"), ("mcparticles", "truth_block_id")):
        kept = every[tree][column] == 0
        for key, values in every[tree].items():
            np.testing.assert_array_equal(some[tree][key], values[kept], f"{tree}.{key}")
    np.testing.assert_array_equal(some["simides"]["trackID"], [1, 6])
    assert some["tps"]["bt_primary_track_id"].tolist() == [4], "a TP keeps the number of a track that is not listed"


def test_a_window_without_interaction_is_still_known_to_be_background() -> None:
    decays = Event(with_neutron().blocks[1:])
    for truth, rows in (("all", 2), ("interaction", 1)):
        trees = trees_of(decays, truth=truth)
        assert len(trees["mctruths"]["pdg"]) == len(trees["mcparticles"]["pdg"]) == rows
        assert set(trees["mctruths"]["generator_name"]) == {"Ar39GenInLAr"}
        assert len(trees["mcneutrinos"]["Event"]) == 0
    nothing = trees_of(Event((NOTHING,)))
    assert nothing["mctruths"]["pdg"].tolist() == nothing["mcparticles"]["pdg"].tolist() == [0]
    assert nothing["mctruths"]["energy"].tolist() == [0.0]


def test_blocks_without_particles_and_events_of_all_kinds_in_one_part() -> None:
    empty = Block("K42From42ArGenInLAr", particles(np.zeros(0), 0.0, np.zeros((0, 3)), np.zeros((0, 3))))
    interaction, decays = with_neutron().blocks
    trees = trees_of(Event((empty, decays)), Event((NOTHING,)), Event((interaction, empty, decays)))
    np.testing.assert_array_equal(trees["mctruths"]["Event"], [1, 1, 2, 3, 3, 3, 3, 3, 3, 3])
    np.testing.assert_array_equal(trees["mctruths"]["block_id"], [1, 1, 0, 0, 0, 0, 0, 0, 2, 2])
    np.testing.assert_array_equal(trees["mcparticles"]["mother"][-2:], [3, 3])
    np.testing.assert_array_equal(trees["mcneutrinos"]["Event"], [3])


def test_kinds_of_events(real: Trees) -> None:
    event = real_event(real["mctruths"], int(real["mctruths"]["Event"][0]))
    assert interaction_of(event) == (ES if real["mctruths"]["pdg"][1] == ELECTRON else CC)
    assert interaction_of(Event((NOTHING,))) == BACKGROUND
