"""Electronics noise: a Gaussian process whose crossings of the threshold are the noise TPs of the real files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from toy_readout import AS_MEASURED, DETECTOR, drift, noise_tps, random_state, read_out

from snpoint.data.tpstream import TpStream
from snpoint.physics.constants import NO_TRACK
from snpoint.physics.geometry import known_detectors, load_detector
from snpoint.physics.simulation import detector as det
from snpoint.physics.simulation import noise as noi
from snpoint.settings import Noise

FILES = ("test_es_tpstream.root", "test_cc_tpstream.root")
BRANCHES = (
    "channel", "time_start", "samples_over_threshold", "samples_to_peak", "adc_integral", "adc_peak",
    "bt_primary_track_id",
)  # fmt: skip
N_REAL = 60
"""Events of the two files together."""
LEAST_P = 1e-3
"""The comparison of the planes is one of thirty numbers: at 0.01 each, one set of random numbers in four would fail."""


@pytest.fixture(scope="module")
def simulated() -> np.ndarray:
    return noise_tps(300)


@pytest.fixture
def real(real_data: Path) -> dict[str, np.ndarray]:
    """TPs without truth of the two files, but those of lengths that only signals have."""
    parts = []
    for name in FILES:
        with TpStream(real_data / name) as stream:
            tps = stream.read("tps", BRANCHES)
        parts.append({key: values[tps["bt_primary_track_id"] == NO_TRACK] for key, values in tps.items()})
    tps = {key: np.concatenate([part[key] for part in parts]).astype(np.int64) for key in parts[0]}
    return {key: values[tps["samples_over_threshold"] <= 4] for key, values in tps.items()}


def spread(share: float) -> dict[str, Any]:
    return AS_MEASURED | {"wire_spread": share}


@pytest.mark.parametrize("plane", [0, 1, 2])
def test_rates_lengths_and_heights_are_those_of_the_real_files(
    plane: int, simulated: np.ndarray, real: dict[str, np.ndarray]
) -> None:
    theirs = {key: values[DETECTOR.plane(real["channel"]) == plane] for key, values in real.items()}
    ours = simulated[DETECTOR.plane(simulated[:, det.CHANNEL]) == plane]
    n, m = len(ours), len(theirs["channel"])
    assert n / 300 == pytest.approx(m / N_REAL, abs=4 * np.sqrt(n) / 300 + 4 * np.sqrt(m) / N_REAL)
    lengths = [
        np.bincount(values, minlength=5)[1:5] for values in (ours[:, det.LENGTH], theirs["samples_over_threshold"])
    ]
    assert stats.chi2_contingency([counts[:3] for counts in lengths]).pvalue > LEAST_P
    for length in (1, 2, 3):
        own, other = ours[:, det.LENGTH] == length, theirs["samples_over_threshold"] == length
        for column, key in ((det.PEAK, "adc_peak"), (det.INTEGRAL, "adc_integral")):
            assert stats.ks_2samp(ours[own, column], theirs[key][other]).pvalue > LEAST_P
        if length > 1:
            places = [np.bincount(ours[own, det.TO_PEAK]), np.bincount(theirs["samples_to_peak"][other])]
            assert stats.chi2_contingency(places).pvalue > LEAST_P


def test_the_excess_at_the_begin_of_the_window_is_that_of_the_real_files(
    simulated: np.ndarray, real: dict[str, np.ndarray]
) -> None:
    edges = [0, 50, 100, 200, 300, 400, 600, 1000, 2000, 4000, 6000]
    counts = [np.histogram(real["time_start"] // 32, edges)[0], np.histogram(simulated[:, det.START], edges)[0]]
    assert stats.chi2_contingency(counts).pvalue > LEAST_P
    rate = counts[1] / np.diff(edges)
    assert rate[0] / rate[-1] == pytest.approx(1.33, abs=0.08)


def test_wires_and_apas_share_the_noise_evenly_as_in_the_real_files(
    simulated: np.ndarray, real: dict[str, np.ndarray]
) -> None:
    for channels in (simulated[:, det.CHANNEL], real["channel"]):
        plane = DETECTOR.plane(channels)
        for number, wires in enumerate((3200, 3200, 3840)):
            per_wire = np.bincount(channels[plane == number], minlength=DETECTOR.n_channels)
            per_wire = per_wire[DETECTOR.plane(np.arange(DETECTOR.n_channels)) == number]
            assert len(per_wire) == wires
            assert per_wire.var() / per_wire.mean() == pytest.approx(1.0, abs=0.1)
        assert stats.chisquare(np.bincount(DETECTOR.apa(channels))).pvalue > 0.001


def test_noise_tps_are_not_signals_and_do_not_touch_each_other(simulated: np.ndarray) -> None:
    assert (simulated[:, det.ORIGIN] == -1).all()
    assert simulated[:, det.START].min() >= 0
    assert (simulated[:, det.START] + simulated[:, det.LENGTH]).max() <= DETECTOR.n_ticks
    threshold = np.array(DETECTOR.threshold_adc)[DETECTOR.plane(simulated[:, det.CHANNEL])]
    assert (simulated[:, det.PEAK] > threshold).all()
    assert (simulated[:, det.INTEGRAL] > threshold * simulated[:, det.LENGTH]).all()
    one = read_out(*drift(np.zeros((0, 3))), AS_MEASURED | {"tps_per_event": {"U": 2e5, "V": 0.0, "X": 0.0}}).rows
    one = one[np.lexsort((one[:, det.START], one[:, det.CHANNEL]))]
    same = one[1:, det.CHANNEL] == one[:-1, det.CHANNEL]
    assert (one[1:, det.START] > one[:-1, det.START] + one[:-1, det.LENGTH])[same].all()


def test_noise_under_a_signal_is_the_same_process() -> None:
    noise = noi.wire_noise(DETECTOR, Noise(**AS_MEASURED))
    for plane, (one, two) in enumerate(noi.CORRELATION):
        samples, state = np.zeros(200_000), random_state(plane)
        noi.add_noise(samples, 0, len(samples), 200.0, noise.process[plane], state)
        samples /= 200.0
        assert samples.std() == pytest.approx(1.0, rel=0.02)
        assert samples.mean() == pytest.approx(0.0, abs=0.03)
        assert (samples[1:] * samples[:-1]).mean() == pytest.approx(one, abs=0.02)
        assert (samples[2:] * samples[:-2]).mean() == pytest.approx(two, abs=0.02)
        # The first samples are as noisy as the others.
        first = np.zeros((4000, 1))
        for row in first:
            noi.add_noise(row, 0, 1, 200.0, noise.process[plane], state)
        assert first.std() == pytest.approx(200.0, rel=0.05)


def test_without_noise_samples_are_only_rounded() -> None:
    samples = np.array([0.4, 10.6, -3.2])
    noi.add_noise(samples, 0, 3, 0.0, noi.wire_noise(DETECTOR, Noise(**AS_MEASURED)).process[0], random_state())
    np.testing.assert_array_equal(samples, [0.0, 11.0, -3.0])


@pytest.mark.parametrize("name", known_detectors())
def test_the_noise_of_a_wire_is_its_own_and_always_the_same(name: str) -> None:
    detector = load_detector(name)
    sigma = noi.wire_sigmas(detector, Noise(**spread(0.05)))
    np.testing.assert_array_equal(sigma, noi.wire_sigmas(detector, Noise(**spread(0.05))))
    plane = detector.plane(np.arange(detector.n_channels))
    for number, mean in enumerate((17.2, 17.2, 14.9)):
        own = sigma[plane == number]
        assert own.mean() == pytest.approx(mean, rel=0.01)
        assert own.std() / own.mean() == pytest.approx(0.05, rel=0.1)
    other = next(other for other in known_detectors() if other != name)
    assert not np.array_equal(sigma[:100], noi.wire_sigmas(load_detector(other), Noise(**spread(0.05)))[:100])


def test_noisier_wires_have_more_and_higher_noise_tps() -> None:
    rows, sigma = noise_tps(60, spread(0.02)), noi.wire_sigmas(DETECTOR, Noise(**spread(0.02)))
    own = rows[DETECTOR.plane(rows[:, det.CHANNEL]) == 0]
    ratio = sigma[own[:, det.CHANNEL]] / 17.2
    # The rate goes with sigma to the power (threshold / sigma)^2 = 16.8, its logarithmic derivative.
    assert np.log(ratio).mean() == pytest.approx(16.8 * 0.02**2, rel=0.2)
    noisy = ratio > np.median(ratio)
    assert own[noisy, det.PEAK].mean() > own[~noisy, det.PEAK].mean()
    assert len(own) / 60 == pytest.approx(365, rel=0.03)
