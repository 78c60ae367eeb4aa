"""Which TPs an image holds, and what is written about it."""

import logging
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_events import cluster, cluster_settings, table
from toy_matching import match_settings

from snpoint.data.shards import read_shard, shard_sources
from snpoint.data.tables import CLUSTER_TABLE, open_table, read_sources, read_table, write_table
from snpoint.errors import ConfigError
from snpoint.physics import anchors
from snpoint.physics.drawing import draw
from snpoint.physics.geometry import load_detector
from snpoint.physics.imaging import build_images
from snpoint.physics.selection import passing
from snpoint.section import PerPlane
from snpoint.settings import ImageSettings, Selection
from snpoint.stages import cluster as cluster_stage
from snpoint.stages import image, match

DETECTOR = load_detector("fdhd_1x2x2")
ADC_PER_MEV = PerPlane(U=1000.0, V=1100.0, X=4100.0)


def settings_of(**changes):
    values = {
        "detector": "fdhd_1x2x2",
        "anchors": "main",
        "context": "window",
        "orientation": "canonical",
        "window_ticks": 128,
    }
    values |= {"window_channels": 32, "tot_cut": 1, "adc_per_mev": ADC_PER_MEV}
    return ImageSettings(**(values | changes))


def built(columns, **changes):
    values = settings_of(**changes).model_dump(exclude={"code", "detector"})
    return build_images(columns, DETECTOR, **(values | {"adc_per_mev": ADC_PER_MEV.as_tuple()}))


@pytest.fixture(scope="module")
def clusters(real_data, tmp_path_factory):
    """Cluster tables of the real files: name -> path."""
    folder = tmp_path_factory.mktemp("clusters")
    for name in ("es", "cc"):
        match.run(match_settings(), tpstream=[real_data / f"test_{name}_tpstream.root"], tps=folder / "tps.parquet")
        cluster_stage.run(cluster_settings(), tps=folder / "tps.parquet", clusters=folder / f"{name}.parquet")
    return {name: folder / f"{name}.parquet" for name in ("es", "cc")}


@pytest.fixture(scope="module")
def cc(clusters):
    return read_table(clusters["cc"], CLUSTER_TABLE)


@pytest.mark.parametrize("orientation", ["canonical", "predecessor"])
def test_pictures_of_real_clusters_hold_their_adc(cc, orientation):
    arrays = built(cc, orientation=orientation, context="cluster")
    images = SimpleNamespace(**arrays)
    picture = draw(images, np.arange(len(arrays["event_uid"])), 1024, 512)
    charge = np.add.reduceat(np.append(arrays["adc_integral"], 0).astype(float), arrays["offsets"][:-1])
    charge[np.diff(arrays["offsets"]) == 0] = 0
    drawn = picture.sum(axis=(2, 3)).ravel()
    if orientation == "canonical":
        np.testing.assert_allclose(drawn, charge, rtol=0.01)
    else:
        assert np.mean(np.abs(drawn - charge) <= 0.01 * charge) > 0.9  # it cuts tracks of more than 32 channels


def test_window_holds_the_cluster_and_what_is_around_it(cc):
    window, alone = built(cc), built(cc, context="cluster")
    assert (alone["in_main"] == 1).all()
    assert window["in_main"].sum() == len(alone["tick"]) < len(window["tick"])
    near = window["in_main"] == 0
    assert (np.abs(window["channel"][near]) <= 16).all()
    assert (window["samples_over_threshold"][near] > 1).all()
    assert (window["tick"][near] < 64).all()
    assert (window["tick"][near] + window["samples_over_threshold"][near] > -64).all()
    np.testing.assert_array_equal(window["energy_reco_mev"], alone["energy_reco_mev"])


def test_window_takes_only_the_side_of_the_cluster():
    # X channels 2079 and 2080 are neighbors in number only: they look at opposite sides of the APA.
    main = cluster(2075, 1, is_main=1)
    for channel, added in ((2079, 1), (2080, 0), (2560 + 2079, 0)):
        arrays = built(table(*main, {"channel": channel}), window_ticks=1242, window_channels=208)
        assert len(arrays["tick"]) == 4 + added


