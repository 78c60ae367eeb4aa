"""Radioactive and cavern backgrounds: how many, where, when, what."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.stats import chisquare, kstest, poisson

from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.geometry import Detector, load_detector
from snpoint.physics.simulation.cavern import (
    Walls,
    absorption,
    compton,
    entering_spectrum,
    rock_spectrum,
    scattered,
    watt_energy,
)
from snpoint.physics.simulation.decays import nuclides
from snpoint.physics.simulation.events import ALPHA, ELECTRON, MASS_MEV, NEUTRON, NO_MOTHER, PHOTON, Block
from snpoint.physics.simulation.materials import AVOGADRO
from snpoint.physics.simulation.neutron_capture import CAPTURE_US
from snpoint.physics.simulation.radioactivity import CavernGammas, CavernNeutrons, DecaySource, Radioactivity
from snpoint.physics.validation.backgrounds import arrival_ticks, checks, decay_starts, sample, sampled
from snpoint.settings import Radioactivity as Rates
from snpoint.tools.validate_backgrounds import command

FULL = {
    "ar39_bq_kg": 1.01,
    "ar42_bq_kg": 9.2e-5,
    "rn222_bq_kg": 1e-3,
    "cavern_gammas_hz": 3.1e4,
    "cavern_neutrons_hz": 0.12,
}
NONE = dict.fromkeys(FULL, 0.0)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector("fdhd_1x2x2")


@pytest.fixture(scope="module")
def bismuth(detector: Detector) -> Block:
    return sampled("Bi214", 40_000, detector, np.random.default_rng(2))


def made(seed: int, detector: Detector, **rates: float) -> list[Block]:
    return Radioactivity(Rates(**(NONE | rates)), detector).blocks(np.random.default_rng(seed))


def test_only_sources_with_a_rate_make_blocks(detector: Detector) -> None:
    assert made(1, detector) == []
    assert [block.generator for block in made(1, detector, ar39_bq_kg=1.0)] == ["Ar39GenInLAr"]
    names = [block.generator for block in made(1, detector, **FULL)]
    assert names == [
        "Ar39GenInLAr", "Ar42GenInLAr", "K42From42ArGenInLAr", "Rn222ChainRn222GenInLAr", "Rn222ChainPo218GenInLAr",
        "Rn222ChainPb214GenInLAr", "Rn222ChainBi214GenInLAr", "CavernwallGammasAtLAr", "CavernwallNeutronsAtLAr",
    ]  # fmt: skip


def test_a_source_that_did_nothing_has_an_empty_block(detector: Detector) -> None:
    blocks = made(1, detector, ar42_bq_kg=1e-12, cavern_neutrons_hz=1e-9)
    assert [len(block.particles.pdg) for block in blocks] == [0, 0, 0]
    assert all(block.particles.position_cm.shape == (0, 3) for block in blocks)


def test_the_same_random_numbers_give_the_same_background(detector: Detector) -> None:
    one, same, other = (made(seed, detector, **FULL) for seed in (3, 3, 4))
    for a, b in zip(one, same, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a.particles, b.particles, strict=True))
    assert not np.array_equal(one[0].particles.kinetic_mev[:100], other[0].particles.kinetic_mev[:100])


def test_the_number_of_decays_is_poisson_around_rate_mass_and_time(detector: Detector) -> None:
    source = DecaySource(nuclides()["Ar39"], 1.01, detector)
    # Eight volumes of 358.5 x 600 x 231.5 cm, 1.396 g/cm3.
    assert source.mass_kg == pytest.approx(8 * 358.5 * 600 * 231.5 * 1.396e-3)
    assert source.expected == pytest.approx(1.01 * source.mass_kg * (6000 + 64) * 0.5e-6)
    rng = np.random.default_rng(6)
    few = DecaySource(nuclides()["Ar39"], 1.01 / 400, detector)
    counts = np.array([len(decay_starts(few.block(rng))) for _ in range(3000)])
    tops = np.arange(10)
    expected = 3000 * np.append(poisson.pmf(tops, few.expected), poisson.sf(9, few.expected))
    assert chisquare([*((counts == k).sum() for k in tops), (counts > 9).sum()], expected).pvalue > 0.001


def test_decays_are_even_in_the_drift_volumes(detector: Detector) -> None:
    position = sampled("Ar39", 40_000, detector, np.random.default_rng(7)).particles.position_cm
    assert np.abs(position[:, 0]).min() > 4.5
    for values, low, size in (
        (np.abs(position[:, 0]), 4.5, 358.5), (position[:, 1], -600, 1200), (position[:, 2], 0, 463),
    ):  # fmt: skip
        assert kstest(values, "uniform", (low, size)).pvalue > 0.001
    assert (position[:, 0] > 0).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("layout", ["fdhd_1x2x2", "fdvd_example", "protodune_hd"])
def test_charge_arrives_evenly_over_the_readout_window(layout: str) -> None:
    detector = load_detector(layout)
    block = sampled("Ar39", 30_000, detector, np.random.default_rng(8))
    ticks = arrival_ticks(block, detector)
    assert kstest(ticks, "uniform", (-32, detector.n_ticks + 64)).pvalue > 0.001
    # Decays that arrive early in the window happened before it, by up to the longest drift.
    assert block.particles.time_us.min() < -2000


def test_particles_of_a_decay_share_place_and_time(bismuth: Block) -> None:
    start = decay_starts(bismuth)
    assert (bismuth.particles.pdg[start] == ELECTRON).all()
    decay = np.searchsorted(start, np.arange(len(bismuth.particles.pdg)), side="right") - 1
    prompt = bismuth.particles.pdg != ALPHA
    assert np.array_equal(bismuth.particles.time_us[prompt], bismuth.particles.time_us[start[decay]][prompt])
    assert (bismuth.particles.mother == NO_MOTHER).all()
    assert np.linalg.norm(bismuth.particles.direction, axis=1) == pytest.approx(np.ones(len(decay)))
    assert bismuth.particles.direction.mean(axis=0) == pytest.approx(np.zeros(3), abs=0.01)


def test_no_decay_gives_more_than_its_energy() -> None:
    for name, q_mev in (("K42", 3.5253), ("Pb214", 1.018), ("Bi214", 3.269)):
        nuclide = nuclides()[name]
        for way in nuclide.ways:
            cascade = sum(row.energy_mev for row in way.emissions if row.pdg == PHOTON)
            endpoint = nuclide.branches[way.emissions[0].branch][1].endpoint_mev
            assert endpoint + cascade == pytest.approx(q_mev)


def test_the_polonium_alpha_belongs_to_its_bismuth(bismuth: Block) -> None:
    start = decay_starts(bismuth)
    alpha = np.flatnonzero(bismuth.particles.pdg == ALPHA)
    assert len(alpha) == len(start)
    assert bismuth.particles.kinetic_mev[alpha] == pytest.approx(np.full(len(alpha), 7.6868))
    delay = bismuth.particles.time_us[alpha] - bismuth.particles.time_us[start]
    assert np.array_equal(bismuth.particles.position_cm[alpha], bismuth.particles.position_cm[start])
    assert kstest(delay, "expon", (0, 163.6 / math.log(2))).pvalue > 0.001


def test_what_is_late_comes_from_decays_before_the_window(detector: Detector) -> None:
    source = DecaySource(nuclides()["Bi214"], 1.0, detector)
    assert source.first_tick == pytest.approx(-12.455 * 100 - 10 * 163.6 / math.log(2) / 0.5)
    assert source.last_tick == pytest.approx(6000 + 12.455 * 100)
    source.expected = 60_000.0
    block = source.block(np.random.default_rng(14))
    ticks = arrival_ticks(block, detector)[block.particles.pdg == ALPHA]
    assert kstest(ticks[(ticks > 0) & (ticks < 6000)], "uniform", (0, 6000)).pvalue > 0.001


def test_every_particle_can_be_written(detector: Detector) -> None:
    for block in made(3, detector, **(FULL | {"ar42_bq_kg": 0.01, "rn222_bq_kg": 0.01})):
        assert set(block.particles.pdg.tolist()) <= MASS_MEV.keys()
        assert np.isfinite(block.particles.momentum_mev).all()
        assert block.neutrino is None


def test_conversion_takes_the_place_of_gammas(detector: Detector) -> None:
    lead = sampled("Pb214", 40_000, detector, np.random.default_rng(9))
    line = np.abs(lead.particles.kinetic_mev - 0.3519) < 1e-6
    electrons = (lead.particles.pdg[line] == ELECTRON).mean()
    assert electrons == pytest.approx(0.313 / 1.313, abs=0.01)


def test_all_published_numbers_are_met(detector: Detector) -> None:
    rng = np.random.default_rng(1)
    rows = checks(sample(60_000, detector, rng), 60, detector, rng)
    assert len(rows) > 30
    assert [row.quantity for row in rows if not row.ok] == []


def test_the_command_writes_table_and_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--decays", "20000", "--events", "20", "-o", str(tmp_path)]
    assert CliRunner().invoke(command, [*arguments, "--windows", "4"]).exit_code == 0
    tps = pd.read_csv(tmp_path / "background_tps.csv", index_col="source")
    # Standalone noise is the only thing that is given: 365, 365 and 540 TPs; Ar-39 makes more in X than in U.
    assert tps.loc["electronics noise", ["tps_u", "tps_v", "tps_x"]].to_numpy() == pytest.approx(
        [365, 365, 540], rel=0.1
    )
    assert tps.loc["Ar-39", "tps_x"] > 5 * tps.loc["Ar-39", "tps_u"] > 100
    assert tps.loc["Ar-39", "particles"] == pytest.approx(1700, rel=0.05)
    sources = tps.index[:5]
    assert tps.loc[sources, "tps_x"].sum() == pytest.approx(tps.loc["all", "tps_x"], rel=0.1)
    assert (tmp_path / "backgrounds.png").stat().st_size > 10_000
    assert "Po214: half-life" in (tmp_path / "backgrounds.csv").read_text()
    published = nuclides()["Ar39"].published
    monkeypatch.setitem(published, "beta_mean_kev", 260.0)
    found = CliRunner().invoke(command, arguments)
    assert found.exit_code == 1
    assert "MISSED" in found.output


def test_cavern_gammas_enter_through_the_walls(detector: Detector) -> None:
    source = CavernGammas(1.0, detector)
    source.expected = 60_000.0
    gammas = source.block(np.random.default_rng(10)).particles
    assert (gammas.pdg == PHOTON).all()
    walls = Walls(detector)
    low, high = np.array([-363, -600, 0]), np.array([363, 600, 463])
    on_wall = (gammas.position_cm == low) | (gammas.position_cm == high)
    assert (on_wall.sum(axis=1) == 1).all()
    assert ((gammas.position_cm >= low) & (gammas.position_cm <= high)).all()
    # As many on each wall as its area demands.
    size = high - low
    shares = [(gammas.position_cm[:, axis] == high[axis]).mean() for axis in range(3)]
    areas = size.prod() / size
    assert shares == pytest.approx(areas / areas.sum() / 2, abs=0.006)
    cosine = (gammas.direction * walls.inward(gammas.position_cm)).sum(axis=1)
    assert kstest(cosine**2, "uniform").pvalue > 0.001  # Lambert's cosine law
    assert np.linalg.norm(gammas.direction, axis=1) == pytest.approx(np.ones(len(cosine)))
    # Potassium and thallium stand out.
    for energy, least in ((1.4608, 0.15), (2.6145, 0.08)):
        assert (np.abs(gammas.kinetic_mev - energy) < 1e-9).mean() > least


def test_cavern_particles_come_early_enough_to_drift_into_the_window(detector: Detector) -> None:
    source = CavernGammas(1.0, detector)
    longest_us = (12.455 * 363 - 53.93) * 0.5
    assert source.first_us == pytest.approx(-longest_us - 16)
    assert source.last_us == pytest.approx(3000 + 16 - (12.455 * 4.5 - 53.93) * 0.5)
    assert source.expected == pytest.approx((source.last_us - source.first_us) * 1e-6)


def test_the_continuum_of_the_rock_conserves_energy() -> None:
    """All the energy of the lines is absorbed: by recoil electrons and photoelectrons, and below the least energy."""
    rock = rock_spectrum()
    lines = rock.low_mev == rock.high_mev
    middle = 0.5 * (rock.low_mev + rock.high_mev)
    emitted = (rock.flux * absorption(middle) * middle)[lines].sum()
    electrons = AVOGADRO * 0.5
    kept = np.empty(len(middle))
    for k, energy in enumerate(middle):
        after = np.linspace(1e-4, energy, 4001)
        rate = electrons * scattered(energy, after)
        kept[k] = np.trapezoid(np.where(after > 0.02, after * rate, 0.0), after)
    absorbed = rock.flux * (absorption(middle) * middle - kept)
    assert absorbed.sum() == pytest.approx(emitted, rel=0.01)


def test_klein_nishina_integrates_to_its_total() -> None:
    for energy in (0.1, 0.662, 2.6145):
        after = np.linspace(1e-4, energy, 20_001)
        assert np.trapezoid(scattered(energy, after), after) == pytest.approx(float(compton(energy)), rel=1e-3)
        backward = energy / (1 + 2 * energy / ELECTRON_MASS_MEV)
        assert scattered(energy, np.array([0.99 * backward, 1.01 * energy])).tolist() == [0, 0]


def test_argon_in_front_hardens_the_gammas() -> None:
    def mean(argon_cm: float) -> float:
        found = entering_spectrum(argon_cm)
        return float(((found.low_mev + found.high_mev) / 2 * found.flux).sum() / found.flux.sum())

    assert mean(0.0) < 0.5 < 1.2 < mean(40.0) < mean(80.0)


def test_neutrons_are_captured_inside_of_the_argon(detector: Detector) -> None:
    source = CavernNeutrons(1.0, detector)
    source.expected = 400.0
    found = source.block(np.random.default_rng(11)).particles
    neutrons, gammas = np.flatnonzero(found.pdg == NEUTRON), np.flatnonzero(found.pdg != NEUTRON)
    assert (found.mother[neutrons] == NO_MOTHER).all()
    assert (found.pdg[gammas] == PHOTON).all()
    # Gammas follow their neutron, and come later.
    mother = found.mother[gammas]
    assert np.array_equal(mother, neutrons[np.searchsorted(neutrons, gammas) - 1])
    assert (found.time_us[gammas] > found.time_us[mother]).all()
    walls = Walls(detector)
    wall = ((found.position_cm[neutrons] == walls.low_cm) | (found.position_cm[neutrons] == walls.high_cm)).sum(axis=1)
    assert (wall == 1).all()
    first = gammas[np.unique(mother, return_index=True)[1]]
    assert len(first) == len(neutrons)
    owner = found.mother[first]
    depth = ((found.position_cm[first] - found.position_cm[owner]) * walls.inward(found.position_cm[owner])).sum(axis=1)
    assert kstest(depth, "expon", (0, 40)).pvalue > 0.001
    assert kstest(found.time_us[first] - found.time_us[owner], "expon", (0, CAPTURE_US)).pvalue > 0.001
    # The gammas of a capture add up to the separation energy of the neutron in Ar-41.
    sums = np.bincount(mother, weights=found.kinetic_mev[gammas])[neutrons]
    assert sums == pytest.approx(np.full(len(neutrons), 6.0989), abs=0.002)


def test_fission_neutrons_have_their_mean_energy() -> None:
    energies = watt_energy(np.random.default_rng(12), 50_000)
    assert energies.mean() == pytest.approx(1.5 * 0.6483 + 0.6483**2 * 6.811 / 4, rel=0.02)
    assert energies.min() >= 0
