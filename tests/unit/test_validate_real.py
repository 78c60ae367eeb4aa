"""The sixty real events among their simulated twins, through the same stages: quantity by quantity."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from toy_clusters import synthetic

from snpoint import config
from snpoint.errors import ConfigError, DataError
from snpoint.physics.geometry import load_detector
from snpoint.physics.validation.quantities import Measured, extent_by, measure, median_by
from snpoint.physics.validation.real import Pairs, compare, halves, joined, pair, size_of
from snpoint.settings import Twin
from snpoint.stages import cluster, match, simulate
from snpoint.tools.validate_real import EXCEPTIONS, measured, read_exceptions
from snpoint.tools.validate_twins import command as twins_of

DETECTOR = load_detector("fdhd_1x2x2")
TIMES = 20
FILES = {"es": "test_es_tpstream.root", "cc": "test_cc_tpstream.root"}
OUTSIDE = {169978, 169987}
"""Real events whose vertices lie above or below the drift volumes."""


def through_the_chain(tpstream: Path, folder: Path, sample: str) -> Measured:
    """Match and cluster a file by the settings of a sample, and measure it."""
    content = config.load_sample(sample)
    tps, clusters = folder / f"{sample}_tps.parquet", folder / f"{sample}_clusters.parquet"
    match.run(content.match.model_copy(update={"compare": False}), tpstream=[tpstream], tps=tps)
    cluster.run(content.cluster, tps=tps, clusters=clusters)
    return measured(clusters, [tpstream], DETECTOR)


def simulated(folder: Path, kind: str, times: int) -> Measured:
    """Some twins of each real event of a kind."""
    sample = f"twins_{kind}"
    settings = config.load_sample(sample).simulate
    settings = settings.model_copy(update={"events_per_chunk": times * len(settings.twins)})
    simulate.run(settings, sample=sample, chunk=0, tpstream=folder / f"{sample}.root")
    return through_the_chain(folder / f"{sample}.root", folder, sample)


@pytest.fixture(scope="module")
def real(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("real")
    return joined(through_the_chain(real_data / name, folder, f"fdhd_{kind}") for kind, name in FILES.items())


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("twins")
    return joined(simulated(folder, kind, TIMES) for kind in FILES)


@pytest.fixture(scope="module")
def pairs(real: Measured, twins: Measured) -> Pairs:
    return pair(real, twins, DETECTOR)


def failures(pairs: Pairs) -> dict[str, float]:
    """Quantities that disagree, and the ratio real / simulated."""
    rows = compare(pairs, read_exceptions(EXCEPTIONS))
    return {row.quantity: size_of(row.agreements["all"]) for row in rows if row.verdict == "FAILED"}


def changed(pairs: Pairs, factors: dict[str, float]) -> Pairs:
    """The same with quantities of the real events multiplied."""
    quantities = {name: values * factors.get(name, 1.0) for name, values in pairs.real.quantities.items()}
    return pair(pairs.real._replace(quantities=quantities), pairs.twins, DETECTOR)


def test_every_real_event_inside_is_compared_with_all_its_twins(pairs: Pairs) -> None:
    assert len(pairs.rows) == 58
    assert {uid & 0xFFFFFFFF for uid in pairs.left_out} == OUTSIDE
    assert {len(own) for own in pairs.twin_rows} == {TIMES}
    assert pairs.kind("ES").sum() == 10


def test_real_events_look_like_simulated_ones_in_every_quantity_but_the_named(pairs: Pairs) -> None:
    """Each quantity p > 0.01 after Holm; exceptions have a size and a reason (reference/real_exceptions.yaml)."""
    assert failures(pairs) == {}


def test_a_gain_of_15_percent_would_be_found(pairs: Pairs) -> None:
    found = failures(changed(pairs, {"main_peak_X": 1.15, "electrons_per_mev": 1.15}))
    assert found.keys() == {"main_peak_X", "electrons_per_mev"}


def test_doubled_noise_would_be_found(pairs: Pairs) -> None:
    names = [f"noise_tot{length}_{plane}" for length in "12" for plane in "UVX"]
    assert failures(changed(pairs, dict.fromkeys(names, 2.0))).keys() == set(names)


def test_simulated_events_in_the_place_of_real_ones_agree(pairs: Pairs) -> None:
    """The whole machinery on events for which the answer is known."""
    first = np.array([own[0] for own in pairs.twin_rows])
    others = np.setdiff1d(np.arange(len(pairs.twins.event_uid)), first)
    made = pair(taken(pairs.twins, first), taken(pairs.twins, others), DETECTOR)
    rows = compare(made, {})
    assert [row.quantity for row in rows if row.verdict != "ok"] == []
    assert np.mean([row.agreements["all"].p < 0.05 for row in rows]) < 0.25


def taken(events: Measured, rows: np.ndarray) -> Measured:
    """Some of the events."""
    quantities = {name: values[rows] for name, values in events.quantities.items()}
    return Measured(*(column[rows] for column in events[:5]), quantities)


@pytest.mark.nightly
def test_two_hundred_twins_of_each_event(real: Measured, tmp_path: Path) -> None:
    assert failures(pair(real, joined(simulated(tmp_path, kind, 200) for kind in FILES), DETECTOR)) == {}


def test_halves_are_even_and_odd_event_numbers(pairs: Pairs) -> None:
    even, odd = halves(pairs)
    assert not (even & odd).any()
    assert (even | odd).all()
    assert 25 < even.sum() < 33


def test_a_real_event_without_twins_is_an_error(pairs: Pairs) -> None:
    wanted = pairs.twins.electron_mev > 5.0
    with pytest.raises(DataError, match="has no twin"):
        pair(pairs.real, taken(pairs.twins, np.flatnonzero(wanted)), DETECTOR)


def test_the_committed_lists_are_those_of_the_files(real_data: Path) -> None:
    for kind, name in FILES.items():
        result = CliRunner().invoke(twins_of, [str(real_data / name)], catch_exceptions=False)
        printed = [Twin(**entry) for entry in yaml.safe_load(result.output)["twins"]]
        assert printed == list(config.load_sample(f"twins_{kind}").simulate.twins)
    assert result.output.count("outside of the drift volumes") == len(OUTSIDE)


def test_exceptions_have_a_size_and_a_reason(tmp_path: Path) -> None:
    for known in read_exceptions(EXCEPTIONS).values():
        assert 0.2 < known.ratio[0] < known.ratio[1] < 5.0
        assert len(known.reason) > 20
    path = tmp_path / "exceptions.yaml"
    path.write_text("no_such_quantity: {ratio: [0.5, 1.0], reason: because}\n")
    with pytest.raises(ConfigError, match="no_such_quantity"):
        read_exceptions(path)


class Toy(NamedTuple):
    """TPs of a toy event; `main` and `signal` are flags."""

    channel: list[int]
    start: list[int]
    length: list[int]
    main: list[int]
    signal: list[int]


def toy_table(toy: Toy) -> dict[str, np.ndarray]:
    """A cluster table with these TPs, a peak of 100 ADC and an integral of 1800 each, T = 2 MeV, |x| = 100 cm."""
    n = len(toy.channel)
    table = synthetic(toy.channel, toy.start, toy.length)
    floats = {
        f"{name}_{axis}": np.zeros(n, np.float32) for name in ("direction", "neutrino_direction") for axis in "xyz"
    }
    floats |= {f"vertex_{axis}_cm": np.full(n, -100.0, np.float32) for axis in "xyz"}
    main = np.array(toy.main, np.uint8)
    return table | floats | {
        "run": np.ones(n, np.uint32), "subrun": np.zeros(n, np.uint32),
        "adc_peak": np.full(n, 100, np.uint16), "is_main": main, "accepted": main,
        "is_signal": np.array(toy.signal, np.uint8), "interaction": np.ones(n, np.uint8),
        "cluster_id": np.where(main == 1, table["plane"], -1).astype(np.int32),
        "link_id": np.where(main == 1, 0, -1).astype(np.int32), "link_planes": (3 * main).astype(np.uint8),
        "link_margin": np.full(n, np.nan, np.float32), "edep_mev": np.ones(n, np.float32),
        "energy_true_mev": np.full(n, 2.0, np.float32), "neutrino_energy_mev": np.full(n, 9.0, np.float32),
        "background_uid": np.zeros(n, np.uint64), "background_fingerprint": np.zeros(n, np.uint64),
    }  # fmt: skip


def test_quantities_of_a_toy_event() -> None:
    # main cluster on U across the seam of the wrapped wires (799, 0, 1) and on X (1700, 1701, 1703); one small blip
    # of the neutrino 20 channels away on X, one TP of three ticks without truth there, one of one tick on V
    found = measure(
        toy_table(Toy(
            [799, 0, 1, 1700, 1701, 1703, 1720, 1705, 900],
            [100, 104, 110, 100, 103, 109, 120, 130, 90],
            [10, 6, 8, 20, 5, 11, 2, 3, 1],
            [1, 1, 1, 1, 1, 1, 0, 0, 0],
            [1, 1, 1, 1, 1, 1, 1, 0, 0],
        )),
        DETECTOR,
    )  # fmt: skip
    own = {name: float(values[0]) for name, values in found.quantities.items()}
    assert (found.electron_mev[0], found.abs_x_cm[0]) == (2.0, 100.0)
    assert (own["main_channels_U"], own["main_ticks_U"], own["main_tot_U"]) == (3.0, 18.0, 8.0)
    assert (own["main_channels_X"], own["main_ticks_X"], own["main_tot_X"]) == (4.0, 20.0, 11.0)
    assert np.isnan(own["main_channels_V"])
    assert (own["tps_per_mev_tot2_X"], own["tps_per_mev_tot4_X"], own["adc_per_mev_X"]) == (2.0, 1.5, 3600.0)
    assert (own["blips_small_X"], own["blips_large_X"], own["blips_small_UV"]) == (1.0, 0.0, 0.0)
    assert (own["noise_tot3_X"], own["noise_tot1_V"], own["noise_tot1_U"]) == (1.0, 1.0, 0.0)
    assert (own["noise_height_X"], own["noise_height_V"]) == (40.0, 30.0)


def test_medians_and_extents_of_groups() -> None:
    group = np.array([2, 0, 2, 0, 2, 2])
    values = np.array([4.0, 1.0, 1.0, 2.0, 3.0, 9.0])
    assert median_by(group, values, 4)[[0, 2]].tolist() == [1.5, 3.5]
    assert np.isnan(median_by(group, values, 4)[[1, 3]]).all()
    assert extent_by(group, values, values, 3)[[0, 2]].tolist() == [1.0, 8.0]