def test_window_takes_induction_tps_of_the_apa_alone():
    main = cluster(2075, 1, is_main=1, link_id=1) + cluster(400, 2, is_main=1, link_id=1)
    for channel, added in ((410, 1), (2560 + 410, 0), (5120 + 410, 0)):
        arrays = built(table(*main, {"channel": channel}), window_ticks=1242, window_channels=208)
        assert len(arrays["tick"]) == 8 + added


def test_window_is_cut_in_time_and_by_length():
    main = cluster(2075, 1, is_main=1)
    for start, length, added in ((1000, 5, 1), (1000, 1, 0), (1300, 5, 0), (930, 5, 0), (930, 30, 1), (1066, 5, 1)):
        other = {"channel": 2070, "start": start, "samples_over_threshold": length}
        assert len(built(table(*main, other))["tick"]) == 4 + added, (start, length)


def test_an_image_for_every_accepted_cluster():
    """Links and unlinked clusters on X; what is not accepted, or has no X, is nobody's image."""
    tps = cluster(1700, 1, is_main=1, link_id=5, link_margin=2.5) + cluster(100, 2, is_main=1, link_id=5)
    tps += cluster(1900, 3, start=3000) + cluster(2300, 4, accepted=0, start=4000) + cluster(300, 6, start=5000)
    tps += cluster(1800, 7, event=2) + cluster(1750, 8, event=2, is_main=1, is_signal=0)
    arrays = built(table(*tps), anchors="links", context="cluster")
    assert arrays["event"].tolist() == [1, 1, 2, 2]
    assert arrays["is_main"].tolist() == [1, 0, 0, 1]
    assert np.diff(arrays["offsets"]).reshape(-1, 3).tolist() == [[4, 0, 4], [0, 0, 4], [0, 0, 4], [0, 0, 4]]
    np.testing.assert_array_equal(arrays["link_margin"], np.array([2.5, np.nan, np.nan, np.nan], np.float32))
    assert arrays["signal_fraction"].tolist() == [1, 1, 1, 0]
    assert built(table(*tps), context="cluster")["event"].tolist() == [1, 2]


_OF_THE_NEUTRINO = ("direction", "vertex_cm", "energy_true_mev", "neutrino_direction", "neutrino_energy_mev")
_OVERLAY = {"is_signal": 0, "is_overlay": 1, "edep_mev": 0.4, "background_uid": 9}
_NOISE = {"is_signal": 0, "edep_mev": np.nan}


@pytest.mark.parametrize("other", [_OVERLAY, _NOISE], ids=["overlay", "noise"])
@pytest.mark.parametrize("anchors", ["main", "links"])
def test_background_does_not_carry_the_label_of_the_event(other, anchors):
    """Nobody trains on a direction that is not of this image, and the selection by truth leaves it out."""
    tps = cluster(1700, 1, is_main=1, **other) + cluster(1900, 2, start=3000) + cluster(1950, 3, event=2, is_main=1)
    arrays = built(table(*tps), anchors=anchors)
    label = arrays["signal_fraction"] == 1
    assert arrays["signal_fraction"].tolist() == ([0, 1] if anchors == "main" else [0, 1, 1])
    np.testing.assert_array_equal(arrays["interaction"], label)
    for key in _OF_THE_NEUTRINO:
        known = np.isfinite(arrays[key]).reshape(len(label), -1)
        np.testing.assert_array_equal(known, np.broadcast_to(label[:, None], known.shape), err_msg=key)
    chosen, counts = passing(
        arrays | {"n_main": np.full((len(label), 3), 9)},
        Selection(min_planes=1, min_tps_per_plane=1, require_truth=True),
        "toy",
    )
    assert chosen.tolist() == label.tolist()
    assert (counts["background"], counts["without_truth"]) == (1, 0)


def test_photons_of_the_interaction_are_signal_with_its_label():
    photon = {"pdg": 22, "adc_integral": 300, "edep_mev": 0.1}
    arrays = built(table(*cluster(1700, 1, is_main=1), *cluster(1900, 2, start=3000, **photon)), anchors="links")
    assert arrays["is_main"].tolist() == [1, 0]
    assert arrays["interaction"].tolist() == [1, 1]
    np.testing.assert_allclose(arrays["direction"], [(0.6, 0.8, 0.0)] * 2, rtol=1e-6)


