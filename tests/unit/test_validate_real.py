"""The sixty real events among their simulated twins, through the same stages: quantity by quantity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from toy_clusters import synthetic

from snpoint import config
from snpoint.errors import ConfigError, DataError, InputMissingError
from snpoint.physics.geometry import load_detector
from snpoint.physics.validation.pages import halves_text, replaced, result_text
from snpoint.physics.validation.quantities import CHARGE, NAMES, Measured, extent_by, measure, median_by
from snpoint.physics.validation.real import KINDS, Pairs, compare, halves, joined, pair
from snpoint.settings import Twin
from snpoint.stages import cluster, match, simulate
from snpoint.tools import validate_real
from snpoint.tools.validate_real import EXCEPTIONS, measured, read_exceptions, real_records
from snpoint.tools.validate_twins import command as twins_of

DETECTOR = load_detector("fdhd_1x2x2")
TIMES = 20
FILES = {"es": "test_es_tpstream.root", "cc": "test_cc_tpstream.root"}
OUTSIDE = {169978, 169987}
"""Real events whose vertices lie above or below the drift volumes."""


def through_the_chain(tpstream: Path, folder: Path, sample: str) -> Measured:
    """Match and cluster a file by the settings of a sample, and measure it."""
    content = config.load_sample(sample)
    tps, clusters = folder / f"{sample}_tps.parquet", folder / f"results/samples/{sample}/cluster/0000.parquet"
    clusters.parent.mkdir(parents=True)
    match.run(content.match.model_copy(update={"compare": False}), tpstream=[tpstream], tps=tps)
    cluster.run(content.cluster, tps=tps, clusters=clusters)
    return measured(clusters, [tpstream], DETECTOR)


def simulated(folder: Path, kind: str, times: int) -> Measured:
    """Some twins of each real event of a kind."""
    sample = f"twins_{kind}"
    settings = config.load_sample(sample).simulate
    settings = settings.model_copy(update={"events_per_chunk": times * len(settings.twins)})
    tpstream = folder / f"results/samples/{sample}/simulate/0000.root"
    tpstream.parent.mkdir(parents=True)
    simulate.run(settings, sample=sample, chunk=0, tpstream=tpstream)
    return through_the_chain(tpstream, folder, sample)


@pytest.fixture(scope="module")
def real(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("real")
    return joined(through_the_chain(real_data / name, folder, f"fdhd_{kind}") for kind, name in FILES.items())


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with results/ as the pipeline leaves them."""
    folder = tmp_path_factory.mktemp("twins")
    (folder / "configs").symlink_to(Path(__file__).parents[2] / "configs")
    return folder


@pytest.fixture(scope="module")
def twins(workplace: Path) -> Measured:
    return joined(simulated(workplace, kind, TIMES) for kind in FILES)


@pytest.fixture(scope="module")
def pairs(real: Measured, twins: Measured) -> Pairs:
    return pair(real, twins, DETECTOR)


def failures(pairs: Pairs) -> dict[str, float]:
    """Quantities that disagree, and the ratio real / simulated."""
    rows = compare(pairs, read_exceptions(EXCEPTIONS))
    return {row.quantity: row.size for row in rows if row.verdict == "FAILED"}


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
    path.write_text("main_tot_Q: {ratio: [0.5, 1.0], reason: there is no plane Q}\n")
    with pytest.raises(ConfigError, match=r"main_tot_Q: there is no such quantity; did you mean 'main_tot_"):
        read_exceptions(path)
    path.write_text("main_tot_U: {reason: how large}\n")
    with pytest.raises(ConfigError, match="main_tot_U: expected `ratio"):
        read_exceptions(path)


def test_all_quantities_are_measured_and_described(real: Measured) -> None:
    assert set(real.quantities) == set(NAMES)


