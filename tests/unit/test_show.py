"""``snpoint show``: one event of any file of the chain becomes a picture, or an error that says what to type."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from toy_events import DETECTOR, cluster, cluster_settings, match_settings, table
from toy_images import toy_arrays

from snpoint.data import contracts
from snpoint.data.atomic import write_npz
from snpoint.data.tables import CLUSTER_TABLE, TP_TABLE, write_table
from snpoint.errors import DataError, InputMissingError, SnpointError, UsageError
from snpoint.physics.eventview import NOTHING, SIGNAL, close, groups, image_panels, whole
from snpoint.tools.show import command

U, V, X = 0, 1, 2


def show(*arguments):
    """Run the command; its error, if it has one, is raised."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    return Path(result.output.strip())


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000


def linked_event(**values):
    """A main cluster on X and U in APA 0 at x > 0, another cluster on X, and noise."""
    tps = cluster(2200, 1, is_main=1, link_id=3, **values) + cluster(300, 2, is_main=1, link_id=3, **values)
    noise = [{"channel": c, "start": 1000 + c % 97, "is_signal": 0} | values for c in (2210, 310, 900, 1700, 5000)]
    return tps + cluster(2250, 4, start=1040, adc_integral=400, **values) + noise


@pytest.mark.parametrize("event", [12651, 12660])
def test_a_tpstream(real_data, tmp_path, event):
    picture = show(real_data / "test_es_tpstream.root", "--event", event, "-o", tmp_path / "event.png")
    assert picture == tmp_path / "event.png"
    assert is_png(picture)


def test_tables_of_tps_and_of_clusters(real_data, tmp_path):
    from snpoint.stages import cluster as cluster_stage
    from snpoint.stages import match

    tps, clusters = tmp_path / "tps.parquet", tmp_path / "clusters.parquet"
    match.run(match_settings(), tpstream=[real_data / "test_es_tpstream.root"], tps=tps)
    cluster_stage.run(cluster_settings(), tps=tps, clusters=clusters)
    for file in (tps, clusters):
        assert is_png(show(file, "--event", 12655, "-o", tmp_path / f"{file.stem}.png"))


def test_a_shard(tmp_path):
    write_npz(tmp_path / "shard_toy_0000.npz", toy_arrays(5))
    for orientation in ("canonical", "predecessor"):
        write_npz(tmp_path / "shard.npz", toy_arrays(5) | {"orientation": np.array(orientation)})
        assert is_png(show(tmp_path / "shard.npz", "--event", 3, "-o", tmp_path / f"{orientation}.png"))


def test_the_picture_is_named_after_file_and_event(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_npz(tmp_path / "shard.npz", toy_arrays(5))
    assert show("shard.npz", "--event", 3) == Path("shard_event3.png")
    assert is_png(tmp_path / "shard_event3.png")


def test_images_of_one_event_are_counted(tmp_path):
    arrays = toy_arrays(3)
    arrays["event"][:] = 8
    arrays["is_main"][:] = [0, 1, 0]
    write_npz(tmp_path / "shard.npz", arrays)
    for image in (0, 2):
        assert is_png(show(tmp_path / "shard.npz", "--event", 8, "--image", image, "-o", tmp_path / "a.png"))
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
        (["events.parquet", "--event", 9], UsageError, r"no event 9; its 1 events are from 1 to 1"),
        (["runs.parquet", "--event", 1], UsageError, r"in the runs \[7, 8\]; give --run"),
        (["runs.parquet", "--event", 1, "--run", 3], UsageError, "no event 1 of run 3"),
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
    write_table("runs.parquet", table(*linked_event(), *linked_event(run=8)), CLUSTER_TABLE)
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


def test_a_run_tells_equal_event_numbers_apart(tmp_path):
    write_table(tmp_path / "runs.parquet", table(*linked_event(), *linked_event(run=8)), CLUSTER_TABLE)
    assert is_png(show(tmp_path / "runs.parquet", "--event", 1, "--run", 8, "-o", tmp_path / "run8.png"))


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
