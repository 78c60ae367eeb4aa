"""Numbers of events and scattering angles of a supernova by elastic scattering, beside what was published."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from toy_simulation import settings

from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation.cross_section import cross_section_cm2
from snpoint.physics.simulation.elastic import ElasticScattering
from snpoint.physics.simulation.flux import FluxModel
from snpoint.physics.validation import elastic as es_checks

OSCILLATIONS: tuple[es_checks.Oscillation, ...] = ("none", "NMO", "IMO")


def test_numbers_of_events_of_a_supernova() -> None:
    checks = es_checks.count_checks()
    assert len(checks) == 16
    assert [check for check in checks if not check.ok] == []
    # Independent of the tables: adaptive integration over both energies.
    model = FluxModel(es_checks.flux())
    exact = sum(
        quad(lambda e: float(model.number("nue", e) * cross_section_cm2("nue", e, 5.0)), *piece)[0]
        for piece in ((5.0, 20.0), (20.0, 200.0))
    )
    ratio = es_checks.expected(es_checks.flux(), 5.0)["nue"] / es_checks.expected(es_checks.flux(), 0)["nue"]
    total = quad(lambda e: float(model.number("nue", e) * cross_section_cm2("nue", e)), 0, 200, limit=200)[0]
    assert ratio == pytest.approx(exact / total, rel=1e-5)


def test_number_of_events_by_hand() -> None:
    # Far above the mass of the electron all depends on the emitted energy: N = n_e / (4 pi d^2) sum of slope * energy.
    slopes = 9.521 + 3.991 + 2 * (1.552 + 1.336)
    by_hand = 18 * 6.03e32 * slopes * 1e-45 * 5e52 * 6.2415e5 / (4 * np.pi * 3.0857e22**2)
    assert by_hand == pytest.approx(546, abs=1)
    for oscillation in OSCILLATIONS:
        number = sum(es_checks.expected(es_checks.flux(oscillation), 0.0).values())
        assert 0.96 * by_hand < number < by_hand


def test_generator_expects_the_same_number_and_scales_it() -> None:
    generator = ElasticScattering(
        settings(electron={"min_mev": 5.0, "max_mev": 50.0}), "sn", load_detector("fdhd_1x2x2")
    )
    reference = generator.expected(40.0, 10.0)
    assert reference == pytest.approx(es_checks.ABOVE_MEV[5], rel=0.01)
    assert sum(generator.expected_by_kind(40.0, 10.0).values()) == pytest.approx(reference)
    assert generator.expected(10.0, 5.0) == pytest.approx(reference, rel=1e-12)


def test_smearing_by_the_scattering() -> None:
    checks = es_checks.smearing_checks(settings(), 3000)
    assert len(checks) == 28
    assert [check for check in checks if not check.ok] == []


@pytest.mark.nightly
def test_smearing_by_the_scattering_with_many_events() -> None:
    assert [check for check in es_checks.smearing_checks(settings(), 100_000, seed=2) if not check.ok] == []