@pytest.mark.parametrize(("adc", "interaction"), [(4499, 1), (4500, 1), (4501, 0)])
def test_half_the_charge_must_be_of_the_neutrino(adc, interaction):
    """All planes of the link count: three signal TPs of 1500 against one of background."""
    tps = cluster(1700, 1, n=2, is_main=1, link_id=5) + cluster(100, 2, n=2, is_main=1, link_id=5)
    tps[0] |= _OVERLAY | {"adc_integral": adc}
    assert built(table(*tps))["interaction"].tolist() == [interaction]


def test_what_is_unknown_is_not_called_background():
    unknown = {"interaction": 255, "direction": (np.nan,) * 3, "is_signal": 0}
    for edep in (np.nan, 0.4):
        arrays = built(table(*cluster(1700, 1, is_main=1, edep_mev=edep, **unknown)))
        assert arrays["interaction"].tolist() == [255]
    half_known = cluster(1700, 1, is_main=1, interaction=255, **_OVERLAY)
    assert np.isnan(built(table(*half_known))["direction"]).all()


def test_one_tp_may_be_in_many_windows():
    tps = cluster(1700, 1, is_main=1) + cluster(1708, 2, start=1030) + [{"channel": 1705, "start": 1020}]
    arrays = built(table(*tps), anchors="links")
    assert np.diff(arrays["offsets"]).reshape(-1, 3)[:, 2].tolist() == [9, 9]
    assert arrays["in_main"].sum() == 8


def test_the_planes_of_a_main_cluster_are_those_of_its_link():
    tps = cluster(1700, 1, is_main=1, link_id=5) + cluster(100, 2, is_main=1) + cluster(900, 3, link_id=5)
    counts = np.diff(built(table(*tps), context="cluster")["offsets"]).reshape(-1, 3)
    assert counts.sum() == 8
    assert counts[0, 2] == 4


def test_signal_fraction_is_a_share_of_charge_and_unknown_without_truth():
    tps = cluster(1700, 1, is_main=1)
    tps[0] |= {"is_signal": 0, "adc_integral": 4500}
    assert built(table(*tps))["signal_fraction"].tolist() == [0.5]
    nothing = {"edep_mev": np.nan, "direction": (np.nan,) * 3, "interaction": 255, "is_signal": 0}
    assert np.isnan(built(table(*(tp | nothing for tp in tps)))["signal_fraction"]).all()


def test_fingerprint_knows_copies_and_nothing_but_copies():
    tps = cluster(1700, 1, is_main=1, link_id=5) + cluster(100, 2, is_main=1, link_id=5)
    later = [tp | {"event": 2, "start": tp["start"] + 777, "cluster_id": 9 + tp["cluster_id"]} for tp in tps]
    later = [tp | {"link_id": 6} for tp in later]
    first, copy = built(table(*tps, *later))["fingerprint"]
    assert first == copy != 0
    for key, value in (("adc_integral", 1501), ("samples_over_threshold", 11), ("start", 1001), ("channel", 104)):
        changed = [*tps[:-1], tps[-1] | {key: value}]
        assert built(table(*changed))["fingerprint"][0] != first, key
    noise = {"channel": 1702, "start": 1020}
    assert built(table(*tps, noise))["fingerprint"][0] == first


def test_rows_of_an_event_must_lie_together():
    columns = table(*cluster(1700, 1, is_main=1), *cluster(1700, 2, is_main=1, event=2))
    order = np.array([0, 4, 1, 2, 3, 5, 6, 7])
    with pytest.raises(ValueError, match="sort the table by event_uid"):
        built({key: values[order] for key, values in columns.items()})


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_charge_in_a_large_window_is_that_of_the_side(seed):
    """Every TP of the event, APA and face is in the image exactly once if the box holds them all."""
    rng = np.random.default_rng(seed)
    tps = cluster(int(rng.integers(2560 + 1600, 2560 + 2000)), 1, is_main=1)
    for channel in rng.integers(0, 10240, 60).tolist():
        tps.append(
            {"channel": channel, "start": int(rng.integers(500, 1500)), "adc_integral": int(rng.integers(60, 9999))}
        )
    columns = table(*tps)
    arrays = built(columns, window_ticks=8000, window_channels=2000, tot_cut=0)
    here = (columns["apa"] == 1) & (columns["plane"] == 2) & (columns["face"] == -1)
    assert arrays["adc_integral"].sum() == columns["adc_integral"][here].sum()


