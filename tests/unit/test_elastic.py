"""Generators of elastic scattering of neutrinos on electrons."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from toy_simulation import settings

from snpoint.errors import ConfigError
from snpoint.physics.geometry import load_detector
from snpoint.physics.simulation.cross_section import (
    cross_section_cm2,
    differential_cm2_mev,
    largest_electron_mev,
    least_neutrino_mev,
    scattering_cosine,
)
from snpoint.physics.simulation.directions import Directions
from snpoint.physics.simulation.elastic import (
    ElasticScattering,
    Electrons,
    Parents,
    electron_energy,
    spectrum_edges,
    twin_es,
)
from snpoint.physics.simulation.events import ELECTRON, Block
from snpoint.physics.simulation.flux import KINDS, PDG, FluxModel, Kind
from snpoint.physics.simulation.vertices import Vertices
from snpoint.physics.validation import elastic as es_checks
from snpoint.settings import Flux, Spectrum, Twin, Window

DETECTOR = load_detector("fdhd_1x2x2")
KIND = pytest.mark.parametrize("kind", KINDS)


def directions_of(block: Block) -> tuple[np.ndarray, np.ndarray]:
    assert block.neutrino is not None
    return block.neutrino.direction, block.particles.direction[1]


def drawn(generator: ElasticScattering | Electrons, n: int, seed: int = 1) -> list[Block]:
    rng = np.random.default_rng(seed)
    return [generator.block(rng) for _ in range(n)]


def column(blocks: list[Block], name: str) -> np.ndarray:
    if name == "electron":
        return np.array([block.particles.kinetic_mev[1] for block in blocks])
    return np.array([getattr(block.neutrino, name) for block in blocks])


def agreement(observed: list[int], weights: list[float]) -> float:
    """P value of chi square; the cells where fewer than 5 events are expected are one."""
    expected = np.array(weights) / np.sum(weights) * np.sum(observed)
    few = expected < 5
    cells = [[*values[~few], values[few].sum()] for values in (np.array(observed), expected)]
    if not expected[few].sum() > 0:
        cells = [values[:-1] for values in cells]
    return float(stats.chisquare(*cells).pvalue)


GENERATORS: dict[str, Any] = {"es": ElasticScattering, "electrons": Electrons}


@pytest.mark.parametrize("name", GENERATORS)
def test_energy_and_momentum_are_conserved(name: str) -> None:
    for block in drawn(GENERATORS[name](settings(), "a", DETECTOR), 500):
        assert block.neutrino is not None
        neutrino, flight = block.neutrino, block.neutrino.direction
        before = neutrino.energy_mev * flight
        np.testing.assert_allclose(block.particles.momentum_mev.sum(axis=0), before, rtol=0, atol=1e-9)
        assert block.particles.kinetic_mev.sum() == pytest.approx(neutrino.energy_mev, abs=1e-9)
        np.testing.assert_allclose(np.linalg.norm(block.particles.direction, axis=1), 1.0, atol=1e-12)
        assert (block.particles.kinetic_mev >= 0).all()


@pytest.mark.parametrize("name", GENERATORS)
def test_a_block_tells_what_happened(name: str) -> None:
    blocks = drawn(GENERATORS[name](settings(), "a", DETECTOR), 300)
    for block in blocks:
        assert block.neutrino is not None
        assert block.particles.pdg.tolist() == [block.neutrino.pdg, ELECTRON]  # it stays what it was
        assert block.target_pdg == ELECTRON and block.generator == "marley"
        assert (block.particles.time_us == 0).all() and (block.particles.mother == -1).all()
        np.testing.assert_array_equal(block.particles.position_cm[0], block.particles.position_cm[1])
    assert {block.neutrino.pdg for block in blocks if block.neutrino} == {12, -12, 14, 16, -14, -16}


@pytest.mark.parametrize("name", GENERATORS)
def test_electrons_go_everywhere_and_lie_evenly_around_their_neutrinos(name: str) -> None:
    pairs = np.array([directions_of(b) for b in drawn(GENERATORS[name](settings(), "a", DETECTOR), 6000, seed=11)])
    neutrino, electron = pairs[:, 0], pairs[:, 1]
    for vectors in (neutrino, electron):
        for axis in range(3):
            assert stats.kstest(vectors[:, axis], stats.uniform(-1, 2).cdf).pvalue > 1e-3
    across = electron - (electron * neutrino).sum(axis=1)[:, None] * neutrino
    helper = np.cross(neutrino, [0.0, 0.0, 1.0])
    helper /= np.linalg.norm(helper, axis=1, keepdims=True)
    azimuth = np.arctan2((across * np.cross(neutrino, helper)).sum(axis=1), (across * helper).sum(axis=1))
    assert stats.kstest(azimuth, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", GENERATORS)
def test_neutrinos_of_a_sample_fly_as_the_settings_say(name: str) -> None:
    fixed = drawn(GENERATORS[name](settings(direction=[0.0, -2.0, 0.0]), "a", DETECTOR), 20)
    for block in fixed:
        np.testing.assert_array_equal(directions_of(block)[0], [0.0, -1.0, 0.0])
    one = np.array([directions_of(b)[0] for b in drawn(GENERATORS[name](settings(direction="one"), "a", DETECTOR), 20)])
    assert (one == one[0]).all()


def test_a_burst_has_neutrinos_of_one_direction() -> None:
    direction = np.array([0.6, 0.0, 0.8])
    block = ElasticScattering(settings(), "a", DETECTOR).block_along(np.random.default_rng(1), direction)
    np.testing.assert_array_equal(directions_of(block)[0], direction)


def test_elastic_scattering_follows_flux_and_cross_section() -> None:
    window = {"min_mev": 4.0, "max_mev": 30.0}
    generator = ElasticScattering(settings(electron=window), "a", DETECTOR)
    blocks = drawn(generator, 12_000)
    electron, energy = column(blocks, "electron"), column(blocks, "energy_mev")
    pdg = column(blocks, "pdg")
    assert electron.min() >= 4.0 and electron.max() <= 30.0
    assert (electron <= largest_electron_mev(energy)).all()
    model, edges = FluxModel(settings().flux), [4.0, 6.0, 9.0, 14.0, 30.0]
    expected, observed = [], []
    for kind in KINDS:
        own = np.isin(pdg, PDG[kind])
        for low, high in itertools.pairwise(edges):
            least = float(least_neutrino_mev(low))
            rate = lambda e, k=kind, a=low, b=high: float(model.number(k, e) * cross_section_cm2(k, e, a, b))  # noqa: E731
            expected.append(sum(quad(rate, a, b)[0] for a, b in ((least, least + 15), (least + 15, 200))))
            observed.append((own & (electron >= low) & (electron < high)).sum())
    assert agreement(observed, expected) > 1e-3
    # Muon and tau are equally frequent.
    assert stats.binomtest(int((pdg == 14).sum()), int(np.isin(pdg, (14, 16)).sum())).pvalue > 1e-3


@KIND
@pytest.mark.parametrize("window", [(0.0, 100.0), (3.0, 8.0)])
def test_electron_energies_at_a_given_neutrino_energy(kind: Kind, window: tuple[float, float]) -> None:
    rng, cut = np.random.default_rng(3), Window(min_mev=window[0], max_mev=window[1])
    values = [electron_energy(rng, kind, 10.0, cut) for _ in range(3000)]
    total = float(cross_section_cm2(kind, 10.0, *window))
    result = stats.kstest(values, lambda t: np.array([cross_section_cm2(kind, 10.0, window[0], x) for x in t]) / total)
    assert result.pvalue > 1e-3


def test_electrons_follow_the_cut_gamma_distribution() -> None:
    energy = column(drawn(Electrons(settings(), "a", DETECTOR), 8000), "electron")
    gamma = stats.gamma(2.5, scale=5.5)
    low, high = gamma.cdf(3.0), gamma.cdf(60.0)
    assert stats.kstest(energy, lambda t: (gamma.cdf(t) - low) / (high - low)).pvalue > 1e-3
    assert energy.min() >= 3.0 and energy.max() <= 60.0


@pytest.mark.parametrize(("electron", "oscillation"), [(3.0, "none"), (12.0, "NMO"), (45.0, "IMO")])
def test_neutrinos_behind_an_electron_follow_flux_times_cross_section(
    electron: float, oscillation: es_checks.Oscillation
) -> None:
    model = FluxModel(es_checks.flux(oscillation))
    rng = np.random.default_rng(4)
    parents, least = Parents(model), float(least_neutrino_mev(electron))
    pairs = [parents.draw(rng, electron) for _ in range(6000)]
    pdg, energy = np.array([p for p, _ in pairs]), np.array([e for _, e in pairs])
    assert energy.min() >= least
    edges = least + np.array([0.0, 1.0, 2.5, 5.0, 9.0, 15.0, 150.0])
    observed, expected = [], []
    for kind in KINDS:
        rate = lambda e, k=kind: float(model.number(k, e) * differential_cm2_mev(k, e, electron)) * 1e-10  # noqa: E731
        for low, high in itertools.pairwise(edges):
            expected.append(quad(rate, low + 1e-9, high, epsabs=0, limit=200)[0])
            observed.append((np.isin(pdg, PDG[kind]) & (energy >= low) & (energy < high)).sum())
    assert agreement(observed, expected) > 1e-3


def test_both_generators_put_the_same_neutrinos_behind_an_electron() -> None:
    window = {"min_mev": 9.9, "max_mev": 10.1}
    spectrum = {"shape": 2.5, "scale_mev": 5.5} | window
    both = [
        column(drawn(ElasticScattering(settings(electron=window), "a", DETECTOR), 3000), "energy_mev"),
        column(drawn(Electrons(settings(spectrum=spectrum), "a", DETECTOR), 3000), "energy_mev"),
    ]
    assert stats.ks_2samp(*both).pvalue > 1e-3


def test_extreme_electrons_have_parents() -> None:
    parents, rng = Parents(FluxModel(es_checks.flux())), np.random.default_rng(5)
    for electron in (1e-4, 0.1, 200.0):
        pdg, energy = parents.draw(rng, electron)
        assert energy >= float(least_neutrino_mev(electron)) and abs(pdg) in (12, 14, 16)


def twin_of(electron: float, neutrino: float) -> Block:
    twin = Twin(interaction="ES", electron_mev=electron, neutrino_mev=neutrino, abs_x_cm=123.0)
    return twin_es(np.random.default_rng(1), twin, Directions("isotropic", 1, "a"), Vertices(DETECTOR, 20.0))


def test_a_twin_keeps_its_energies_and_its_distance() -> None:
    block = twin_of(8.0, 20.0)
    assert block.neutrino is not None
    assert (block.neutrino.pdg, block.neutrino.energy_mev) == (12, 20.0)
    np.testing.assert_array_equal(block.particles.kinetic_mev, [12.0, 8.0])
    assert abs(block.particles.position_cm[1, 0]) == 123.0
    neutrino, electron = directions_of(block)
    assert neutrino @ electron == pytest.approx(scattering_cosine(20.0, 8.0), abs=1e-12)


def test_rounded_energies_at_the_border_are_taken() -> None:
    largest = float(largest_electron_mev(20.0))
    assert twin_of(largest * 1.0005, 20.0).particles.kinetic_mev[1] == largest


def test_an_impossible_twin_says_what_is_possible() -> None:
    with pytest.raises(ConfigError, match=r"twins: electron_mev 20 .*neutrino_mev 20 .*at most 19\.75"):
        twin_of(20.0, 20.0)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"electron: max_mev 5 .*min_mev 5"):
        ElasticScattering(settings(electron={"min_mev": 5.0, "max_mev": 5.0}), "a", DETECTOR)


def test_a_window_that_no_neutrino_reaches_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"electron: .*min_mev 50000 .*wider"):
        ElasticScattering(settings(electron={"min_mev": 50000.0, "max_mev": 60000.0}), "a", DETECTOR)


def test_an_empty_spectrum_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"spectrum: .*min_mev 30.*max_mev 20"):
        spectrum_edges(Spectrum(shape=2.5, scale_mev=5.5, min_mev=30.0, max_mev=20.0))


@pytest.mark.parametrize("name", GENERATORS)
def test_too_large_a_margin_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="vertex_margin_cm: 150"):
        GENERATORS[name](settings(vertex_margin_cm=150.0), "a", DETECTOR)


def test_events_depend_on_their_random_numbers_alone() -> None:
    generator = Electrons(settings(), "a", DETECTOR)
    alone = generator.block(np.random.default_rng([1, 2, 3]))
    drawn(generator, 5)
    again = generator.block(np.random.default_rng([1, 2, 3]))
    np.testing.assert_array_equal(alone.particles.direction, again.particles.direction)
    np.testing.assert_array_equal(alone.particles.position_cm, again.particles.position_cm)


def test_flux_with_a_single_source_gives_only_its_kind() -> None:
    tiny = {"mean_energy_mev": 12.0, "alpha": 2.5, "emitted_erg": 1e-30}
    flux = Flux.model_validate(
        {"nue": tiny, "nuebar": tiny | {"emitted_erg": 5e52}, "nux": tiny, "oscillation": "none"}
    )
    for generator in (ElasticScattering, Electrons):
        made = generator(settings(flux=json.loads(flux.model_dump_json())), "a", DETECTOR)
        assert set(column(drawn(made, 200), "pdg").tolist()) == {-12}
