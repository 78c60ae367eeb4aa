"""What the charge of a nucleus does to the electrons that leave it."""

from __future__ import annotations

import numpy as np
import pytest

from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.simulation.fermi import coulomb_factor, effective_momentum, fermi_function


def test_fermi_function_has_its_limits() -> None:
    # Slow electrons: 2 pi eta, times 1.15 for the size of the nucleus; Z = 0: nothing.
    kinetic = np.array([1e-4])
    eta = 19 / 137.036 * (kinetic + ELECTRON_MASS_MEV) / np.sqrt(kinetic * (kinetic + 2 * ELECTRON_MASS_MEV))
    assert fermi_function(19, kinetic, 40)[0] == pytest.approx(1.15 * 2 * np.pi * eta[0], rel=0.02)
    np.testing.assert_allclose(fermi_function(0, np.array([0.1, 1.0, 10.0])), 1.0, rtol=1e-12)


def test_the_smaller_of_fermi_function_and_effective_momentum_is_used() -> None:
    kinetic = np.array([1.0, 10.0, 30.0, 60.0, 90.0])
    pair = fermi_function(19, kinetic, 40), effective_momentum(19, kinetic, 40)
    np.testing.assert_array_equal(coulomb_factor(19, kinetic, 40), np.minimum(*pair))
    assert (pair[0] < pair[1]).tolist() == [True, True, True, False, False]
