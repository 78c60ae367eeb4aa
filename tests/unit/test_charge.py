"""From energy deposits to the wires: where and when charge arrives, how much, how far it spreads, and whose it is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from toy_geometry import drift_tick
from toy_readout import DETECTOR, YIELD, drift, random_state

from snpoint.physics.geometry import known_detectors, load_detector
from snpoint.physics.simulation import charge as chg
from snpoint.physics.simulation import events, recombination
from snpoint.physics.simulation.transport import Transport

CENTERS = [(v, np.mean([v.x_range_cm, v.y_range_cm, v.z_range_cm], axis=1)) for v in DETECTOR.volumes]


@pytest.mark.parametrize(("volume", "center"), CENTERS)
def test_charge_arrives_where_the_geometry_says(volume, center: np.ndarray) -> None:
    charge, order = drift(np.repeat(center[None], 300, axis=0), mev=0.02)
    keys, electrons = charge.keys[order], charge.amounts[order, chg.NE]
    assert set(DETECTOR.apa(keys[:, 0])) == {volume.apa}
    assert set(DETECTOR.face(keys[:, 0])) == {0, volume.face}
    plane, local = DETECTOR.plane(keys[:, 0]), DETECTOR.local(keys[:, 0])
    line = drift_tick(DETECTOR, center[0])
    for number, wires in enumerate(volume.wires):
        here = plane == number
        distance = local[here] - volume.channel(number, center[1], center[2])
        if wires.modulus is not None:
            distance = (distance + wires.modulus / 2) % wires.modulus - wires.modulus / 2
        assert np.average(distance, weights=electrons[here]) == pytest.approx(0.0, abs=0.1)
        assert np.abs(distance).max() < 3
        assert np.average(keys[here, 1], weights=electrons[here]) == pytest.approx(line, abs=0.1)


def test_charge_decays_with_the_drift_time_and_keeps_its_energy() -> None:
    for x in (10.0, 180.0, 360.0):
        charge, order = drift(np.tile([[x, -300.0, 100.0]], (200, 1)), mev=0.05)
        amounts = charge.amounts[order]
        time_us = 0.5 * (12.455 * x - 53.93)
        assert amounts[:, chg.MEV].sum() == pytest.approx(3 * 10.0, rel=1e-9)
        assert amounts[:, chg.NE].sum() == pytest.approx(3 * 10.0 * YIELD * np.exp(-time_us / 10_400), rel=1e-9)


@pytest.mark.parametrize("name", known_detectors())
def test_every_layout_drifts_to_its_own_anodes_and_wires(name: str) -> None:
    detector = load_detector(name)
    for volume in detector.volumes:
        point = np.array([np.mean(r) for r in (volume.x_range_cm, volume.y_range_cm, volume.z_range_cm)])
        charge, order = drift(np.tile(point, (50, 1)), mev=0.02, detector=detector)
        keys, electrons = charge.keys[order], charge.amounts[order, chg.NE]
        assert set(detector.apa(keys[:, 0])) == {volume.apa}
        assert set(detector.plane(keys[:, 0])) == {0, 1, 2}
        assert set(detector.face(keys[:, 0])) <= {0, volume.face}
        line = detector.ticks_per_cm * abs(point[0] - volume.anode_cm) + detector.tick_at_anode
        assert np.average(keys[:, 1], weights=electrons) == pytest.approx(line, abs=0.3)


def test_charge_of_a_later_particle_arrives_later_and_is_as_large() -> None:
    points = np.tile([[100.0, -300.0, 100.0]], (200, 1))
    early, order = drift(points, mev=0.05)
    late, later = drift(points, mev=0.05, times_us=500.0)
    np.testing.assert_array_equal(late.keys[later][:, 1], early.keys[order][:, 1] + 1000)
    np.testing.assert_allclose(late.amounts[later], early.amounts[order])


def test_what_arrives_outside_of_the_window_is_lost() -> None:
    points = np.tile([[100.0, -300.0, 100.0]], (200, 1))
    for time_us in (-1000.0, 2800.0):
        assert drift(points, times_us=time_us)[0].counts[chg.ROWS] == 0
    charge, order = drift(points, times_us=-595.0)
    assert 0 < charge.amounts[order, chg.MEV].sum() < 3 * 200
    assert charge.keys[order][:, 1].min() == 0


def test_the_origin_tells_particles_and_their_daughters_apart() -> None:
    owners, classes = np.repeat(np.arange(300), 2), np.tile([0, 1], 300)
    points = np.tile([[20.0, -300.0, 100.0]], (600, 1))
    points[:, 0] += 0.5 * np.arange(600)
    charge, order = drift(points, mev=0.01, owners=owners, classes=classes, rows=200_000)
    keys, amounts = charge.keys[order], charge.amounts[order]
    np.testing.assert_allclose(np.bincount(keys[:, 2], amounts[:, chg.MEV], minlength=600), 3 * 0.01, rtol=0.25)


def test_a_cell_has_one_row_and_the_first_to_arrive_owns_it() -> None:
    # As in the real files: 89,206 of 89,206 cells; all six protons there lose or win their charge by this rule.
    near, far = [[100.0, -300.0, 100.0]], [[100.05, -300.0, 100.0]]
    for points, owner in ((near + far, 0), (far + near, 2)):
        charge, order = drift(np.array(points), mev=0.03, owners=np.array([0, 1]))
        keys, amounts = charge.keys[order], charge.amounts[order]
        assert (np.diff(keys[:, 0] * DETECTOR.n_ticks + keys[:, 1]) > 0).all(), "in order, and no cell twice"
        both = keys[:, 1] < keys[:, 1].max()
        assert set(keys[both, 2]) == {owner}
        assert amounts[:, chg.MEV].sum() == pytest.approx(3 * 0.06), "and has the charge of both"
    late, order = drift(np.array(near + far), mev=0.03, owners=np.array([0, 1]), times_us=np.array([1.0, 0.0]))
    assert set(late.keys[order][late.keys[order][:, 1] < late.keys[order][:, 1].max() - 1, 2]) == {2}


def test_cells_hold_an_electron_at_least_and_deposits_keep_their_charge() -> None:
    point = np.array([[300.0, -300.0, 100.2]])
    for mev in (0.003, 0.03, 0.3):
        charge, order = drift(point, mev=mev)
        electrons = charge.amounts[order, chg.NE]
        assert electrons.min() >= 1.0
        assert electrons.sum() == pytest.approx(3 * mev * YIELD * np.exp(-0.5 * (12.455 * 300 - 53.93) / 10_400))
    assert drift(point, mev=1e-5)[0].counts[chg.ROWS] == 0


def test_positions_are_means_of_the_charge() -> None:
    points = np.array([[100.0, -300.0, 100.0], [100.0, -300.02, 100.01]])
    charge, order = drift(np.repeat(points, 500, axis=0), mev=0.01)
    amounts = charge.amounts[order].sum(axis=0)
    np.testing.assert_allclose(amounts[chg.X_NE :] / amounts[chg.NE], points.mean(axis=0), atol=2e-3)


def test_a_short_list_says_so_and_a_longer_one_gives_the_same() -> None:
    points = np.tile([[300.0, -300.0, 100.0]], (400, 1))
    short, _ = drift(points, rows=16)
    assert short.counts[chg.FULL]
    one, two = drift(points, rows=256), drift(points, rows=65536)
    np.testing.assert_array_equal(one[0].keys[one[1]], two[0].keys[two[1]])
    np.testing.assert_array_equal(one[0].amounts[one[1]], two[0].amounts[two[1]])


def test_dense_ionization_recombines() -> None:
    assert pytest.approx(30_300, rel=0.01) == YIELD
    density = np.array([1.7, 3.0, 7.0, 11.0, 22.0, 36.0])
    found = np.array([chg.escaping(value) for value in density])
    assert (np.diff(found) < 0).all()
    charge, order = drift(np.tile([[100.0, -300.0, 100.0]], (20, 1)), mev=0.02, density=22.0)
    electrons = charge.amounts[order, chg.NE].sum() / charge.amounts[order, chg.MEV].sum()
    assert 5_500 < electrons < 8_000
    assert chg.escaping(0.0) == chg.escaping(1.0) < 1.0


def test_isolated_deposits_of_gammas_have_the_yields_of_the_real_files() -> None:
    # Electrons per MeV of 621 such deposits in a LArSoft production, drift lifetime taken out, by their energy.
    edges, measured = [0.03, 0.06, 0.1, 0.2, 0.4, 0.7, 1.2, 2.0], [9990, 13440, 17340, 22370, 24840, 26310, 27400]
    transport, state = Transport(), random_state(3)
    energy, charge = [], []
    for k in range(600):
        gamma = events.particles(events.PHOTON, (1.46, 2.5, 4.0)[k % 3], [150.0, -300.0, 100.0], [0.0, 0.0, 1.0])
        deposits = transport.shower(gamma, state).deposits
        pairs = cKDTree(deposits[:, :3]).query_pairs(0.6, output_type="ndarray")
        links = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(deposits), len(deposits)))
        n, group = connected_components(links, directed=False)
        escaped = [chg.ELECTRONS_PER_MEV * mev * chg.escaping(density) for mev, density in deposits[:, 3:]]
        energy.append(np.bincount(group, deposits[:, 3], n))
        charge.append(np.bincount(group, escaped, n))
    of_all = np.concatenate(energy)
    sums = [np.histogram(of_all, edges, weights=values)[0] for values in (np.concatenate(charge), of_all)]
    np.testing.assert_allclose(sums[0] / sums[1], measured, rtol=0.08)


@pytest.mark.parametrize(
    ("kinetic_mev", "range_cm", "per_mev"), [(2.9, 0.0168, 3_300), (4.2, 0.0309, 3_800), (8.0, 0.0946, 5_300)]
)
def test_protons_are_quenched_as_in_the_real_files(kinetic_mev: float, range_cm: float, per_mev: float) -> None:
    density = recombination.density_for(kinetic_mev / range_cm)
    assert chg.ELECTRONS_PER_MEV * chg.escaping(density) == pytest.approx(per_mev, rel=0.25)


@pytest.mark.parametrize("x", [60.0, 160.0, 350.0])
def test_diffusion_grows_with_the_square_root_of_the_drift_time(x: float) -> None:
    # It begins 10 cm in front of the anode: widths of isolated SimIDEs of the real files, near and far, say so.
    charge, order = drift(np.array([[x, -300.0, 100.2]]), mev=10.0)
    keys, electrons = charge.keys[order], charge.amounts[order, chg.NE]
    plane, time_us = DETECTOR.plane(keys[:, 0]), 0.5 * 12.455 * (x - 10.0)

    def spread(column: np.ndarray, number: int) -> float:
        values, weights = column[plane == number], electrons[plane == number]
        return float(np.sqrt(np.average((values - np.average(values, weights=weights)) ** 2, weights=weights)))

    along = np.hypot(np.sqrt(2 * 4.0e-6 * time_us) * 12.455, 1 / np.sqrt(12))
    across = np.sqrt(2 * 8.8e-6 * time_us)
    for number, pitch in enumerate((0.4669, 0.4669, 0.479)):
        assert spread(keys[:, 1], number) == pytest.approx(along, rel=0.05)
        # Wires in units of the pitch; rounding to whole wires adds 1/12 when the spread is wide enough.
        measured = spread(keys[:, 0], number)
        if across > 0.5 * pitch:
            assert measured == pytest.approx(np.hypot(across / pitch, 1 / np.sqrt(12)), rel=0.05)
        else:
            assert measured < 0.6


def test_charge_is_shared_by_the_wires_next_to_it() -> None:
    # Half way between two X wires each takes half; on top of one, far from the cathode, it takes nearly all.
    wires = DETECTOR.volumes[1].wires[2]
    for offset, expected in ((0.5, 0.5), (0.0, 0.99)):
        z = (wires.first_channel + 200 + offset - wires.offset) / wires.dch_dz
        charge, order = drift(np.tile([[60.0, -300.0, z]], (3000, 1)), mev=0.001)
        keys, electrons = charge.keys[order], charge.amounts[order, chg.NE]
        own = keys[:, 0] == wires.first_channel + 200
        total = electrons[DETECTOR.plane(keys[:, 0]) == 2].sum()
        assert electrons[own].sum() / total == pytest.approx(expected, abs=0.02)


def test_deposits_outside_the_drift_volumes_are_lost() -> None:
    charge, _ = drift(np.array([[0.0, 10.0, 10.0], [400.0, 10.0, 10.0], [50.0, 601.0, 10.0], [50.0, 10.0, -1.0]]))
    assert charge.counts[chg.ROWS] == 0


def test_lists_are_empty_after_clearing() -> None:
    charge, _ = drift(np.tile([[100.0, 100.0, 100.0]], (50, 1)))
    chg.clear_charge(charge)
    assert not charge.table.any() and not charge.counts.any()
