"""The picture of an event: what is drawn where, and what its legend says."""

import dataclasses

import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch
from toy_events import DETECTOR, cluster, table
from toy_images import toy_arrays
from toy_show import legend, linked_event

from snpoint.data import contracts
from snpoint.data.tables import TP_TABLE
from snpoint.physics.constants import U, V, X
from snpoint.physics.eventpanels import NOTHING, SIGNAL, Arrow
from snpoint.physics.eventview import close, groups, whole
from snpoint.physics.imageview import image_panels
from snpoint.plots import event as pictures


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


def axes_of(columns):
    """The three axes of the overview, those of the close view, and the legend."""
    canvas = pictures.event("", "", close(columns, DETECTOR), whole(columns, DETECTOR))
    return canvas.axes[:3], canvas.axes[3:6], legend(canvas)


def around_the_wrap(**values):
    """A main cluster whose V wires are the last and the first two of APA 2; greedy clusters span the wrap, too."""
    main = [{"cluster_id": 2, "accepted": 1, "is_main": 1, "channel": 5120 + c} for c in (1598, 1599, 800, 801)]
    return cluster(5120 + 1900, 1, is_main=1, **values) + [tp | values for tp in main]


def test_the_circle_is_where_the_main_cluster_is():
    columns = table(*around_the_wrap())
    middle, _ = whole(columns, DETECTOR)[V].main
    assert middle == pytest.approx(2 * 800 + 799.5)
    shifted = table(*cluster(5120 + 1900, 1, is_main=1), *cluster(5120 + 1000, 2, is_main=1))
    assert whole(shifted, DETECTOR)[V].main[0] == pytest.approx(1600 + 201.5)
    assert whole(shifted, DETECTOR)[X].main[0] == pytest.approx(2 * 960 + 301.5)
    assert whole(table(*cluster(1900, 1)), DETECTOR)[X].main is None


def test_axes_of_the_overview_are_those_of_the_detector():
    overview, _, _ = axes_of(table(*linked_event()))
    assert [axis.get_xlim() for axis in overview] == [(0, 3200), (0, 3200), (0, 3840)]
    assert {axis.get_ylim() for axis in overview} == {(0, DETECTOR.n_ticks)}
    assert [axis.get_xlabel() for axis in overview] == [
        f"channels {first} to {last} of each APA" for first, last in ((0, 799), (800, 1599), (1600, 2559))
    ]


def test_unwrapped_channels_are_marked():
    _, near, _ = axes_of(table(*around_the_wrap()))
    assert near[V].get_xlabel() in (
        "channel, unwrapped (add 800 below 800)", "channel, unwrapped (subtract 800 from 1600 on)"
    )  # fmt: skip
    assert near[X].get_xlabel() == "channel of the APA"
    _, near, _ = axes_of(table(*cluster(2082, 1, is_main=1)))
    assert near[X].get_xlabel() == "channel of the APA (this side has 2080 to 2559)"


def test_the_arrow_is_clipped_and_named_where_it_can_be_seen():
    def arrows(axes):
        return [patch for axis in axes for patch in axis.patches if isinstance(patch, FancyArrowPatch)]

    tps = linked_event()
    far = axes_of(table(*tps))
    assert "true electron lies outside of this view" in far[2]
    assert "true electron" not in far[2]
    view = close(table(*tps), DETECTOR)
    volume = DETECTOR.volume(0, 1)
    x = (view.center_tick - DETECTOR.time_offsets_ticks[X] - DETECTOR.tick_at_anode) / DETECTOR.ticks_per_cm
    z = (view.center_channels[X] - float(volume.channel(X, 0, 0))) / volume.wires[X].dch_dz
    near = axes_of(table(*linked_event(vertex_cm=(x, -300.0, z))))
    assert "true electron" in near[2]
    for axes in (far[1], near[1]):
        assert len(arrows(axes)) == 3
        assert all(arrow.get_clip_on() and arrow.get_clip_box() is not None for arrow in arrows(axes))


@pytest.mark.parametrize(
    ("arrow", "seen"),
    [
        (Arrow(0, 0, 3, 3), True),
        (Arrow(-1000, 0, 2000, 0), True),
        (Arrow(-1000, 0, 500, 0), False),
        (Arrow(1000, 1000, 0, 0), False),
        (Arrow(0, -1000, 0, 1900), True),
        (Arrow(-38, 0, 0, 2000), False),
        (Arrow(-37, 0, 37, 2000), False),  # leaves on the way what it would have to pass through
    ],
)
def test_an_arrow_is_seen_where_a_part_of_it_is_inside(arrow, seen):
    view = close(table(*linked_event()), DETECTOR)
    arrow = dataclasses.replace(
        arrow, channel=arrow.channel + view.center_channels[U], tick=arrow.tick + view.center_tick
    )
    panel = dataclasses.replace(view.panels[U], arrow=arrow)
    shifted = dataclasses.replace(view, panels=(panel, *view.panels[1:]), half_channels=18.0, half_ticks=70.0)
    assert shifted.shows_arrow(U) == seen


def test_legends_of_shards_speak_of_directions():
    view = image_panels(toy_arrays(3), 1, DETECTOR, canonical=True)
    assert {"true electron, direction only", "clusters of the image"} <= legend(pictures.event("", "", view))
    assert not {"true electron", "cluster, one color per link"} & legend(pictures.event("", "", view))


def test_darker_bars_hold_more_charge_and_lengths_are_on_the_right():
    columns = table(*linked_event())
    columns["adc_integral"][columns["channel"] == 2201] = 6000
    canvas = pictures.event("", "", close(columns, DETECTOR), whole(columns, DETECTOR))
    bars = canvas.axes[5].collections[0]
    opacity = bars.get_facecolor()[:, 3]
    left = np.array([path.vertices[:, 0].min() for path in bars.get_paths()])
    assert opacity.max() == pytest.approx(1)
    assert left[np.argmax(opacity)] == pytest.approx(2201 - 0.42)
    [scale] = canvas.axes[5].child_axes
    canvas.canvas.draw()
    low, high = canvas.axes[5].get_ylim()
    np.testing.assert_allclose(np.ptp(scale.get_ylim()), (high - low) * DETECTOR.cm_per_tick)


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