def test_missing_plane_is_empty_and_without_collection_cluster_there_is_no_image():
    linked = cluster(1700, 1, is_main=1, link_id=5) + cluster(100, 2, is_main=1, link_id=5)
    other = cluster(900, 3, event=2, is_main=1) + cluster(100, 4, event=2)
    arrays = built(table(*linked, *other), context="cluster")
    assert arrays["event"].tolist() == [1]
    assert np.diff(arrays["offsets"]).tolist() in ([4, 0, 4], [0, 4, 4])
    nothing = built(table(*other))
    assert len(nothing["event_uid"]) == 0
    assert nothing["offsets"].tolist() == [0]


def test_reconstructed_energy_is_that_of_the_clusters(cc):
    arrays = built(cc)
    for row in (0, 5, 20):
        own = cc["event_uid"] == arrays["event_uid"][row]
        x = own & (cc["is_main"] == 1) & (cc["plane"] == 2)
        assert arrays["energy_reco_mev"][row, 2] == pytest.approx(cc["adc_integral"][x].sum() / 4100, rel=1e-5)
        assert arrays["apa"][row] == cc["apa"][x][0]
        assert arrays["face"][row] == cc["face"][x][0]


def test_shifting_events_in_time_changes_no_image(cc):
    late = cc | {"time_start": cc["time_start"] + 32 * 12345}
    for orientation, context in (("canonical", "window"), ("predecessor", "cluster")):
        before = built(cc, orientation=orientation, context=context)
        after = built(late, orientation=orientation, context=context)
        for key, values in before.items():
            np.testing.assert_array_equal(after[key], values, err_msg=key)


def test_order_of_the_tps_changes_no_image(cc):
    order = np.random.default_rng(1).permutation(len(cc["event"]))
    order = order[np.argsort(cc["event_uid"][order], kind="stable")]
    after = built({key: values[order] for key, values in cc.items()})
    picture = draw(SimpleNamespace(**after), [3, 4], 128, 32)
    np.testing.assert_allclose(picture, draw(SimpleNamespace(**built(cc)), [3, 4], 128, 32))


def test_stage_writes_a_shard_of_ten_images(clusters, tmp_path):
    image.run(settings_of(), clusters=clusters["es"], shard=tmp_path / "shard_es_0000.npz")
    shard = read_shard(tmp_path / "shard_es_0000.npz")
    assert len(shard["event_uid"]) == 10
    assert set(shard["interaction"]) == {1}
    assert (shard["orientation"], shard["detector"]) == ("canonical", "fdhd_1x2x2")
    np.testing.assert_allclose(np.linalg.norm(shard["direction"], axis=1), 1, atol=1e-5)
    assert len(np.unique(shard["fingerprint"])) == 10
    assert (shard["background_uid"] == 0).all()
    assert (shard["signal_fraction"] > 0.9).all()
    assert shard_sources(shard, "shard") == read_sources(clusters["es"])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_neighbors_are_all_tps_of_the_volume_that_are_near_in_time(seed):
    rng = np.random.default_rng(seed)
    places = (300, 2100, 2400, 2560 + 2100)
    tps = [
        {"event": int(event), "channel": int(channel), "start": int(start), "samples_over_threshold": int(length)}
        for event, channel, start, length in zip(
            *(rng.integers(1, 4, 60), rng.choice(places, 60), rng.integers(0, 400, 60), rng.integers(1, 6, 60)),
            strict=True,
        )
    ]
    tps += cluster(2200, 9, event=2, start=200) + cluster(2450, 7, event=1, start=50) + cluster(2200, 8, event=1)
    columns = table(*tps)
    found = anchors.find_anchors(columns, "links")
    rows, images = anchors.neighbors(columns, found, 100 * 32, tot_cut=2)
    expected = set()
    for number, row in enumerate(found.row):
        x = columns["time_start"][columns["cluster_id"] == columns["cluster_id"][row]]
        near = (columns["time_start"] >= x.min() - 3200) & (columns["time_start"] <= x.max() + 3200)
        near &= (columns["event"] == columns["event"][row]) & (columns["samples_over_threshold"] > 2)
        near &= (columns["apa"] == columns["apa"][row]) & np.isin(columns["face"], [0, columns["face"][row]])
        expected |= {(int(other), number) for other in np.flatnonzero(near)}
    assert len(rows) == len(expected)
    assert set(zip(rows.tolist(), images.tolist(), strict=True)) == expected


