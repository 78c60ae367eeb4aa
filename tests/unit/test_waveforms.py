"""Pulses of TPs: the charge is kept to the last count, whatever five numbers a TP has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snpoint.errors import ConfigError
from snpoint.physics.waveforms import WAVEFORMS, pulse

TPS = st.integers(1, 400).flatmap(
    lambda length: st.tuples(
        st.just(length),
        st.integers(0, length + 3),
        st.integers(0, 2_000_000),
        st.integers(0, 16383),
        st.sampled_from([0.0, 60.0, 70.0, 20000.0]),
    )
)


@pytest.mark.parametrize("name", WAVEFORMS)
@settings(max_examples=300, deadline=None)
@given(tp=TPS)
def test_samples_add_up_to_the_integral_and_are_never_negative(name, tp):
    length, _, integral, _, _ = tp
    samples = pulse(name, *tp)
    assert samples.shape == (length,)
    assert np.isfinite(samples).all()
    assert (samples >= 0).all()
    assert samples.sum() == pytest.approx(integral, rel=1e-12)


@pytest.mark.parametrize("name", WAVEFORMS)
@settings(max_examples=100, deadline=None)
@given(tp=TPS)
def test_a_mirrored_tp_has_the_mirrored_samples(name, tp):
    length, peak, *rest = tp
    peak = min(peak, length - 1)
    mirrored = pulse(name, length, length - 1 - peak, *rest)
    np.testing.assert_allclose(mirrored[::-1], pulse(name, length, peak, *rest), rtol=1e-9, atol=1e-9)


def test_triangle_rises_from_zero_and_falls_to_it():
    np.testing.assert_allclose(pulse("triangle", 4, 1, 1000, 0, 0), np.array([1 / 2, 1, 2 / 3, 1 / 3]) * 400)


def test_pentagon_passes_its_five_corners():
    # 9 samples, peak in the middle: corners at -0.5, 1.75, 4, 6.25 and 8.5.
    knots, heights = [-0.5, 1.75, 4, 6.25, 8.5], [60, 150, 500, 150, 60]
    expected = np.interp(np.arange(9), knots, heights)
    np.testing.assert_allclose(pulse("pentagon", 9, 4, expected.sum(), 500, 60), expected)


@pytest.mark.parametrize("peak", [0, 3, 11])
@pytest.mark.parametrize("height", [61, 200, 799])
def test_pentagon_finds_the_height_that_made_the_integral(peak, height):
    knots = [-0.5, (peak - 0.5) / 2, peak, (peak + 11.5) / 2, 11.5]
    expected = np.interp(np.arange(12), knots, [60, height, 800, height, 60])
    np.testing.assert_allclose(pulse("pentagon", 12, peak, expected.sum(), 800, 60), expected)


@pytest.mark.parametrize(("integral", "peak_is"), [(700, "scaled"), (3000, 500), (9000, "scaled")])
def test_pentagon_is_scaled_where_no_height_between_threshold_and_peak_fits(integral, peak_is):
    samples = pulse("pentagon", 9, 4, integral, 500, 60)
    assert samples[4] == samples.max()
    assert samples.sum() == pytest.approx(integral)
    if peak_is == 500:
        assert samples[4] == pytest.approx(500)
        assert samples.min() > 60


@pytest.mark.parametrize("name", WAVEFORMS)
def test_short_tps(name):
    assert pulse(name, 1, 0, 77, 77, 70).tolist() == pytest.approx([77])
    two = pulse(name, 2, 0, 160, 85, 70)
    assert two.sum() == pytest.approx(160)
    assert two[0] >= two[1] > 0
    if name == "pentagon":
        np.testing.assert_allclose(two, [85, 75])


def test_gaussian_has_the_height_and_area_of_a_gaussian_pulse():
    ticks = np.arange(41)
    expected = 600 * np.exp(-0.5 * ((ticks - 20) / 3.5) ** 2)
    np.testing.assert_allclose(pulse("gaussian", 41, 20, expected.sum(), 600, 60), expected, atol=1e-3)


def test_unknown_waveform_names_the_known_ones():
    with pytest.raises(ConfigError, match="'square', known are triangle, pentagon, gaussian"):
        pulse("square", 3, 1, 100, 50, 10)
