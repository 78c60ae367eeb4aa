"""Pixels of sparse images: where a TP lands, what is cut off, and that charge is kept."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snpoint.errors import ConfigError
from snpoint.physics.drawing import draw
from snpoint.physics.waveforms import WAVEFORMS


def sparse(*tps):
    """One image from (slot, channel, tick, length, peak, adc), sorted by slot."""
    slot, channel, tick, length, peak, adc = (np.array(column) for column in zip(*tps, strict=True))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(slot, minlength=3))])
    return SimpleNamespace(
        offsets=offsets.astype(np.int64),
        channel=channel.astype(np.int16),
        tick=tick.astype(np.int16),
        samples_over_threshold=length.astype(np.uint16),
        samples_to_peak=peak.astype(np.uint16),
        adc_integral=adc.astype(np.uint32),
        adc_peak=(1 + 2 * adc // (length + 1)).astype(np.uint16),
    )


def test_a_tp_is_a_triangle_that_holds_its_charge():
    picture = draw(sparse((1, 3, -2, 4, 1, 1000)), [0], 16, 8)
    assert picture.shape == (1, 3, 16, 8)
    assert picture.dtype == np.float32
    np.testing.assert_allclose(picture[0, 1, 6:10, 7], np.array([1 / 2, 1, 2 / 3, 1 / 3]) * 400)
    assert picture.sum() == pytest.approx(1000)


def test_what_is_outside_is_cut():
    inside = sparse((0, 0, 6, 4, 1, 1000), (0, 4, 0, 4, 1, 500), (0, -5, 0, 4, 1, 500), (2, 0, -40, 3, 1, 500))
    picture = draw(inside, [0], 16, 8)
    assert picture[0, 0, :, 4].sum() == pytest.approx(600)
    assert picture.sum() == pytest.approx(600)


@pytest.mark.parametrize("waveform", WAVEFORMS)
def test_larger_pictures_show_the_same_around_the_center(waveform):
    images = sparse((0, -3, -20, 30, 4, 1000), (1, 2, 5, 1, 0, 90), (2, 0, -5, 60, 10, 9000))
    small, large = draw(images, [0], 32, 8, waveform), draw(images, [0], 128, 32, waveform)
    np.testing.assert_array_equal(large[:, :, 48:80, 12:20], small)


def test_rows_choose_and_repeat():
    picture = draw(sparse((0, 0, 0, 4, 1, 100)), [0, 0, 0], 8, 4)
    np.testing.assert_array_equal(picture[0], picture[2])
    assert draw(sparse((0, 0, 0, 4, 1, 100)), [], 8, 4).shape == (0, 3, 8, 4)


def test_planes_choose():
    images = sparse((0, 0, 0, 4, 1, 100), (1, 1, 0, 4, 1, 200), (2, 0, 0, 4, 1, 300))
    every = draw(images, [0], 8, 4)
    np.testing.assert_array_equal(draw(images, [0], 8, 4, planes=(2,))[:, 0], every[:, 2])
    np.testing.assert_array_equal(draw(images, [0], 8, 4, planes=(2, 0)), every[:, [2, 0]])
    with pytest.raises(ValueError, match=r"planes \[3\] are not all of"):
        draw(images, [0], 8, 4, planes=(3,))


def test_a_buffer_is_used_again():
    images = sparse((0, 0, 0, 4, 1, 100), (2, 0, 0, 4, 1, 300))
    buffer = np.full((2, 3, 8, 4), 7.0, np.float32)
    assert draw(images, [0, 0], 8, 4, out=buffer) is buffer
    np.testing.assert_array_equal(buffer, draw(images, [0, 0], 8, 4))


@pytest.mark.parametrize(
    "out",
    [np.zeros((1, 3, 8, 4)), np.zeros((2, 3, 8, 4), np.float32), np.zeros((1, 3, 4, 8), np.float32).swapaxes(2, 3)],
)
def test_a_buffer_that_does_not_fit_is_refused(out):
    with pytest.raises(ValueError, match=r"out is .* expected float32"):
        draw(sparse((0, 0, 0, 4, 1, 100)), [0], 8, 4, out=out)


def test_the_pentagon_stands_on_its_planes_threshold():
    images = sparse((0, 0, -4, 9, 4, 1000), (2, 0, -4, 9, 4, 1000))
    low = draw(images, [0], 32, 8, "pentagon", thresholds_adc=(10.0, 10.0, 100.0))
    assert low[0, 0, 12, 4] < low[0, 2, 12, 4]
    np.testing.assert_allclose(low.sum(axis=(2, 3))[0], [1000, 0, 1000], rtol=1e-5)


def test_unknown_waveform_is_a_configuration_error():
    with pytest.raises(ConfigError, match="unknown 'box'"):
        draw(sparse((0, 0, 0, 4, 1, 100)), [0], 8, 4, "box")


@pytest.mark.parametrize("waveform", WAVEFORMS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_pixels_of_a_plane_add_up_to_its_charge(waveform, seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    length = rng.integers(1, 60, n)
    rows = np.stack(
        [
            np.sort(rng.integers(0, 3, n)),
            rng.integers(-16, 16, n),
            rng.integers(-64, 5, n),
            length,
            rng.integers(0, length + 2),
            rng.integers(60, 60_000, n),
        ],
        axis=1,
    )
    images = sparse(*map(tuple, rows.tolist()))
    drawn = draw(images, [0], 128, 32, waveform).sum(axis=(2, 3), dtype=np.float64)[0]
    charge = np.bincount(rows[:, 0], rows[:, 5], minlength=3)
    np.testing.assert_allclose(drawn, charge, rtol=1e-3)
    one_meter = draw(images, [0], 1242, 208, waveform).sum(axis=(2, 3), dtype=np.float64)[0]
    np.testing.assert_allclose(one_meter, charge, rtol=1e-3)