def test_neighbors_are_looked_for_near_in_time_only(monkeypatch):
    """A crowded event has thousands of anchors and a hundred thousand TPs: not all of them can be held together."""
    looked_at = []
    pair = anchors._pair
    monkeypatch.setattr(
        anchors, "_pair", lambda *given: looked_at.append(int((given[7] - given[6]).max())) or pair(*given)
    )
    columns = table(*(tp for k in range(40) for tp in cluster(2100 + k, k + 1, start=300 * k)))
    rows, _ = anchors.neighbors(columns, anchors.find_anchors(columns, "links"), 100 * 32, tot_cut=0)
    assert len(rows) == 40 * 4
    assert looked_at == [4, 4]


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("main", r"1 images of 1 events \(1 without a cluster on plane X\)"),
        ("links", r"0 images of 0 events \(2 without an accepted cluster on plane X\)"),
    ],
)
def test_the_log_says_what_events_lack(tmp_path, caplog, which, message):
    caplog.set_level(logging.INFO)
    poor = cluster(2200, 1, is_main=1, accepted=0) + cluster(300, 2, is_main=1, event=2)
    write_table(tmp_path / "clusters.parquet", table(*poor), CLUSTER_TABLE)
    image.run(settings_of(anchors=which), clusters=tmp_path / "clusters.parquet", shard=tmp_path / "shard.npz")
    assert re.search(message, caplog.text)


def test_stage_works_row_group_by_row_group(clusters, tmp_path):
    """A table in pieces of whole events makes the same shard."""
    whole = read_table(clusters["es"], CLUSTER_TABLE)
    with open_table(tmp_path / "pieces.parquet", CLUSTER_TABLE, read_sources(clusters["es"])) as pieces:
        for uid in np.unique(whole["event_uid"]):
            pieces.append({key: values[whole["event_uid"] == uid] for key, values in whole.items()})
    image.run(settings_of(anchors="links"), clusters=clusters["es"], shard=tmp_path / "one.npz")
    image.run(settings_of(anchors="links"), clusters=tmp_path / "pieces.parquet", shard=tmp_path / "many.npz")
    one, many = read_shard(tmp_path / "one.npz"), read_shard(tmp_path / "many.npz")
    for key, values in one.items():
        np.testing.assert_array_equal(many[key], values, err_msg=key)


def test_stage_takes_the_predecessors_constants_and_a_calibration(clusters, tmp_path):
    image.run(settings_of(adc_per_mev="predecessor"), clusters=clusters["es"], shard=tmp_path / "old.npz")
    image.run(settings_of(), clusters=clusters["es"], shard=tmp_path / "new.npz")
    old, new = read_shard(tmp_path / "old.npz"), read_shard(tmp_path / "new.npz")
    np.testing.assert_allclose(old["energy_reco_mev"][:, 2] * 3600, new["energy_reco_mev"][:, 2] * 4100, rtol=1e-5)
    with pytest.raises(ConfigError, match="calibrated"):
        image.run(settings_of(adc_per_mev="calibrated"), clusters=clusters["es"], shard=tmp_path / "no.npz")


def test_stage_refuses_a_window_in_the_predecessors_frame(clusters, tmp_path):
    with pytest.raises(ConfigError, match=r"image\.context"):
        image.run(settings_of(orientation="predecessor"), clusters=clusters["es"], shard=tmp_path / "shard.npz")


def test_empty_table_makes_an_empty_shard(tmp_path):
    columns = {key: values[:0] for key, values in table({"channel": 0}).items()}
    write_table(tmp_path / "none.parquet", columns, CLUSTER_TABLE)
    for orientation, context in (("canonical", "window"), ("predecessor", "cluster")):
        path = tmp_path / f"shard_{orientation}.npz"
        image.run(settings_of(orientation=orientation, context=context), clusters=tmp_path / "none.parquet", shard=path)
        assert len(read_shard(path)["event_uid"]) == 0


def test_images_are_small(clusters, tmp_path):
    """A one-meter window with everything in it takes a few kB."""
    size = {"window_ticks": 1248, "window_channels": 216, "anchors": "links"}
    for name in ("es", "cc"):
        image.run(settings_of(**size), clusters=clusters[name], shard=tmp_path / "shard.npz")
        n = len(read_shard(tmp_path / "shard.npz")["event_uid"])
        assert (tmp_path / "shard.npz").stat().st_size / n < 10_000
