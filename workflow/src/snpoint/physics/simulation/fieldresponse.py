"""What a wire sees of charge that arrives on it, or on the one beside it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from snpoint.physics.geometry import Detector

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

REACH = 30
"""The response to a point charge is kept on -REACH .. REACH ticks."""


def responses() -> FloatArray:
    """Response of a wire to one electron arriving at tick 0, shape (3, 2, 2 REACH + 1) [ADC].

    Planes U, V, X; charge on the wire itself, and on one of the two wires beside it. Induction currents are bipolar
    (the difference of two Gaussians without net area), also those that a wire feels when charge passes beside it.

    Fitted to TPs of a LArSoft production (events of even number), with the charge of their SimIDEs given: integral,
    peak and both crossings of the threshold; then U made 3 % shorter and the share of the broad part of X doubled, for
    the lengths that noise leaves. Squared deviations per number in the events of odd number, by plane: 1.1, 1.1, 0.4
    before that; with the response of single wires they were 2.4, 4.3, 2.0.
    """
    ticks = np.arange(-REACH, REACH + 1, dtype=np.float64)

    def gauss(center: float, sigma: float) -> FloatArray:
        return np.asarray(np.exp(-0.5 * ((ticks - center) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi)))

    u = 0.0559 * (gauss(-4.688, 2.548) - gauss(0.789, 3.726))
    beside_u = 0.02176 * (gauss(-2.617, 6.237) - gauss(2.745, 3.135))
    v = 0.1838 * (gauss(2.555, 3.551) - gauss(4.256, 3.335))
    beside_v = 0.03568 * (gauss(2.293, 4.874) - gauss(5.981, 3.374))
    x = 0.13232 * gauss(6.947, 2.494) + 0.03308 * gauss(7.023, 4.905)
    beside_x = 0.01318 * (gauss(2.839, 3.936) - gauss(7.252, 1.859))
    return np.stack([[u, beside_u], [v, beside_v], [x, beside_x]])


def neighbors(detector: Detector) -> IntArray:
    """Channels of the wires on both sides of each channel's, shape (channels, 2); -1 where there is none."""
    beside = np.full((detector.n_channels, 2), -1, np.int64)
    for volume in detector.volumes:
        for wires in volume.wires:
            own = volume.apa * detector.channels_per_apa + wires.first_channel + np.arange(wires.n_channels)
            for side, step in enumerate((1, -1)):
                beside[own, side] = np.roll(own, step)
            if wires.modulus is None:
                beside[own[0], 0] = beside[own[-1], 1] = -1
    return beside
