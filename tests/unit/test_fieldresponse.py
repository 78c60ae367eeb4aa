"""What wires see of charge: gain and shape, the wires beside it, and TPs of real charge against the real TPs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from toy_readout import AS_MEASURED, DETECTOR, drift, random_state, read_out

from snpoint.data.tpstream import TpStream
from snpoint.physics.geometry import known_detectors, load_detector
from snpoint.physics.simulation import charge as chg
from snpoint.physics.simulation import detector as det
from snpoint.physics.simulation import fieldresponse
from snpoint.settings import Noise

NEAR_TICKS, NEAR_WIRES = 50, 3
TP_BRANCHES = ("Event", "channel", "time_start", "samples_over_threshold", "adc_integral", "adc_peak")
OURS = (det.CHANNEL, det.START, det.LENGTH, det.INTEGRAL, det.PEAK)


def test_responses_have_the_measured_gain_and_shape() -> None:
    own, beside = fieldresponse.responses()[:, 0], fieldresponse.responses()[:, 1]
    ticks = np.arange(-fieldresponse.REACH, fieldresponse.REACH + 1)
    assert own[2].sum() == pytest.approx(0.1654, rel=1e-3)
    assert (own[2] * ticks).sum() / own[2].sum() == pytest.approx(6.95, abs=0.05)
    # Induction currents are bipolar: no net area, the positive lobe first; so are those from charge beside a wire.
    np.testing.assert_allclose(own[:2].sum(axis=1), 0.0, atol=1e-5)
    np.testing.assert_allclose(beside.sum(axis=1), 0.0, atol=1e-5)
    assert (own[:2].argmax(axis=1) < own[:2].argmin(axis=1)).all()
    assert (np.abs(beside).max(axis=1) / np.abs(own).max(axis=1)).tolist() == pytest.approx([0.3, 0.37, 0.05], abs=0.05)


def test_charge_beside_a_wire_is_felt_by_it_but_not_owned() -> None:
    wires = DETECTOR.volumes[1].wires[2]
    channel = DETECTOR.volumes[1].apa * DETECTOR.channels_per_apa + wires.first_channel + 200
    z = (wires.first_channel + 200 - wires.offset) / wires.dch_dz
    charge, order = drift(np.tile([[8.0, -300.0, z]], (400, 1)), mev=0.01)  # no room to diffuse: all on one X wire
    keys = charge.keys[order]
    assert set(keys[DETECTOR.plane(keys[:, 0]) == 2][:, 0]) == {channel}
    rows = read_out(charge, order).rows
    beside = rows[np.abs(rows[:, det.CHANNEL] - channel) == 1]
    assert set(beside[:, det.CHANNEL]) == {channel - 1, channel + 1}
    assert (beside[:, det.ORIGIN] == -1).all()
    assert beside[:, det.PEAK].max() < 0.1 * rows[rows[:, det.CHANNEL] == channel, det.PEAK].max()


@pytest.mark.parametrize("name", known_detectors())
def test_wires_beside_each_other_are_one_pitch_apart(name: str) -> None:
    detector = load_detector(name)
    beside = fieldresponse.neighbors(detector)
    plane = detector.plane(np.arange(detector.n_channels))
    for side in range(2):
        there = beside[:, side] >= 0
        np.testing.assert_array_equal(beside[beside[there, side], 1 - side], np.flatnonzero(there))
        np.testing.assert_array_equal(plane[there], plane[beside[there, side]])
    volume = detector.volumes[0]
    for number, wires in enumerate(volume.wires):
        gradient = np.array([wires.dch_dy, wires.dch_dz]) / (wires.dch_dy**2 + wires.dch_dz**2)
        center = np.array([np.mean(volume.y_range_cm), np.mean(volume.z_range_cm)])
        at, next_at = (round(float(volume.channel(number, *point))) for point in (center, center + gradient))
        base = volume.apa * detector.channels_per_apa
        assert base + next_at in beside[base + at]


def real_charge(ides: dict[str, np.ndarray], event: int) -> chg.Charge:
    """SimIDEs of an event as the charge that the detector reads out."""
    own = ides["Event"] == event
    codes = ides["channel"][own].astype(np.int64) * DETECTOR.n_ticks + ides["timestamp"][own].astype(np.int64)
    found, place = np.unique(codes, return_inverse=True)
    charge = chg.new_charge(len(found))
    charge.keys[:, 0], charge.keys[:, 1] = found // DETECTOR.n_ticks, found % DETECTOR.n_ticks
    charge.amounts[:, chg.NE] = np.bincount(place, ides["numelectrons"][own])
    charge.counts[chg.ROWS] = len(found)
    return charge


def near(rows: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Rows (channel, start, ...) with charge on almost the same wire at almost the same time."""
    wires = np.abs(rows[:, 0][:, None] - keys[:, 0]) <= NEAR_WIRES
    return np.asarray((wires & (np.abs(rows[:, 1][:, None] - keys[:, 1]) < NEAR_TICKS)).any(axis=1))


@pytest.mark.parametrize("parity", [0, 1])
def test_real_charge_gives_the_real_tps(real_data: Path, parity: int) -> None:
    # The responses were fitted to the events of even number; those of odd number test them.
    ours, theirs = [], []
    readout = det.electronics_of(DETECTOR, Noise(**AS_MEASURED))
    for name in ("test_es_tpstream.root", "test_cc_tpstream.root"):
        with TpStream(real_data / name) as stream:
            ides = stream.read("simides", ["Event", "channel", "timestamp", "numelectrons"])
            tps = stream.read("tps", TP_BRANCHES)
        columns = np.stack([np.asarray(values, np.int64) for values in tps.values()], axis=1)
        columns[:, 2] //= DETECTOR.clock_per_tick
        for event in np.unique(ides["Event"])[parity::2]:
            charge = real_charge(ides, event)
            keys = charge.keys
            theirs.append(columns[columns[:, 0] == event, 1:][near(columns[columns[:, 0] == event, 1:], keys)])
            for seed in range(2):
                simulated, state = det.new_tps(16384), random_state(seed)
                det.find_tps(charge, np.arange(len(keys)), state, readout, simulated)
                det.add_noise_tps(state, readout, simulated)
                rows = simulated.rows[: simulated.counts[det.TPS], OURS]
                ours.append(rows[near(rows, keys)])
    real, made = np.concatenate(theirs), np.concatenate(ours)
    for plane in range(3):
        a, b = (rows[DETECTOR.plane(rows[:, 0]) == plane] for rows in (real, made))
        small, large = (lambda rows: (rows[:, 2] == 2) | (rows[:, 2] == 3)), (lambda rows: rows[:, 2] >= 4)
        assert large(b).sum() / 2 == pytest.approx(large(a).sum(), rel=0.1)
        assert small(b).sum() / 2 == pytest.approx(small(a).sum(), abs=3 * np.sqrt(1.5 * small(a).sum()))
        assert b[large(b), 3].sum() / 2 == pytest.approx(a[large(a), 3].sum(), rel=0.04)
        assert b[large(b), 4].mean() == pytest.approx(a[large(a), 4].mean(), rel=0.06)
        assert b[large(b), 2].mean() == pytest.approx(a[large(a), 2].mean(), rel=0.03)
