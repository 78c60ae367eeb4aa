"""``snpoint show``: one event of any file of the chain becomes a picture, or an error that says what to type."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from toy_events import DETECTOR, cluster, cluster_settings, table
from toy_images import toy_arrays
from toy_matching import match_settings

from snpoint.data import contracts, tables, tpstream
from snpoint.data.atomic import write_npz
from snpoint.data.tables import CLUSTER_TABLE, TP_TABLE, read_table, write_table
from snpoint.errors import DataError, InputMissingError, SnpointError, UsageError
from snpoint.physics import eventview
from snpoint.physics.eventview import NOTHING, SIGNAL, close, groups, image_panels, whole
from snpoint.plots import event as pictures
from snpoint.tools.show import command

U, V, X = 0, 1, 2


def show(*arguments):
    """Run the command; its error, if it has one, is raised."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    return Path(result.output.strip())


@pytest.fixture
def shown(monkeypatch):
    """What the picture is told to show: title, subtitle, the close view, and all TPs."""
    calls = []
    draw = pictures.event

    def record(title, subtitle, view, everything=None):
        calls.append((title, subtitle, view, everything))
        return draw(title, subtitle, view, everything)

    monkeypatch.setattr(pictures, "event", record)
    return calls


def n_tps(panels):
    return [len(panel.channel) for panel in panels]


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000


def linked_event(**values):
    """A main cluster on X and U in APA 0 at x > 0, another cluster on X, and noise."""
    tps = cluster(2200, 1, is_main=1, link_id=3, **values) + cluster(300, 2, is_main=1, link_id=3, **values)
    noise = [{"channel": c, "start": 1000 + c % 97, "is_signal": 0} | values for c in (2210, 310, 900, 1700, 5000)]
    return tps + cluster(2250, 4, start=1040, adc_integral=400, **values) + noise


@pytest.mark.parametrize(
    ("event", "energies"),
    [
        (12651, "electron 13.2 MeV (kinetic), neutrino 68.2 MeV"),
        (12660, "electron 15.3 MeV (kinetic), neutrino 18.6 MeV"),
    ],
)
def test_a_tpstream(real_data, tmp_path, shown, event, energies):
    file = real_data / "test_es_tpstream.root"
    picture = show(file, "--event", event, "-o", tmp_path / "event.png")
    assert picture == tmp_path / "event.png"
    assert is_png(picture)
    [(title, subtitle, _, everything)] = shown
    assert title == f"run 8106, subrun 0, event {event}, ES, {energies}"
    tps = tpstream.read_tpstream(file, ("tps",))["tps"]
    channel = tps["channel"][tps["Event"] == event]
    assert subtitle.startswith(f"test_es_tpstream.root: {len(channel)} TPs, ")
    assert n_tps(everything) == np.bincount(DETECTOR.plane(channel), minlength=3).tolist()


def test_a_tpstream_of_another_detector_is_named(real_data, tmp_path):
    with pytest.raises(UsageError, match=r"test_es_tpstream\.root: .*; is --detector fdvd_example right for this file"):
        show(
            real_data / "test_es_tpstream.root",
            "--event",
            12651,
            "--detector",
            "fdvd_example",
            "-o",
            tmp_path / "a.png",
        )


def test_of_a_tpstream_only_one_event_is_read(real_data, tmp_path, monkeypatch):
    """And of its branches only what the picture needs: no deposits, where the file has its own truth of TPs."""
    read, whole_file = [], tpstream.TpStream.read

    def record(stream, tree, branches, start=0, stop=None):
        wanted = list(branches)
        if not set(wanted) <= set(tpstream.KEY) and stop != 0:
            read.append((tree, stop - start))
        return whole_file(stream, tree, wanted, start, stop)

    monkeypatch.setattr(tpstream.TpStream, "read", record)
    show(real_data / "test_es_tpstream.root", "--event", 12655, "-o", tmp_path / "event.png")
    assert {tree for tree, _ in read} == {"tps", "mctruths", "mcparticles"}
    assert dict(read)["tps"] < 3000