def test_a_chunk_of_several_files_has_the_charge_of_all(tmp_path: Path) -> None:
    """Two files of ten events each, one table of clusters: as measured file by file."""
    settings = config.load_sample("twins_es").simulate.model_copy(update={"events_per_chunk": 10})
    files = [tmp_path / f"{chunk}.root" for chunk in (1, 0)]
    for chunk, path in zip((1, 0), files, strict=True):
        simulate.run(settings, sample="twins_es", chunk=chunk, tpstream=path)
    alone = joined(measured(tables([path], tmp_path / path.stem), [path], DETECTOR) for path in files[::-1])
    clusters = tables(files, tmp_path / "both")
    both = measured(clusters, files, DETECTOR)
    assert len(both.event_uid) == 20
    for name in CHARGE:
        assert np.isfinite(both.quantities[name]).all()
        assert both.quantities[name].tolist() == alone.quantities[name].tolist()
    with pytest.raises(DataError, match=r"1 files hold not event \d+ of the table of clusters"):
        measured(clusters, files[:1], DETECTOR)
    with pytest.raises(DataError, match="10 events twice"):
        measured(clusters, [*files, files[0]], DETECTOR)


def tables(files: list[Path], folder: Path) -> Path:
    """The table of clusters of some files."""
    folder.mkdir()
    content = config.load_sample("twins_es")
    match.run(content.match, tpstream=files, tps=folder / "tps.parquet")
    cluster.run(content.cluster, tps=folder / "tps.parquet", clusters=folder / "clusters.parquet")
    return folder / "clusters.parquet"


EVENTS = 24


def toy_events(seed: int, times: int, gain: float = 1.0, spread: float = 0.1) -> Measured:
    """Events with all quantities, around 100; pulses of X times a gain."""
    rng = np.random.default_rng(seed)
    n = times * EVENTS
    event = np.arange(n)
    quantities = {name: rng.normal(100.0, 100.0 * spread, n) for name in NAMES}
    quantities["main_peak_X"] *= gain
    vertex = np.full((n, 3), 100.0)
    kinds = np.where(event % EVENTS < 8, 1, 2)
    return Measured(event.astype(np.uint64), 5.0 + event % EVENTS, vertex[:, 0], vertex, kinds, quantities)


@pytest.fixture
def toy_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """`validate real` on toy events, with a gain of the real ones and exceptions."""

    def run(gain: float, exceptions: str = "") -> Result:
        samples = {"fdhd_es": toy_events(1, 1, gain), "twins_es": toy_events(2, 40)}
        monkeypatch.setattr(validate_real, "measured_sample", lambda folder, detector, chunks: [samples[folder.name]])
        (tmp_path / "exceptions.yaml").write_text(exceptions)
        arguments = ["--real", "fdhd_es", "--twins", "twins_es", "--exceptions", str(tmp_path / "exceptions.yaml")]
        return CliRunner().invoke(validate_real.command, [*arguments, "-o", str(tmp_path)], catch_exceptions=False)

    return run


def verdicts(folder: Path) -> dict[str, str]:
    """Verdict by quantity, of those that are not ok."""
    rows = [row for row in real_records(folder / "real.csv") if row["events"] == "all"]
    return {row["quantity"]: row["verdict"] for row in rows if row["verdict"] != "ok"}


def test_the_command_succeeds_where_all_is_well(toy_command: Callable[..., Result], tmp_path: Path) -> None:
    page = "".join(
        f"<!-- {part}: written by the command -->\n<!-- end of {part} -->\n" for part in ("result", "halves")
    )
    (tmp_path / "real.md").write_text(f"above\n{page}below\n")
    result = toy_command(1.0, "main_peak_X: {ratio: [1.0, 2.0], reason: no reason at all}\n")
    assert result.exit_code == 0, result.output
    assert f"{EVENTS} real events, 40 or more twins of each" in result.output
    assert "agrees; the exception that names it is no longer needed" in result.output
    assert verdicts(tmp_path) == {}
    assert {row["events"] for row in real_records(tmp_path / "real.csv")} == set(KINDS)
    for name in ("real_ranks.png", "real_ratios.png"):
        assert (tmp_path / name).stat().st_size > 10_000
    written = (tmp_path / "real.md").read_text()
    assert written.startswith("above\n")
    assert written.endswith("below\n")
    assert f"24 real events, 40 twins or more of each: every one of the {len(NAMES)} quantities" in written
    assert all(f"| `{name}` |" in written for name in NAMES)


def test_the_command_fails_where_a_quantity_disagrees(toy_command: Callable[..., Result], tmp_path: Path) -> None:
    result = toy_command(1.3)
    assert result.exit_code == 1
    assert "FAILED: not named among the exceptions" in result.output
    assert verdicts(tmp_path) == {"main_peak_X": "FAILED"}


