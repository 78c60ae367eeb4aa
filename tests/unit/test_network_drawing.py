"""What networks see: pixels drawn with the thresholds of the detector that the images are of."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from toy_images import toy_arrays

from snpoint.models import network
from snpoint.physics.drawing import draw
from snpoint.physics.geometry import load_detector
from snpoint.physics.waveforms import THRESHOLDS_ADC
from snpoint.settings import Drawing


@pytest.mark.parametrize("threshold_adc", [(20.0, 30.0, 5.0), (70.0, 70.0, 60.0)])
def test_thresholds_are_those_of_the_layout(monkeypatch, threshold_adc):
    layout = dataclasses.replace(load_detector("fdhd_1x2x2"), threshold_adc=threshold_adc)
    asked = []
    monkeypatch.setattr(network, "load_detector", lambda name: asked.append(name) or layout)
    events = SimpleNamespace(**(toy_arrays(4) | {"detector": "another"}))
    found = network.drawing(events, Drawing(ticks=128, channels=32, waveform="pentagon", scale_adc=100.0))(np.arange(4))
    u, v, x = threshold_adc
    mean = (u + v) / 2
    np.testing.assert_array_equal(found, draw(events, range(4), 128, 32, "pentagon", thresholds_adc=(mean, mean, x)))
    assert asked == ["another"]
    default = draw(events, range(4), 128, 32, "pentagon", thresholds_adc=THRESHOLDS_ADC)
    assert np.array_equal(found, default) == (threshold_adc == (70.0, 70.0, 60.0))