def test_tables_of_tps_and_of_clusters(real_data, tmp_path, shown, monkeypatch):
    from snpoint.stages import cluster as cluster_stage
    from snpoint.stages import match

    monkeypatch.setattr(tables, "_ROWS_PER_GROUP", 2000)
    tps, clusters = tmp_path / "tps.parquet", tmp_path / "clusters.parquet"
    match.run(match_settings(), tpstream=[real_data / "test_es_tpstream.root"], tps=tps)
    cluster_stage.run(cluster_settings(), tps=tps, clusters=clusters)
    found = read_table(clusters, CLUSTER_TABLE)
    own = found["event"] == 12655
    for file in (tps, clusters):
        assert is_png(show(file, "--event", 12655, "-o", tmp_path / f"{file.stem}.png"))
    n, n_signal = int(own.sum()), int(found["is_signal"][own].sum())
    n_clusters = len(np.unique(found["cluster_id"][own])) - 1
    subtitle = f"{n} TPs, {n_signal} of the neutrino"
    assert [call[1] for call in shown] == [
        f"tps.parquet: {subtitle}", f"clusters.parquet: {subtitle}, {n_clusters} clusters"
    ]  # fmt: skip
    for title, _, _, everything in shown:
        assert title.startswith("run 8106, subrun 0, event 12655, ES, electron")
        assert n_tps(everything) == np.bincount(found["plane"][own], minlength=3).tolist()


@pytest.mark.parametrize("contract", [TP_TABLE, CLUSTER_TABLE], ids=["tps", "clusters"])
def test_of_a_table_only_the_needed_columns_are_read(tmp_path, monkeypatch, contract):
    columns = table(*linked_event())
    write_table(tmp_path / "table.parquet", {key: columns[key] for key in contract}, contract)
    needed = eventview.CLUSTERS_NEEDED if contract is CLUSTER_TABLE else eventview.NEEDED
    asked, read = [], tables.iter_table
    monkeypatch.setattr(tables, "iter_table", lambda *given: asked.append(given[2]) or read(*given))
    show(tmp_path / "table.parquet", "--event", 1, "-o", tmp_path / "a.png")
    assert asked == [("event_uid",), needed]


@pytest.mark.parametrize("orientation", ["canonical", "predecessor"])
def test_a_shard(tmp_path, shown, orientation):
    arrays = toy_arrays(5) | {"orientation": np.array(orientation)}
    write_npz(tmp_path / "shard.npz", arrays)
    assert is_png(show(tmp_path / "shard.npz", "--event", 3, "-o", tmp_path / "a.png"))
    [(title, subtitle, view, everything)] = shown
    energy = arrays["energy_true_mev"][3], arrays["neutrino_energy_mev"][3]
    assert title == "run 1, subrun 0, event 3, ES, electron {:.1f} MeV (kinetic), neutrino {:.1f} MeV".format(*energy)
    assert subtitle.startswith(f"shard.npz: image 0 of 1, main cluster, {orientation} frame, reconstructed")
    assert subtitle.endswith("{:.1f}, {:.1f}, {:.1f} MeV (A, B, X)".format(*arrays["energy_reco_mev"][3]))
    assert n_tps(view.panels) == np.diff(arrays["offsets"][9:13]).tolist()
    assert everything is None