def test_a_named_disagreement_passes_in_its_range_and_fails_outside(
    toy_command: Callable[..., Result], tmp_path: Path
) -> None:
    result = toy_command(1.3, "main_peak_X: {ratio: [1.2, 1.4], reason: a gain is known to be off}\n")
    assert result.exit_code == 0
    assert "named: a gain is known to be off" in result.output
    assert verdicts(tmp_path) == {"main_peak_X": "named"}
    result = toy_command(1.3, "main_peak_X: {ratio: [1.05, 1.15], reason: a gain is known to be off}\n")
    assert result.exit_code == 1
    assert "outside of 1.05 .. 1.15" in result.output
    assert verdicts(tmp_path) == {"main_peak_X": "FAILED"}


def test_the_command_runs_on_samples_of_the_pipeline(
    twins: Measured, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables and TPStream files where Snakemake puts them; the simulated events stand in for the real ones."""
    monkeypatch.chdir(workplace)
    sample = "results/samples/twins_es"
    arguments = ["--real", sample, "--twins", sample, "--chunks", "1", "-o", "out"]
    result = CliRunner().invoke(validate_real.command, arguments, catch_exceptions=False)
    assert f"{10 * TIMES} real events, {TIMES} or more twins of each" in result.output
    assert (workplace / "out/real.csv").exists()
    (workplace / sample / "simulate/0000.root").rename(workplace / sample / "simulate/away.root")
    try:
        with pytest.raises(InputMissingError, match=r"electrons_per_mev.*snakemake --profile local .*/simulate/"):
            CliRunner().invoke(validate_real.command, arguments, catch_exceptions=False)
    finally:
        (workplace / sample / "simulate/away.root").rename(workplace / sample / "simulate/0000.root")


def test_missing_tables_and_files_are_errors_with_the_command_that_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "twins_es"
    with pytest.raises(
        InputMissingError,
        match=r"snakemake --profile local results/samples/twins_es/cluster/\{0000\.\.0010\}\.parquet",
    ):
        list(validate_real.measured_sample(folder, DETECTOR, None))
    (folder / "cluster").mkdir(parents=True)
    (folder / "cluster/0000.parquet").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputMissingError, match=r"electrons_per_mev.*results/samples/twins_es/simulate/\{0000"):
        list(validate_real.measured_sample(folder, DETECTOR, None))


def test_a_quantity_that_was_not_measured_everywhere_is_an_error() -> None:
    """Or it would drop out of the comparison, and of the number that Holm corrects for."""
    real, fewer = toy_events(1, 1), toy_events(2, 20)
    fewer = fewer._replace(quantities={name: v for name, v in fewer.quantities.items() if name != "charge_rms"})
    with pytest.raises(DataError, match="charge_rms"):
        compare(pair(real, fewer, DETECTOR), {})
    with pytest.raises(DataError, match=r"charge_rms.*snakemake --profile local"):
        joined([real, fewer])


def test_counts_are_judged_by_the_ratio_of_sums() -> None:
    """The median of counts that are mostly 0 says nothing."""
    real, simulated = toy_events(1, 1), toy_events(2, 40)
    rng = np.random.default_rng(3)
    real.quantities["blips_small_X"] = rng.poisson(0.8, EVENTS).astype(float)
    simulated.quantities["blips_small_X"] = rng.poisson(0.4, 40 * EVENTS).astype(float)
    row = next(row for row in compare(pair(real, simulated, DETECTOR), {}) if row.quantity == "blips_small_X")
    assert np.isnan(row.agreements["all"].ratio)
    assert row.size == row.agreements["all"].mean_ratio == pytest.approx(2.0, rel=0.5)


def test_the_page_has_the_numbers_of_the_table() -> None:
    """docs/validation/real.md holds what `validate real` wrote there together with real.csv."""
    folder = Path(__file__).parents[2] / "docs/validation"
    records, page = real_records(folder / "real.csv"), (folder / "real.md").read_text()
    assert {row["quantity"] for row in records} == set(NAMES)
    assert replaced(page, "result", result_text(records)) == page
    assert replaced(page, "halves", halves_text(records)) == page


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
