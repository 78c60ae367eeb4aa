"""Geometry of the FD-HD 1x2x2 layout, against the SimIDEs and TPs of the real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import uproot
from toy_geometry import nearest_channel, volume_numbers

from snpoint import yamlfile
from snpoint.errors import ConfigError
from snpoint.physics import geometry
from snpoint.physics.geometry import Detector, known_detectors, load_detector

FOLDER = "triggerAnaDumpTPs"
FILES = ("test_es_tpstream.root", "test_cc_tpstream.root")
U, V, X = 0, 1, 2


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector("fdhd_1x2x2")


def read_simides(path: Path) -> dict[str, np.ndarray]:
    """SimIDEs, with a mark on those of the primary electron (the only final-state electron of the generator)."""
    with uproot.open(path) as file:
        ides = file[f"{FOLDER}/simides"].arrays(
            ["Event", "channel", "timestamp", "energy", "x", "y", "z", "trackID"], library="np"
        )
        particles = file[f"{FOLDER}/mcparticles"].arrays(["Event", "pdg", "g4_track_id", "mother"], library="np")
    primary = (np.abs(particles["pdg"]) == 11) & (particles["mother"] == 0)
    keys = particles["Event"][primary].astype(np.int64) * 1_000_000 + particles["g4_track_id"][primary]
    ides["primary"] = np.isin(ides["Event"].astype(np.int64) * 1_000_000 + ides["trackID"], keys)
    return ides


@pytest.mark.parametrize("name", FILES)
def test_closed_form_gives_the_channel_of_the_charge_to_1_5(detector: Detector, real_data: Path, name: str) -> None:
    ides = read_simides(real_data / name)
    apa, plane, local = (f(ides["channel"]) for f in (detector.apa, detector.plane, detector.local))
    checked = 0
    for volume in detector.volumes:
        for number, wires in enumerate(volume.wires):
            here = (apa == volume.apa) & (plane == number) & (np.sign(ides["x"]) == volume.face)
            distance = volume.channel(number, ides["y"][here], ides["z"][here]) - local[here]
            if wires.modulus is not None:
                distance = (distance + wires.modulus / 2) % wires.modulus - wires.modulus / 2
            checked += int(here.sum())
            if here.any():
                # SimIDEs give positions before diffusion: a few electrons arrive beyond the neighbor wire.
                charge = ides["energy"][here]
                assert charge[np.abs(distance) < 1.5].sum() > 0.998 * charge.sum()
                assert np.abs(distance).max() < 2.0
                assert np.median(np.abs(distance)) < 0.7
    assert checked == len(ides["x"])


@pytest.mark.parametrize("name", FILES)
def test_drift_line_of_the_primary_electron(detector: Detector, real_data: Path, name: str) -> None:
    ides = read_simides(real_data / name)
    own = ides["primary"]
    slope, start = np.polyfit(np.abs(ides["x"][own].astype(float)), ides["timestamp"][own].astype(float), 1)
    assert 1 / slope == pytest.approx(0.0803, abs=0.0005)
    assert slope == pytest.approx(detector.ticks_per_cm, rel=1e-3)
    assert start == pytest.approx(detector.tick_at_anode, abs=1.0)
    assert detector.cm_per_tick == pytest.approx(0.0803, abs=0.0005)


@pytest.mark.parametrize("name", FILES)
def test_collection_channels_tell_the_drift_side_in_every_apa(detector: Detector, real_data: Path, name: str) -> None:
    ides = read_simides(real_data / name)
    collection = detector.plane(ides["channel"]) == X
    low = detector.local(ides["channel"]) < 2080
    for apa in range(detector.n_apas):
        here = collection & (detector.apa(ides["channel"]) == apa)
        assert here.any() and np.array_equal(low[here], ides["x"][here] < 0)
    np.testing.assert_array_equal(detector.face(ides["channel"][collection]), np.sign(ides["x"][collection]))


@pytest.mark.parametrize("name", FILES)
def test_planes_agree_with_the_readout_planes_of_the_tps(detector: Detector, real_data: Path, name: str) -> None:
    with uproot.open(real_data / name) as file:
        tree = file[f"{FOLDER}/TriggerPrimitives/tpmakerTPC__TriggerAnaTree1x2x2"]
        tps = tree.arrays(["channel", "readout_plane_id", "readout_view", "TPCSetID"], library="np")
    np.testing.assert_array_equal(detector.plane(tps["channel"]), tps["readout_view"])
    np.testing.assert_array_equal(detector.apa(tps["channel"]), tps["TPCSetID"])
    expected = np.array([0, 0, -1, 1])[tps["readout_plane_id"]]
    np.testing.assert_array_equal(detector.face(tps["channel"]), expected)


@pytest.mark.parametrize(
    ("apas", "face", "planes", "flip_time"),
    [
        ((0, 2), -1, ((U, False), (V, False), (X, False)), True),
        ((0, 2), +1, ((V, False), (U, False), (X, False)), False),
        ((1, 3), -1, ((U, True), (V, True), (X, False)), True),
        ((1, 3), +1, ((V, True), (U, True), (X, False)), False),
    ],
)
def test_canonical_frame_of_all_eight_volumes(
    detector: Detector, apas: tuple[int, int], face: int, planes: tuple[tuple[int, bool], ...], flip_time: bool
) -> None:
    for apa in apas:
        canonical = detector.canonical(apa, face)
        assert canonical.planes == planes
        assert canonical.flip_time is flip_time


def test_canonical_axes_grow_with_y_and_z_in_every_volume(detector: Detector) -> None:
    for volume in detector.volumes:
        canonical = detector.canonical(volume.apa, volume.face)
        signs = []
        for plane, flip in canonical.planes:
            wires = volume.wires[plane]
            factor = -1 if flip else 1
            signs.append((np.sign(factor * wires.dch_dy), np.sign(factor * wires.dch_dz)))
        assert signs == [(1, 1), (1, -1), (0, 1)]


def test_channels_stay_in_their_plane_everywhere(detector: Detector) -> None:
    rng = np.random.default_rng(1)
    for volume in detector.volumes:
        y, z = rng.uniform(*volume.y_range_cm, 5000), rng.uniform(*volume.z_range_cm, 5000)
        for plane in (U, V, X):
            wires = volume.wires[plane]
            nearest = nearest_channel(detector, volume, plane, y, z)
            lost = nearest < 0
            assert lost.mean() < (0.02 if plane == X else 1e-12)
            inside = nearest[~lost]
            assert inside.min() >= wires.first_channel and inside.max() < wires.first_channel + wires.n_channels


def test_volumes_share_no_point_and_know_their_points(detector: Detector) -> None:
    rng = np.random.default_rng(2)
    x, y, z = rng.uniform(-363, 363, 4000), rng.uniform(-600, 600, 4000), rng.uniform(0, 463, 4000)
    number = volume_numbers(detector, np.stack([x, y, z], axis=1))
    count = np.zeros(len(x), int)
    for index, volume in enumerate(detector.volumes):
        inside = np.ones(len(x), bool)
        for value, (low, high) in zip(
            (x, y, z), (volume.x_range_cm, volume.y_range_cm, volume.z_range_cm), strict=True
        ):
            inside &= (value >= low) & (value < high)
        np.testing.assert_array_equal(number == index, inside)
        count += inside
    assert set(np.unique(count)) <= {0, 1}
    assert (np.abs(x[count == 1]) >= 4.5).all()
    assert (count == 1).mean() == pytest.approx(1 - 9 / 726, abs=0.01)


def test_scalar_and_array_channels(detector: Detector) -> None:
    assert int(detector.apa(2560)) == 1
    np.testing.assert_array_equal(detector.plane([0, 799, 800, 1599, 1600, 2559, 2560]), [0, 0, 1, 1, 2, 2, 0])
    np.testing.assert_array_equal(detector.face([0, 1599, 1600, 2079, 2080, 2559]), [0, 0, -1, -1, 1, 1])


def test_unknown_detector_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"fdhd_1x2x3.*known are.*fdhd_1x2x2.*did you mean"):
        load_detector("fdhd_1x2x3")


@pytest.mark.parametrize("name", known_detectors())
def test_every_layout_is_complete(name: str) -> None:
    """Each channel has its plane, each volume its place in the canonical frame, and the file says what it is worth."""
    layout = load_detector(name)
    assert layout.name == name
    assert len(layout.verified) > 50
    assert set(layout.plane(np.arange(layout.n_channels))) == {U, V, X}
    assert min(layout.threshold_adc) > 0
    assert len(layout.plane_thresholds_adc) == 3
    for volume in layout.volumes:
        assert volume.time_sign == volume.face  # charge drifts towards the APA
        recipe = layout.canonical(volume.apa, volume.face)
        assert sorted(plane for plane, _ in recipe.planes) == [U, V, X]
        assert recipe.flip_time == (volume.time_sign < 0)
        far = volume.x_range_cm[0] if volume.face < 0 else volume.x_range_cm[1]
        near = volume.x_range_cm[1] if volume.face < 0 else volume.x_range_cm[0]
        assert layout.drift_tick(volume, far) > layout.drift_tick(volume, near) > -10


@pytest.mark.parametrize("name", known_detectors())
def test_canonical_planes_measure_what_their_letters_say(name: str) -> None:
    layout = load_detector(name)
    wanted = [(1, 1), (1, -1), (0, 1)]
    for volume in layout.volumes:
        for (plane, flip), signs in zip(layout.canonical(volume.apa, volume.face).planes, wanted, strict=True):
            wires = volume.wires[plane]
            sign = -1 if flip else 1
            assert (np.sign(sign * wires.dch_dy), np.sign(sign * wires.dch_dz)) == signs


@pytest.mark.parametrize("name", known_detectors())
def test_the_wires_of_a_volume_reach_over_it(name: str) -> None:
    """A grid over the volume lies on its wires but for the gap of 1.5 cm between two APAs."""
    layout = load_detector(name)
    for volume in layout.volumes:
        y, z = np.meshgrid(np.linspace(*volume.y_range_cm, 30), np.linspace(*volume.z_range_cm, 30))
        for plane, wires in enumerate(volume.wires):
            local = volume.channel(plane, y, z) - wires.first_channel
            assert local.min() > -3.2
            assert local.max() < wires.n_channels + 2.5


def test_volumes_of_a_layout_do_not_overlap() -> None:
    for name in known_detectors():
        volumes = load_detector(name).volumes
        for i, one in enumerate(volumes):
            for other in volumes[i + 1 :]:
                pairs = [(getattr(one, f"{axis}_range_cm"), getattr(other, f"{axis}_range_cm")) for axis in "xyz"]
                assert any(a[1] <= b[0] + 1e-6 or b[1] <= a[0] + 1e-6 for a, b in pairs), (name, one, other)


def test_the_first_apas_of_1x2x6_are_those_of_1x2x2(detector: Detector) -> None:
    large = load_detector("fdhd_1x2x6")
    assert (large.n_apas, large.n_channels) == (12, 30720)
    assert large.volumes[:8] == detector.volumes
    shared = ("channels_per_apa", "n_ticks", "tick_us", "clock_per_tick", "ticks_per_cm", "tick_at_anode")
    for key in (*shared, "time_offsets_ticks", "threshold_adc"):
        assert getattr(large, key) == getattr(detector, key)


def test_1x2x6_repeats_itself_along_z(detector: Detector) -> None:
    """What a point of APA 2 or 3 gives, the point one period further gives in the next pair."""
    large = load_detector("fdhd_1x2x6")
    period = 232.392
    for volume in large.volumes[4:-4]:
        following = large.volume(volume.apa + 2, volume.face)
        y, z = np.mean(volume.y_range_cm), np.linspace(*volume.z_range_cm, 7)
        for plane in range(3):
            np.testing.assert_allclose(following.channel(plane, y, z + period), volume.channel(plane, y, z), atol=0.01)


def test_faces_of_layouts_without_wrapped_wires_are_those_of_the_crp() -> None:
    vertical = load_detector("fdvd_example")
    np.testing.assert_array_equal(vertical.face([0, 952, 1904, 3071, 3072, 6143]), [1, 1, 1, 1, -1, -1])
    np.testing.assert_array_equal(vertical.plane([0, 951, 952, 1903, 1904, 3071]), [U, U, V, V, X, X])


def test_drift_counts_from_the_anode() -> None:
    protodune = load_detector("protodune_hd")
    left, right = protodune.volume(0, 1), protodune.volume(1, -1)
    assert protodune.drift_tick(left, -300) == pytest.approx(protodune.drift_tick(right, 300))
    assert protodune.drift_tick(left, -10) > protodune.drift_tick(left, -300)


def test_a_layout_that_lacks_something_is_named(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = yamlfile.read(Path(geometry.__file__).parents[1] / "geometry" / "fdhd_1x2x2.yaml")
    del raw["threshold_adc"]
    monkeypatch.setattr(geometry.yamlfile, "read", lambda path: raw)
    with pytest.raises(ConfigError, match=r"fdhd_1x2x2\.yaml: not a complete layout .*threshold_adc"):
        load_detector.__wrapped__("fdhd_1x2x2")