def test_the_picture_is_named_after_file_and_event(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_npz(tmp_path / "shard.npz", toy_arrays(5))
    assert show("shard.npz", "--event", 3) == Path("shard_event3.png")
    assert is_png(tmp_path / "shard_event3.png")


def test_images_of_one_event_are_counted(tmp_path, shown):
    """The main one is the first."""
    arrays = toy_arrays(4)
    arrays["event"][:3], arrays["event_uid"][:3] = 8, (1 << 44) + 8
    arrays["is_main"][:] = [0, 1, 0, 1]
    write_npz(tmp_path / "shard.npz", arrays)
    for image in range(3):
        assert is_png(show(tmp_path / "shard.npz", "--event", 8, "--image", image, "-o", tmp_path / "a.png"))
    for image, (row, main) in enumerate(
        [(1, "main cluster"), (0, "not the main cluster"), (2, "not the main cluster")]
    ):
        _, subtitle, view, _ = shown[image]
        assert f"image {image} of 3, {main}, " in subtitle
        assert n_tps(view.panels) == np.diff(arrays["offsets"][3 * row : 3 * row + 4]).tolist()
    with pytest.raises(UsageError, match="event 8 has 3 images, counted from 0; --image 3"):
        show(tmp_path / "shard.npz", "--event", 8, "--image", 3, "-o", tmp_path / "a.png")


def test_data_without_truth_have_a_picture_without_arrow(tmp_path):
    nan = {"direction": (np.nan,) * 3, "vertex_cm": (np.nan,) * 3, "energy_true_mev": np.nan, "interaction": 255}
    columns = table(*linked_event(is_signal=0, edep_mev=np.nan, **nan))
    write_table(tmp_path / "data.parquet", columns, CLUSTER_TABLE)
    assert all(panel.arrow is None for panel in close(columns, DETECTOR).panels)
    assert is_png(show(tmp_path / "data.parquet", "--event", 1, "-o", tmp_path / "data.png"))


def test_absolute_times_start_at_the_first_tp(tmp_path):
    columns = table(*linked_event())
    columns["time_start"] += (1 << 41) // 32 * 32
    assert whole(columns, DETECTOR)[X].tick.min() < 200
    assert close(columns, DETECTOR).panels[X].arrow is None  # no drift line without a trigger time
    write_table(tmp_path / "late.parquet", columns, CLUSTER_TABLE)
    assert is_png(show(tmp_path / "late.parquet", "--event", 1, "-o", tmp_path / "late.png"))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["events.parquet", "--event", 9], UsageError, "no event 9; it holds event 1"),
        (["none_left.parquet", "--event", 9], UsageError, "no event 9; it holds no events"),
        (["many.parquet", "--event", 14], UsageError, "no event 14; of its 9 events the nearest are 3, 4, 12, 15, 20"),
        (
            ["runs.parquet", "--event", 1],
            UsageError,
            r"event 1 is there 3 times, as \(run, subrun\) \(7, 0\), \(8, 0\), \(8, 2\); give --run, --subrun",
        ),
        (
            ["runs.parquet", "--event", 1, "--run", 8],
            UsageError,
            r"run 8, event 1 is there 2 times, .* \(8, 0\), \(8, 2",
        ),
        (
            ["runs.parquet", "--event", 1, "--run", 3],
            UsageError,
            r"no run 3, event 1; event 1 is there .* \(7, 0\), \(8",
        ),
        (["runs.parquet", "--event", 1, "--subrun", 4], UsageError, "no subrun 4, event 1"),
        (["none.parquet", "--event", 1], InputMissingError, "no such file"),
        (["text.parquet", "--event", 1], DataError, "not a readable parquet file"),
        (["text.csv", "--event", 1], UsageError, r"ends with \.root, \.parquet, \.npz"),
        (["large.parquet", "--event", 1], UsageError, "channel 20000, but fdhd_1x2x2 only 10240; give --detector"),
        (["induction.parquet", "--event", 1], DataError, "no TP on plane X"),
    ],
)
def test_errors_say_what_to_do(tmp_path, monkeypatch, arguments, error, message):
    monkeypatch.chdir(tmp_path)
    write_table("events.parquet", table(*linked_event()), CLUSTER_TABLE)
    write_table("runs.parquet", runs(), CLUSTER_TABLE)
    write_table("none_left.parquet", {key: values[:0] for key, values in runs().items()}, CLUSTER_TABLE)
    numbers = (1, 2, 3, 4, 12, 15, 20, 30, 40)
    write_table("many.parquet", table(*(tp for n in numbers for tp in cluster(2200, 1, event=n))), CLUSTER_TABLE)
    large = table(*linked_event())
    large["channel"][0] = 20000
    write_table("large.parquet", large, CLUSTER_TABLE)
    write_table("induction.parquet", table(*cluster(300, 1)), CLUSTER_TABLE)
    for name in ("text.parquet", "text.csv"):
        Path(name).write_text("a,b", encoding="utf-8")
    with pytest.raises(error, match=message) as caught:
        show(*arguments, "-o", "out.png")
    assert isinstance(caught.value, SnpointError)
    assert "\n" not in str(caught.value)
    assert not Path("out.png").exists()


def runs():
    """Event 1 of run 7, of run 8 (with one TP more), and of subrun 2 of run 8 (with two more)."""
    parts = [table(*linked_event(run=run), *cluster(3000, 5, n, run=run)) for run, n in ((7, 1), (8, 2), (8, 3))]
    parts[2]["subrun"][:] = 2
    parts[2]["event_uid"] += np.uint64(2 << 32)
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


@pytest.mark.parametrize(
    ("given", "name", "n"),
    [
        (["--run", 7], "run 7, subrun 0", 18),
        (["--run", 8, "--subrun", 0], "run 8, subrun 0", 19),
        (["--subrun", 2], "run 8, subrun 2", 20),
    ],
)
def test_run_and_subrun_tell_equal_event_numbers_apart(tmp_path, shown, given, name, n):
    write_table(tmp_path / "runs.parquet", runs(), CLUSTER_TABLE)
    assert is_png(show(tmp_path / "runs.parquet", "--event", 1, *given, "-o", tmp_path / "a.png"))
    [(title, subtitle, _, everything)] = shown
    assert title.startswith(f"{name}, event 1,")
    assert subtitle.startswith(f"runs.parquet: {n} TPs")
    assert sum(n_tps(everything)) == n


