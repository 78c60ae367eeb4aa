"""``snpoint show``: one event of any file of the chain becomes a picture, or an error that says what to type."""

from pathlib import Path

import numpy as np
import pytest
from toy_events import DETECTOR, cluster, cluster_settings, table
from toy_images import toy_arrays
from toy_matching import match_settings
from toy_show import is_png, legend, linked_event, n_tps, show

from snpoint.data import tables, tpstream
from snpoint.data.atomic import write_npz
from snpoint.data.tables import CLUSTER_TABLE, TP_TABLE, read_table, write_table
from snpoint.errors import DataError, InputMissingError, SnpointError, UsageError
from snpoint.physics import eventview
from snpoint.physics.constants import UNKNOWN_APA, X
from snpoint.physics.eventpanels import OVERLAY, SIGNAL
from snpoint.physics.eventview import close, groups, whole
from snpoint.plots import event as pictures


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


@pytest.mark.parametrize(
    ("output", "message"),
    [("picture.xyz", r"must end with one of \.png, \.pdf"), ("picture", "must end with"), (".", "is a folder")],
)
def test_what_cannot_be_the_name_of_a_picture_is_refused(tmp_path, monkeypatch, output, message):
    monkeypatch.chdir(tmp_path)
    write_npz(tmp_path / "shard.npz", toy_arrays(5))
    with pytest.raises(UsageError, match=message):
        show("shard.npz", "--event", 3, "-o", output)


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg", ".jpg", ".jpeg"])
def test_every_kind_of_picture_that_is_offered_is_written(tmp_path, suffix):
    write_npz(tmp_path / "shard.npz", toy_arrays(5))
    assert show(tmp_path / "shard.npz", "--event", 3, "-o", tmp_path / f"a{suffix}").stat().st_size > 3000


@pytest.mark.parametrize("orientation", ["canonical", "predecessor"])
def test_imported_images_know_no_apa(tmp_path, shown, orientation):
    arrays = toy_arrays(5) | {"orientation": np.array(orientation)}
    arrays["apa"][:], arrays["face"][:] = UNKNOWN_APA, 0
    write_npz(tmp_path / "shard.npz", arrays)
    assert is_png(show(tmp_path / "shard.npz", "--event", 3, "-o", tmp_path / "a.png"))
    [(_, _, view, _)] = shown
    assert view.where == "APA unknown"
    assert all(panel.arrow is None for panel in view.panels)
    assert view.note.startswith("direction known, ")


def test_the_sample_is_named(tmp_path, shown):
    for folder in ("results/samples/es/cluster", "elsewhere"):
        file = tmp_path / folder / "0000.parquet"
        file.parent.mkdir(parents=True)
        write_table(file, table(*linked_event()), CLUSTER_TABLE)
        show(file, "--event", 1, "-o", tmp_path / "a.png")
    assert shown[0][1].startswith("sample es, cluster/0000.parquet: 17 TPs")
    assert shown[1][1].startswith("0000.parquet: 17 TPs")


def test_a_tpstream_of_another_detector_is_named(real_data, tmp_path):
    message = r"test_es_tpstream\.root: channel \d+ is not one of the .*; is --detector right for this file"
    with pytest.raises(DataError, match=message):
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
    planes = "A, B, X" if orientation == "canonical" else "U, V, X"
    first, second = subtitle.splitlines()
    assert first == "shard.npz: image 0 of 1, main cluster, 100% of its charge of the neutrino"
    energies = "{:.1f}, {:.1f}, {:.1f} MeV".format(*arrays["energy_reco_mev"][3])
    assert second == f"{orientation} frame, reconstructed {energies} ({planes})"
    assert [panel.arrow is not None for panel in view.panels] == [orientation == "canonical"] * 3
    assert view.note == ("" if orientation == "canonical" else "direction known, frame of the predecessor")
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


def test_data_without_truth_have_a_picture_without_arrow(tmp_path, shown):
    nan = {"direction": (np.nan,) * 3, "vertex_cm": (np.nan,) * 3, "energy_true_mev": np.nan, "interaction": 255}
    columns = table(*linked_event(is_signal=0, edep_mev=np.nan, **nan))
    write_table(tmp_path / "data.parquet", columns, CLUSTER_TABLE)
    assert all(panel.arrow is None for panel in close(columns, DETECTOR).panels)
    assert is_png(show(tmp_path / "data.parquet", "--event", 1, "-o", tmp_path / "data.png"))
    assert shown[0][1] == "data.parquet: 17 TPs, no truth, 3 clusters"


def test_absolute_times_start_at_the_first_tp(tmp_path):
    columns = table(*linked_event())
    columns["time_start"] += (1 << 41) // 32 * 32
    assert whole(columns, DETECTOR)[X].panel.tick.min() < 200
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
        (["events.parquet", "--event", 1, "--image", 0], UsageError, "--image chooses among the images of a shard"),
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


def test_tps_outside_of_clusters_are_of_the_neutrino_of_background_or_of_nothing(tmp_path, shown):
    loose = [{"channel": 2215, "start": 1010}, {"channel": 2216, "start": 1010, "is_signal": 0, "is_overlay": 1}]
    over = cluster(2230, 8, start=1010, is_signal=0, is_overlay=1)
    columns = table(*linked_event(), *loose, *over)
    group, _ = groups(columns)
    assert group[columns["channel"] == 2215].tolist() == [SIGNAL]
    assert group[columns["channel"] == 2216].tolist() == [OVERLAY]
    write_table(tmp_path / "over.parquet", columns, CLUSTER_TABLE)
    show(tmp_path / "over.parquet", "--event", 1, "-o", tmp_path / "a.png")
    [(title, subtitle, view, everything)] = shown
    assert subtitle == "over.parquet: 23 TPs, 13 of the neutrino, 5 laid over, 4 clusters"
    assert view.panels[X].overlay.sum() == 5
    assert {"TP of the neutrino outside of clusters", "TP of background laid over"} <= legend(
        pictures.event(title, subtitle, view, everything)
    )


def test_a_main_cluster_of_background_is_called_so(tmp_path, shown):
    main = cluster(2200, 1, is_main=1, is_signal=0, is_overlay=1)
    write_table(tmp_path / "over.parquet", table(*main, *cluster(2300, 2)), CLUSTER_TABLE)
    show(tmp_path / "over.parquet", "--event", 1, "-o", tmp_path / "a.png")
    assert shown[0][1].endswith("4 laid over, 2 clusters, the main one of the background laid over")
