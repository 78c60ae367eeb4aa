"""Which TPs an image holds, and how they are drawn."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from snpoint.data.shards import read_shard
from snpoint.data.tables import CLUSTER_TABLE, read_table, write_table
from snpoint.errors import ConfigError
from snpoint.physics.geometry import load_detector
from snpoint.physics.imaging import build_images, draw
from snpoint.settings import ClusterSettings, ImageSettings, MatchSettings, PerPlane
from snpoint.stages import cluster, image, match

DETECTOR = load_detector("fdhd_1x2x2")
ADC_PER_MEV = PerPlane(U=1000.0, V=1100.0, X=4100.0)


def settings(**changes):
    values = {"detector": "fdhd_1x2x2", "context": "window", "orientation": "canonical", "window_ticks": 128}
    values |= {"window_channels": 32, "tot_cut": 1, "adc_per_mev": ADC_PER_MEV}
    return ImageSettings(**(values | changes))


def built(table, **changes):
    given = settings(**changes).model_dump(exclude={"code", "detector"})
    return build_images(table, DETECTOR, **(given | {"adc_per_mev": ADC_PER_MEV.as_tuple()}))


@pytest.fixture(scope="module")
def clusters(real_data, tmp_path_factory):
    """Cluster tables of the real files: name -> path."""
    folder = tmp_path_factory.mktemp("clusters")
    truth = MatchSettings(detector="fdhd_1x2x2", truth="backtracker", interaction="truth", sha256={})
    recipe = {"detector": "fdhd_1x2x2", "algorithm": "connected", "tick_gap": 3, "channel_gap": 2, "min_tps": 2}
    recipe |= {"tot_cut": 3, "energy_cut_mev": 2.0, "adc_per_mev": ADC_PER_MEV, "link_tolerance_ticks": 10.0}
    for name in ("es", "cc"):
        match.run(truth, tpstream=[real_data / f"test_{name}_tpstream.root"], tps=folder / "tps.parquet")
        cluster.run(ClusterSettings(**recipe), tps=folder / "tps.parquet", clusters=folder / f"{name}.parquet")
    return {name: folder / f"{name}.parquet" for name in ("es", "cc")}


@pytest.fixture(scope="module")
def cc(clusters):
    return read_table(clusters["cc"], CLUSTER_TABLE)


def sparse(*tps):
    """One image from (slot, channel, tick, length, peak, adc), sorted by slot."""
    slot, channel, tick, length, peak, adc = (np.array(column) for column in zip(*tps, strict=True))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(slot, minlength=3))])
    return SimpleNamespace(
        offsets=offsets.astype(np.int64),
        channel=channel.astype(np.int16),
        tick=tick.astype(np.int16),
        samples_over_threshold=length.astype(np.uint16),
        samples_to_peak=peak.astype(np.uint16),
        adc_integral=adc.astype(np.uint32),
    )


def test_a_tp_is_a_triangle_that_holds_its_charge():
    picture = draw(sparse((1, 3, -2, 4, 1, 1000)), [0], 16, 8)
    assert picture.shape == (1, 3, 16, 8)
    assert picture.dtype == np.float32
    np.testing.assert_allclose(picture[0, 1, 6:10, 7], np.array([1 / 2, 1, 2 / 3, 1 / 3]) * 400)
    assert picture.sum() == pytest.approx(1000)


def test_what_is_outside_is_cut():
    inside = sparse((0, 0, 6, 4, 1, 1000), (0, 4, 0, 4, 1, 500), (0, -5, 0, 4, 1, 500), (2, 0, -40, 3, 1, 500))
    picture = draw(inside, [0], 16, 8)
    assert picture[0, 0, :, 4].sum() == pytest.approx(600)
    assert picture.sum() == pytest.approx(600)


def test_larger_pictures_show_the_same_around_the_center():
    images = sparse((0, -3, -20, 30, 4, 1000), (1, 2, 5, 1, 0, 90), (2, 0, -5, 60, 10, 9000))
    small, large = draw(images, [0], 32, 8), draw(images, [0], 128, 32)
    np.testing.assert_array_equal(large[:, :, 48:80, 12:20], small)


def test_rows_choose_and_repeat():
    images = sparse((0, 0, 0, 4, 1, 100))
    picture = draw(images, [0, 0, 0], 8, 4)
    np.testing.assert_array_equal(picture[0], picture[2])


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


def test_window_takes_only_the_side_of_the_cluster(clusters):
    # X channels 2079 and 2080 are neighbors in number only: they look at opposite sides of the APA.
    table = read_table(clusters["es"], CLUSTER_TABLE)
    main = (table["is_main"] == 1) & (table["plane"] == 2)
    table = {key: values[main].copy() for key, values in table.items()}
    base = 2560 * table["apa"].astype(np.int32)
    table |= {"channel": base + 2079, "face": np.full(len(base), -1, np.int8)}
    other = table | {"is_main": np.zeros(len(base), np.uint8), "link_id": np.full(len(base), -1, np.int32)}
    for channel, face, added in ((2078, -1, len(base)), (2080, 1, 0)):
        other |= {"channel": base + channel, "face": np.full(len(base), face, np.int8)}
        both = {key: np.concatenate([table[key], other[key]]) for key in table}
        order = np.argsort(both["event_uid"], kind="stable")
        arrays = built({key: values[order] for key, values in both.items()}, window_ticks=1024)
        assert len(arrays["tick"]) == len(base) + added


def test_missing_plane_is_empty_and_without_collection_cluster_there_is_no_image(clusters):
    table = read_table(clusters["es"], CLUSTER_TABLE)
    unlinked = table | {"link_id": np.where(table["plane"] == 0, -1, table["link_id"]).astype(np.int32)}
    counts = np.diff(built(unlinked)["offsets"]).reshape(-1, 3)
    assert ((counts > 0).sum(axis=1) == 2).all()
    assert (counts[:, 2] > 0).all()
    blind = table | {"is_main": np.where(table["plane"] == 2, 0, table["is_main"]).astype(np.uint8)}
    assert len(built(blind)["event_uid"]) == 0
    assert built(blind)["offsets"].tolist() == [0]


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
    image.run(settings(), clusters=clusters["es"], shard=tmp_path / "shard_es_0000.npz")
    shard = read_shard(tmp_path / "shard_es_0000.npz")
    assert len(shard["event_uid"]) == 10
    assert set(shard["interaction"]) == {1}
    assert (shard["orientation"], shard["detector"]) == ("canonical", "fdhd_1x2x2")
    np.testing.assert_allclose(np.linalg.norm(shard["direction"], axis=1), 1, atol=1e-5)


def test_stage_refuses_a_window_in_the_predecessors_frame(clusters, tmp_path):
    with pytest.raises(ConfigError, match=r"image\.context"):
        image.run(settings(orientation="predecessor"), clusters=clusters["es"], shard=tmp_path / "shard.npz")


def test_empty_table_makes_an_empty_shard(clusters, tmp_path):
    table = read_table(clusters["es"], CLUSTER_TABLE)
    write_table(tmp_path / "none.parquet", {key: values[:0] for key, values in table.items()}, CLUSTER_TABLE)
    for orientation, context in (("canonical", "window"), ("predecessor", "cluster")):
        path = tmp_path / f"shard_{orientation}.npz"
        image.run(settings(orientation=orientation, context=context), clusters=tmp_path / "none.parquet", shard=path)
        assert len(read_shard(path)["event_uid"]) == 0


def test_drawing_is_fast(cc):
    images = SimpleNamespace(**built(cc))
    rows = np.arange(2000) % len(images.event_uid)
    draw(images, rows[:1], 128, 32)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        draw(images, rows, 128, 32)
        seconds.append(time.perf_counter() - start)
    # An order of magnitude below what it does, so that a busy machine does not fail the test.
    assert len(rows) / min(seconds) > 3000
