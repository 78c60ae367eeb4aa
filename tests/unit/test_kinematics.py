"""Electrons and neutrinos of elastic scattering."""

from __future__ import annotations

import numpy as np
import pytest
import toy_simulation
from scipy import stats
from toy_geometry import volume_numbers

from snpoint.errors import ConfigError
from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation.kinematics import N_UNIFORMS, Primaries, draw_primaries, electron_energy
from snpoint.physics.statistics import containment
from snpoint.settings import Flux, Spectrum

DETECTOR = load_detector("fdhd_1x2x2")


@pytest.fixture(scope="module")
def primaries() -> Primaries:
    uniforms = np.random.default_rng(1).random((30_000, N_UNIFORMS))
    s = toy_simulation.settings()
    return draw_primaries(uniforms, s.spectrum, s.flux, DETECTOR, s.vertex_margin_cm)


def test_energies_follow_the_cut_gamma_distribution(primaries: Primaries) -> None:
    gamma = stats.gamma(2.5, scale=5.5)
    low, high = gamma.cdf(3.0), gamma.cdf(60.0)
    result = stats.kstest(primaries.energy_mev, lambda t: (gamma.cdf(t) - low) / (high - low))
    assert result.pvalue > 1e-3
    assert primaries.energy_mev.min() >= 3.0 and primaries.energy_mev.max() <= 60.0


@pytest.mark.parametrize("field", ["direction", "neutrino_direction"])
def test_directions_are_isotropic_unit_vectors(primaries: Primaries, field: str) -> None:
    vectors = getattr(primaries, field)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(np.abs(vectors).mean(axis=0), 0.5, atol=0.01)
    np.testing.assert_allclose(vectors.mean(axis=0), 0.0, atol=0.015)


def test_energy_and_momentum_are_conserved(primaries: Primaries) -> None:
    electron = np.sqrt(primaries.energy_mev * (primaries.energy_mev + 2 * ELECTRON_MASS_MEV))
    before = primaries.neutrino_energy_mev[:, None] * primaries.neutrino_direction
    after = before - electron[:, None] * primaries.direction
    # The outgoing neutrino is massless: its momentum is the energy that is left.
    np.testing.assert_allclose(
        np.linalg.norm(after, axis=1), primaries.neutrino_energy_mev - primaries.energy_mev, atol=1e-6
    )


# Electron against neutrino [deg], median, 68 % and 90 %, for all flavors of a burst. Their mean energies go from 9.5
# (electron neutrinos) to 15.6 MeV (muon and tau), and the angle grows with the neutrino energy.
@pytest.mark.parametrize(
    ("low", "high", "burst"), [(3, 5, (21.4, 23.0, 25.6)), (7, 10, (12.0, 13.7, 15.8)), (15, 20, (6.2, 7.5, 9.4))]
)
def test_smearing_by_the_scattering(low: float, high: float, burst: tuple[float, float, float]) -> None:
    uniforms = np.random.default_rng(2).random((4000, N_UNIFORMS))
    spectrum = Spectrum(shape=2.5, scale_mev=5.5, min_mev=low, max_mev=high)
    found = []
    for mean in (9.5, 15.6):
        flux = Flux(mean_energy_mev=mean, alpha=2.5)
        primaries = draw_primaries(uniforms, spectrum, flux, DETECTOR, 20.0)
        cosine = (primaries.direction * primaries.neutrino_direction).sum(axis=1)
        angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        found.append([containment(angle, fraction) for fraction in (0.5, 0.68, 0.9)])
    for least, value, most in zip(found[0], burst, found[1], strict=True):
        assert 0.98 * least < value < 1.02 * most
        assert most < 1.4 * least


def test_neutrino_directions_lie_evenly_around_the_electron(primaries: Primaries) -> None:
    across = primaries.neutrino_direction - (
        (primaries.neutrino_direction * primaries.direction).sum(axis=1)[:, None] * primaries.direction
    )
    helper = np.cross(primaries.direction, [0.0, 0.0, 1.0])
    helper /= np.linalg.norm(helper, axis=1, keepdims=True)
    azimuth = np.arctan2((across * np.cross(primaries.direction, helper)).sum(axis=1), (across * helper).sum(axis=1))
    assert stats.kstest(azimuth, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3


def test_vertices_fill_all_volumes_and_keep_their_distance(primaries: Primaries) -> None:
    counts = []
    number = volume_numbers(DETECTOR, primaries.vertex_cm)
    for index, volume in enumerate(DETECTOR.volumes):
        inside = number == index
        counts.append(inside.sum())
        ranges = (volume.x_range_cm, volume.y_range_cm, volume.z_range_cm)
        for axis, (low, high) in enumerate(ranges):
            values = primaries.vertex_cm[inside, axis]
            assert values.min() >= low + 20 and values.max() <= high - 20
            assert stats.kstest(values, stats.uniform(low + 20, high - low - 40).cdf).pvalue > 1e-4
    assert sum(counts) == len(primaries.vertex_cm)
    assert min(counts) > 0.9 * len(primaries.vertex_cm) / 8


def test_impossible_settings_say_what_to_change() -> None:
    uniforms = np.full((1, N_UNIFORMS), 0.5)
    s = toy_simulation.settings()
    with pytest.raises(ConfigError, match=r"vertex_margin_cm: 150.*fdhd_1x2x2.*less than 115"):
        draw_primaries(uniforms, s.spectrum, s.flux, DETECTOR, 150.0)
    empty = Spectrum(shape=2.5, scale_mev=5.5, min_mev=30.0, max_mev=20.0)
    with pytest.raises(ConfigError, match=r"min_mev 30.*max_mev 20"):
        electron_energy(np.array([0.5]), empty)