def test_run_numbers_use_all_bits(tmp_path, shown):
    """The pipeline's own samples have runs that make the number of an event larger than 2^63."""
    arrays = toy_arrays(2)
    arrays["run"][:] = (1 << 20) - 1
    arrays["event_uid"] += np.uint64(((1 << 20) - 2) << 44)
    write_npz(tmp_path / "shard.npz", arrays)
    show(tmp_path / "shard.npz", "--event", 1, "--run", (1 << 20) - 1, "-o", tmp_path / "a.png")
    assert shown[0][0].startswith("run 1048575, subrun 0, event 1,")


@pytest.mark.parametrize("clock", [32, 8])
def test_the_close_view_does_not_depend_on_the_clock(clock):
    """Its center is the mean of the main cluster within 600 ticks of its heaviest TP."""
    detector = dataclasses.replace(DETECTOR, clock_per_tick=clock)
    main = cluster(2200, 1, is_main=1) + cluster(2204, 1, is_main=1, start=1400) + cluster(2208, 1, 1, start=1700)
    main[0]["adc_integral"] = 1600
    main[-1]["is_main"] = 1
    columns = table(*main, detector=detector)
    near = np.array([tp["start"] for tp in main[:-1]])
    weights = [tp.get("adc_integral", 1500) for tp in main[:-1]]
    assert close(columns, detector).center_tick == pytest.approx(np.average(near, weights=weights))


def test_parts_of_a_link_share_a_color_and_the_heaviest_comes_first():
    columns = table(*linked_event())
    group, main = groups(columns)
    assert set(group[main].tolist()) == {1}
    assert set(group[columns["cluster_id"] == 4].tolist()) == {2}
    assert set(group[columns["cluster_id"] < 0].tolist()) == {NOTHING}


def test_a_table_of_tps_shows_the_signal():
    columns = {key: values for key, values in table(*linked_event()).items() if key in TP_TABLE}
    group, main = groups(columns)
    np.testing.assert_array_equal(group == SIGNAL, columns["is_signal"] == 1)
    assert not main.any()


def test_the_close_view_is_around_the_main_cluster_on_its_side():
    view = close(table(*linked_event()), DETECTOR)
    assert view.where == "APA 0, face +1"
    assert view.panels[X].channel.min() >= 2080
    assert view.panels[X].main.sum() == view.panels[U].main.sum() == 4
    assert 1000 < view.center_tick < 1020


def test_the_arrow_points_along_the_true_direction():
    """The electron of a point-like track is where the wires say, and longer with its energy."""
    vertex = np.array([80.0, -300.0, 100.0])
    tps = linked_event(vertex_cm=tuple(vertex), direction=(0.6, 0.8, 0.0))
    view = close(table(*tps), DETECTOR)
    volume = DETECTOR.volume(0, 1)
    for plane in (U, V, X):
        arrow = view.panels[plane].arrow
        step = volume.channel(plane, vertex[1] + 0.8, vertex[2]) - volume.channel(plane, vertex[1], vertex[2])
        assert arrow.channels == pytest.approx(step * 12 * 0.45, abs=1e-6)
        assert arrow.ticks == pytest.approx(0.6 * 12 * 0.45 * DETECTOR.ticks_per_cm)
    assert view.panels[X].arrow.channel == pytest.approx(float(volume.channel(X, vertex[1], vertex[2])))


def test_the_arrow_of_an_image_follows_its_tps():
    """Toy tracks lie along their direction: the arrow has their slope on every plane."""
    arrays = toy_arrays(30, blips=False)
    contracts.validate(arrays, contracts.SHARD, "toy")
    for row in range(30):
        for panel in image_panels(arrays, row, DETECTOR, canonical=True).panels:
            arrow, middle = panel.arrow, panel.tick + panel.length / 2
            if len(panel.channel) > 4 and abs(arrow.channels) > 3:
                slope = np.polyfit(panel.channel, middle, 1)[0]
                assert slope == pytest.approx(arrow.ticks / arrow.channels, abs=max(1.5, 0.3 * abs(slope)))
