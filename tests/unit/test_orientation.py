"""The canonical frame: one track, one image, in whatever volume it lies; and the predecessor's frame beside it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_geometry import drift_tick, nearest_channel
from toy_matching import match_settings

from snpoint.data.tpstream import read_tpstream
from snpoint.physics.geometry import load_detector
from snpoint.physics.matching import match
from snpoint.physics.orientation import Members, canonical, predecessor

DETECTOR = load_detector("fdhd_1x2x2")
VOLUMES = [(volume.apa, volume.face) for volume in DETECTOR.volumes]
A, B, X = 0, 1, 2


def members(tps, apa, face):
    """All TPs in the main cluster of one image."""
    n = len(tps["channel"])
    tps = {key: np.asarray(values) for key, values in tps.items()}
    return Members(tps, np.zeros(n, np.int64), np.ones(n, bool), np.array([apa]), np.array([face]))


def coordinates(frame, tps):
    """Everything that makes the image, as a sorted list."""
    columns = (frame.slot, frame.channel, frame.tick, tps["samples_over_threshold"], frame.samples_to_peak)
    return sorted(
        zip(*(np.asarray(c).tolist() for c in columns), np.asarray(tps["adc_integral"]).tolist(), strict=True)
    )


def anchor(apa, face):
    """A point in the volume where U, V and drift time are whole numbers, and X is to 0.1."""
    volume = DETECTOR.volume(apa, face)
    u, v, x = volume.wires
    slope = np.array([[u.dch_dy, u.dch_dz], [v.dch_dy, v.dch_dz]])
    offset = np.array([u.offset, v.offset])
    start = np.rint(slope @ [np.mean(volume.y_range_cm), np.mean(volume.z_range_cm)] + offset)
    points = [np.linalg.solve(slope, start + step - offset) for step in np.ndindex(5, 1)]
    distance = [abs(x.channel(y, z) - np.rint(x.channel(y, z))) for y, z in points]
    assert min(distance) < 0.11
    y, z = points[int(np.argmin(distance))]
    return np.array([face * (2000 - DETECTOR.tick_at_anode) / DETECTOR.ticks_per_cm, y, z])


def readout(points, adc, apa, face):
    """TPs of charge at these points: what the wires of one drift volume see, with symmetric pulses."""
    volume = DETECTOR.volume(apa, face)
    rows = []
    for (x, y, z), charge in zip(points, adc, strict=True):
        for plane in range(3):
            local = int(nearest_channel(DETECTOR, volume, plane, y, z)[0])
            peak = int(np.rint(drift_tick(DETECTOR, x))) + int(np.rint(DETECTOR.time_offsets_ticks[plane]))
            rows.append((apa * 2560 + local, plane, (peak - 4) * 32, 9, 4, charge))
    keys = ("channel", "plane", "time_start", "samples_over_threshold", "samples_to_peak", "adc_integral")
    return dict(zip(keys, map(np.array, zip(*rows, strict=True)), strict=True))


def track(seed):
    """Displacements of a local track, none of which lies near the border between two wires or ticks."""
    rng = np.random.default_rng(seed)
    gradients = np.array([[0, 1.250124, 1.739091], [0, 1.250124, -1.739091], [0, 0, 2.087683], [12.455, 0, 0]]).T
    points = [np.zeros(3)]
    direction = rng.normal(size=3)
    for step in np.linspace(0.5, 12, 200):
        point = step * direction / np.linalg.norm(direction) + rng.normal(0, 0.3, 3)
        if np.abs((point @ gradients) % 1 - 0.5).min() > 0.12:
            points.append(point)
    return np.array(points), rng.integers(100, 5000, len(points))


@pytest.mark.parametrize("seed", range(3))
def test_one_track_gives_one_image_in_all_eight_volumes(seed):
    displacements, adc = track(seed)
    images = []
    for apa, face in VOLUMES:
        tps = readout(anchor(apa, face) + displacements, adc, apa, face)
        images.append(coordinates(canonical(members(tps, apa, face), DETECTOR), tps))
    assert len(images) == 8
    assert all(image == images[0] for image in images)


def test_axes_point_where_they_should():
    for apa, face in VOLUMES:
        for axis, signs in (([0, 10, 0], (1, 1, 0)), ([0, 0, 10], (1, -1, 1))):
            tps = readout(anchor(apa, face) + np.array([[0, 0, 0], axis]), [5000, 100], apa, face)
            frame = canonical(members(tps, apa, face), DETECTOR)
            for slot, sign in enumerate(signs):
                channel = frame.channel[frame.slot == slot]
                assert np.sign(channel[1] - channel[0]) == sign, (apa, face, axis, slot)
        tps = readout(anchor(apa, face) + np.array([[0, 0, 0], [3.0, 0, 0]]), [5000, 10], apa, face)
        frame = canonical(members(tps, apa, face), DETECTOR)
        for slot in (A, B, X):
            assert frame.tick[frame.slot == slot].tolist() == [-4, 33], (apa, face, slot)


def raw_from_canonical(slot, channel, tick, length, peak, apa, face, detector=DETECTOR):
    """The TPs of a volume that show a given canonical picture: the inverse map, pulses mirrored with time."""
    recipe = detector.canonical(apa, face)
    plane = np.array([own for own, _ in recipe.planes])[slot]
    sign = np.array([-1 if flip else 1 for _, flip in recipe.planes])[slot]
    wires = detector.volume(apa, face).wires
    first, size = (np.array([getattr(w, key) for w in wires])[plane] for key in ("first_channel", "n_channels"))
    wrapped = np.array([w.modulus is not None for w in wires])[plane]
    middle = np.where(wrapped, 5, 100)  # near the wrap of the induction planes
    start, at = (-(tick + length - 1), length - 1 - peak) if recipe.flip_time else (tick, peak)
    offset = np.rint(detector.time_offsets_ticks).astype(int)[plane]
    return {
        "channel": apa * detector.channels_per_apa + first + (middle + sign * channel) % size,
        "plane": plane,
        "time_start": (start + offset + 3000) * 32,
        "samples_over_threshold": length,
        "samples_to_peak": at,
    }


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_mirrored_events_agree_to_the_last_tp(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 30))
    slot = np.append(rng.integers(0, 3, n - 1), X)
    channel, tick, length = rng.integers(-20, 20, n), rng.integers(-60, 60, n), rng.integers(1, 30, n)
    peak, adc = rng.integers(0, length), rng.integers(60, 9000, n)
    images = []
    for apa, face in VOLUMES:
        tps = raw_from_canonical(slot, channel, tick, length, peak, apa, face) | {"adc_integral": adc}
        images.append(coordinates(canonical(members(tps, apa, face), DETECTOR), tps))
    assert all(image == images[0] for image in images)


@pytest.mark.parametrize("shift", [1, 31, 32, -3200, 10**12])
def test_shifting_an_event_in_time_changes_nothing(shift):
    displacements, adc = track(7)
    for frame_of in (canonical, predecessor):
        for apa, face in VOLUMES:
            tps = readout(anchor(apa, face) + displacements, adc, apa, face)
            late = tps | {"time_start": tps["time_start"] + shift}
            before, after = frame_of(members(tps, apa, face), DETECTOR), frame_of(members(late, apa, face), DETECTOR)
            assert coordinates(before, tps) == coordinates(after, late)


def test_plane_without_main_cluster_is_not_placed():
    tps = readout(anchor(0, 1) + track(1)[0], track(1)[1], 0, 1)
    found = members(tps, 0, 1)
    main = tps["plane"] != 0
    frame = canonical(Members(found.tps, found.image, main, found.apa, found.face), DETECTOR)
    np.testing.assert_array_equal(frame.placed, main)


def real_tracks(path):
    """Signal TPs of the real events, one image per event around its heaviest X TP."""
    trees = read_tpstream(path, ("tps", "mctruths", "mcparticles"))
    table = match(trees, DETECTOR, settings=match_settings())
    good = (table["is_signal"] == 1) & (table["samples_over_threshold"] > 3)
    table = {key: values[good] for key, values in table.items()}
    kept, image, apa, face = [], [], [], []
    for uid in np.unique(table["event_uid"]):
        own = np.flatnonzero(table["event_uid"] == uid)
        on_x = own[table["plane"][own] == X]
        if not len(on_x):
            continue
        heaviest = on_x[np.argmax(table["adc_integral"][on_x])]
        near = np.abs(table["time_start"][own] - table["time_start"][heaviest]) < 60 * 32
        near &= (table["apa"][own] == table["apa"][heaviest]) & np.isin(
            table["face"][own], [0, table["face"][heaviest]]
        )
        kept.append(own[near])
        image.append(np.full(near.sum(), len(apa)))
        apa.append(int(table["apa"][heaviest]))
        face.append(int(table["face"][heaviest]))
    rows, numbers = np.concatenate(kept), np.concatenate(image)
    tps = {key: values[rows] for key, values in table.items()}
    return Members(tps, numbers, np.ones(len(rows), bool), np.array(apa), np.array(face))


def test_the_three_planes_share_one_time_on_real_tracks(real_data):
    """Peak of a signal TP minus the drift line of its true position: the same on all planes, on either face."""
    found = {-1: [], 1: []}
    for name in ("es", "cc"):
        tracks = real_tracks(real_data / f"test_{name}_tpstream.root")
        tps, frame = tracks.tps, canonical(tracks, DETECTOR)
        residual = frame.tick + frame.samples_to_peak - DETECTOR.ticks_per_cm * tps["x_cm"]
        for i, face in enumerate(tracks.face.tolist()):
            own = [(tracks.image == i) & (tps["plane"] == plane) for plane in range(3)]
            middles = [np.median(residual[here]) if here.any() else np.nan for here in own]
            found[face].append((middles[2] - middles[0], middles[2] - middles[1]))
    for differences in found.values():
        assert len(differences) > 15
        assert (np.abs(np.nanmedian(differences, axis=0)) < 1).all(), np.nanmedian(differences, axis=0)


@pytest.mark.parametrize("name", ["fdhd_1x2x6", "protodune_hd", "fdvd_example"])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_other_layouts_show_mirrored_events_alike(name, seed):
    detector = load_detector(name)
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 30))
    slot = np.append(rng.integers(0, 3, n - 1), X)
    channel, tick, length = rng.integers(-20, 20, n), rng.integers(-60, 60, n), rng.integers(1, 30, n)
    peak, adc = rng.integers(0, length), rng.integers(60, 9000, n)
    images = []
    for volume in detector.volumes:
        given_tps = raw_from_canonical(slot, channel, tick, length, peak, volume.apa, volume.face, detector)
        tps = given_tps | {"adc_integral": adc}
        images.append(coordinates(canonical(members(tps, volume.apa, volume.face), detector), tps))
    assert all(image == images[0] for image in images)


PREDECESSOR_AXES = {
    # (even APA?, face): direction of time along x, (y, z) that growing channels of U and V measure, as documented
    (True, -1): (-1, (-1, -1), (1, -1)),
    (True, 1): (-1, (1, -1), (-1, -1)),
    (False, -1): (1, (1, 1), (-1, 1)),
    (False, 1): (1, (-1, 1), (1, 1)),
}


@pytest.mark.parametrize(("apa", "face"), VOLUMES)
def test_predecessors_axes_are_the_documented_ones(apa, face):
    time, u, v = PREDECESSOR_AXES[apa % 2 == 0, face]
    origin = anchor(apa, face)
    for axis in (1, 2):
        step = np.zeros(3)
        step[axis] = 2.0
        tps = readout(origin + np.array([np.zeros(3), step]), [5000, 100], apa, face)
        frame = predecessor(members(tps, apa, face), DETECTOR)
        for plane, signs in ((0, u), (1, v)):
            channel = frame.channel[frame.slot == plane]
            assert channel[1] - channel[0] == signs[axis - 1]  # a rank: the gap is gone
    tps = readout(origin + np.array([[0, 0, 0], [3.0, 0, 0]]), [5000, 10], apa, face)
    frame = predecessor(members(tps, apa, face), DETECTOR)
    tick = frame.tick[frame.slot == X]
    assert np.sign(tick[1] - tick[0]) == time


def test_predecessors_images_are_centered_by_the_extent_of_each_plane():
    keys = ("channel", "plane", "time_start", "samples_over_threshold", "samples_to_peak", "adc_integral")
    rows = [(1600, 2, 3200, 10, 3, 500), (1610, 2, 3296, 10, 3, 500), (1611, 2, 3200, 3, 1, 500)]
    tps = dict(zip(keys, map(np.array, zip(*rows, strict=True)), strict=True))
    frame = predecessor(members(tps, 0, -1), DETECTOR)
    # 13 ticks in 128 begin at row 57, 3 channels in 32 at column 14.
    assert (frame.tick + 64).tolist() == [57, 60, 57]
    assert (frame.channel + 16).tolist() == [14, 15, 16]
