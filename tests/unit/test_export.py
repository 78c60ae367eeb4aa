"""`snpoint export`: the predecessor's formats, with every column right, and the way back."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import uproot
from click.testing import CliRunner
from toy_images import toy_arrays, write_toy_dataset

from snpoint import config
from snpoint.data.legacy_npz import read_legacy_npz
from snpoint.data.shards import load_dataset, read_shard
from snpoint.data.tables import CLUSTER_TABLE, write_table
from snpoint.errors import InputMissingError, UsageError
from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.drawing import draw
from snpoint.physics.geometry import load_detector
from snpoint.physics.legacy_layouts import named_clusters, recognize
from snpoint.physics.legacy_metadata import EXACT, metadata
from snpoint.physics.legacy_trees import MEMBERS, cluster_branches
from snpoint.stages import cluster, match
from snpoint.tools import export
from snpoint.tools.legacy import write_shards
from snpoint.tools.legacy_export import write_dense, write_root

PLANES = ("U", "V", "X")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return write_toy_dataset(tmp_path_factory.mktemp("toy") / "tracks", 60)


def exported(split, folder, **how):
    options = {"ticks": 128, "channels": 32, "waveform": "pentagon"} | how
    return dict(write_dense(split, folder, **options))


def test_each_split_and_plane_has_its_file_and_rows_go_together(split, tmp_path):
    files = exported(split, tmp_path)
    assert {str(path.relative_to(tmp_path)): count for path, count in files.items()} == {
        f"{plane}/tracks_{name}_0000_plane{plane}.npz": count
        for name, count in (("train", 30), ("val", 12), ("calib", 5), ("test", 13))
        for plane in PLANES
    }
    planes = [read_legacy_npz(tmp_path / plane / f"tracks_val_0000_plane{plane}.npz") for plane in PLANES]
    for plane, arrays in enumerate(planes):
        assert arrays["images"].shape == (12, 128, 32)
        assert arrays["images"].dtype == arrays["metadata"].dtype == np.float32
        assert arrays["metadata"].shape == (12, 18)
        assert (arrays["metadata"][:, 12] == plane).all()
        np.testing.assert_array_equal(arrays["metadata"][:, [0, 13]], planes[0]["metadata"][:, [0, 13]])


def test_large_splits_are_cut_into_files(split, tmp_path):
    files = exported(split, tmp_path, images_per_file=20)
    assert [count for path, count in files.items() if "train" in path.name and "planeX" in path.name] == [20, 10]


def test_all_eighteen_columns_are_right(split, tmp_path):
    exported(split, tmp_path)
    arrays = read_legacy_npz(tmp_path / "X/tracks_test_0000_planeX.npz")
    events = load_dataset(split, ("test",))
    columns = arrays["metadata"].astype(np.float64)
    np.testing.assert_array_equal(columns[:, 0], events.event)
    assert (columns[:, 1:4] == 1).all(), "marley, main, ES"
    np.testing.assert_array_equal(columns[:, 4:7], events.vertex_cm)
    total = np.hypot(1e3 * np.linalg.norm(columns[:, 7:10], axis=1), ELECTRON_MASS_MEV)
    np.testing.assert_allclose(total - ELECTRON_MASS_MEV, events.energy_true_mev, rtol=1e-5)
    np.testing.assert_allclose(
        columns[:, 7:10] / np.linalg.norm(columns[:, 7:10], axis=1)[:, None], events.direction, atol=1e-6
    )
    np.testing.assert_array_equal(columns[:, 10], events.energy_reco_mev[:, 2])
    np.testing.assert_array_equal(columns[:, 11], events.energy_true_mev)
    assert (columns[:, 12] == 2).all()
    assert columns[:, 13].tolist() == list(range(len(events)))
    np.testing.assert_array_equal(columns[:, 14], events.neutrino_energy_mev)
    momentum = events.neutrino_direction * events.neutrino_energy_mev[:, None] / 1e3
    np.testing.assert_allclose(columns[:, 15:18], momentum, atol=1e-7)


def test_what_is_not_known_is_written_as_the_predecessor_did():
    arrays = toy_arrays(3)
    arrays["direction"][1] = arrays["energy_true_mev"][1] = np.nan
    arrays["neutrino_energy_mev"][1] = arrays["neutrino_direction"][1] = arrays["vertex_cm"][1] = np.nan
    arrays["interaction"][:] = (1, 0, 2)
    arrays["is_main"][1] = 0
    rows = metadata(SimpleNamespace(**arrays), 0)
    assert np.isfinite(rows).all()
    assert rows[:, 1].tolist() == [1, 0, 1]
    assert rows[:, 2].tolist() == [1, 0, 1]
    assert rows[:, 3].tolist() == [1, 0, 0]
    assert rows[1, [4, 5, 6, 7, 8, 9, 15, 16, 17]].tolist() == [0] * 9
    assert rows[1, [11, 14]].tolist() == [-1, -1]


def test_columns_are_those_that_the_import_recognizes():
    rows = metadata(SimpleNamespace(**toy_arrays(5)), 1).astype(np.float64)
    assert recognize(rows, np.zeros(5)) == "18"
    assert named_clusters(rows, "18")["plane"].tolist() == [1] * 5


def test_more_images_than_a_float_can_number_are_refused():
    with pytest.raises(ValueError, match="cannot be numbered as float32"):
        metadata(SimpleNamespace(event=range(EXACT)), 0)


@pytest.mark.parametrize("waveform", ["pentagon", "triangle"])
@pytest.mark.parametrize("orientation", ["canonical", "predecessor"])
def test_export_and_import_give_the_same_images_and_truth(orientation, waveform, tmp_path):
    split = write_toy_dataset(tmp_path / "toy", 30, orientation=orientation)
    exported(split, tmp_path / "dense", waveform=waveform)
    (path,) = write_shards([tmp_path / "dense"], tmp_path / "back")
    back, events = SimpleNamespace(**read_shard(path)), load_dataset(split)
    assert str(back.orientation) == orientation
    found, wanted = np.argsort(back.event_uid), np.argsort(events.event_uid)
    np.testing.assert_array_equal(back.event_uid[found], events.event_uid[wanted])
    pixels, expected = draw(back, found, 128, 32), draw(events, wanted, 128, 32, waveform)
    assert np.abs(pixels - expected).max() <= 0.5
    assert expected.max() > 50
    for key in ("direction", "vertex_cm", "energy_true_mev", "energy_reco_mev", "neutrino_direction", "interaction",
                "neutrino_energy_mev", "is_main", "run", "subrun", "event"):  # fmt: skip
        np.testing.assert_allclose(getattr(back, key)[found], getattr(events, key)[wanted], rtol=2e-6, atol=2e-6)


def test_nothing_is_written_over_an_older_export(split, tmp_path):
    exported(split, tmp_path)
    with pytest.raises(UsageError, match="already holds NPZ files"):
        exported(split, tmp_path)
    with pytest.raises(InputMissingError, match="name the folder of a dataset"):
        exported(tmp_path, tmp_path / "other")


# Clusters as ROOT


def cluster_table(n_events=4, offset=0):
    """Per event a linked signal cluster on U, V and X, a background cluster on X below the cut, and a noise TP."""
    rows = []
    for event in range(n_events):
        for number, (plane, first, n_tps, signal) in enumerate(
            [(0, 100, 3, 1), (1, 900, 2, 1), (2, 1700, 4, 1), (2, 2300, 2, 0), (0, 500, 1, 0)]
        ):
            for k in range(n_tps):
                linked = signal and not (plane == 1 and event % 2)
                rows.append(
                    {
                        "event": 100 + event,
                        "channel": 2560 + first + k,
                        "apa": 1,
                        "plane": plane,
                        "time_start": offset + 32 * (1000 + k),
                        "samples_over_threshold": 4 + k,
                        "samples_to_peak": 2,
                        "adc_integral": 700 + 10 * k,
                        "adc_peak": 200,
                        "track_id": 1 if signal else 50 * (number == 3),
                        "pdg": (22 if k == 0 else 11) if signal else 0,
                        "is_signal": signal,
                        "edep_mev": 0.25 if signal else np.nan,
                        "cluster_id": 4 * event + number if number < 4 else -1,
                        "accepted": int(number < 3),
                        "is_main": signal,
                        "link_id": event if linked else -1,
                        "link_planes": 3 - event % 2 if linked else 0,
                    }
                )
    n = len(rows)
    table = {key: np.array([row.get(key, 0) for row in rows]) for key in CLUSTER_TABLE}
    table |= {"run": np.full(n, 9), "interaction": np.ones(n), "energy_true_mev": np.full(n, 20.0)}
    table |= {"direction_z": np.ones(n), "neutrino_direction_x": np.ones(n), "neutrino_energy_mev": np.full(n, 30.0)}
    table |= {f"vertex_{axis}_cm": np.full(n, 5.0 + i) for i, axis in enumerate("xyz")}
    table["event_uid"] = (9 << 44) + table["event"].astype(np.uint64)
    table["link_margin"] = np.full(n, np.nan)
    return {key: np.asarray(values).astype(CLUSTER_TABLE[key].dtype) for key, values in table.items()}


def fingerprint(lines):
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def lines_of_table(table):
    """Cluster lines of a table: event, plane, and all (channel, start) in order."""
    lines = []
    for number in np.unique(table["cluster_id"][table["cluster_id"] >= 0]):
        own = np.flatnonzero(table["cluster_id"] == number)
        members = sorted(zip(table["channel"][own].tolist(), table["time_start"][own].tolist(), strict=True))
        place = f"{table['event'][own[0]]}|{PLANES[table['plane'][own[0]]]}|"
        lines.append(place + ",".join(f"{channel}:{start}" for channel, start in members))
    return lines


def lines_of_root(path, folders=("clusters", "discarded")):
    lines = []
    with uproot.open(path) as file:
        for folder in folders:
            for plane in PLANES:
                tree = file[f"{folder}/clusters_tree_{plane}"].arrays()
                for row in tree.tolist():
                    channels = [
                        2560 * a + c for a, c in zip(row["tp_detector"], row["tp_detector_channel"], strict=True)
                    ]
                    members = sorted(zip(channels, row["tp_time_start"], strict=True))
                    lines.append(f"{row['event']}|{plane}|" + ",".join(f"{c}:{t}" for c, t in members))
    return lines


@pytest.fixture
def root(tmp_path):
    write_table(tmp_path / "clusters.parquet", cluster_table(), CLUSTER_TABLE, {})
    assert write_root(tmp_path / "clusters.parquet", tmp_path / "out.root", "fdhd_1x2x2", (900, 900, 3600)) == (48, 16)
    return tmp_path / "out.root"


def test_clusters_keep_their_fingerprints(root):
    assert fingerprint(lines_of_root(root)) == fingerprint(lines_of_table(cluster_table()))


def test_the_energy_cut_tells_the_folders(root):
    with uproot.open(root) as file:
        counts = {
            f"{folder}/{plane}": file[f"{folder}/clusters_tree_{plane}"].num_entries
            for folder in ("clusters", "discarded")
            for plane in PLANES
        }
    assert counts == {"clusters/U": 4, "clusters/V": 4, "clusters/X": 4, "discarded/U": 0, "discarded/V": 0,
                      "discarded/X": 4}  # fmt: skip


def test_tps_have_the_branches_and_types_of_the_predecessor(root):
    with uproot.open(root) as file:
        tree = file["tps"]
        types = {branch.name: branch.typename for branch in tree.branches}
        arrays = tree.arrays(library="np")
    table = cluster_table()
    for name, kind in {
        "event": "int32_t", "version": "uint16_t", "detid": "uint32_t", "channel": "uint32_t", "view": "char*",
        "samples_over_threshold": "uint64_t", "time_start": "uint64_t", "adc_integral": "uint32_t",
        "adc_peak": "uint16_t", "detector": "uint16_t", "detector_channel": "int32_t", "simide_energy": "double",
        "generator_name": "char*", "particle_pdg": "int32_t", "particle_energy": "float", "particle_px": "float",
        "neutrino_interaction": "char*", "neutrino_energy": "float",
    }.items():  # fmt: skip
        assert types[name] == kind, name
    np.testing.assert_array_equal(arrays["channel"], table["channel"])
    np.testing.assert_array_equal(arrays["detector_channel"], table["channel"] % 2560)
    np.testing.assert_array_equal(arrays["time_start"], table["time_start"].astype(np.uint64))
    assert arrays["view"][:4].tolist() == ["U", "U", "U", "V"]
    signal = table["is_signal"] == 1
    assert set(arrays["generator_name"][signal]) == {"marley"}
    assert set(arrays["generator_name"][~signal]) == {"background", "UNKNOWN"}
    assert set(arrays["neutrino_interaction"][signal]) == {"ES"}
    assert set(arrays["neutrino_interaction"][~signal]) == {""}
    np.testing.assert_allclose(arrays["particle_energy"][signal], 20 + ELECTRON_MASS_MEV, rtol=1e-6)
    momentum = np.sqrt(20 * (20 + 2 * ELECTRON_MASS_MEV)) / 1e3
    np.testing.assert_allclose(arrays["particle_pz"][signal], momentum, rtol=1e-6)
    assert (arrays["particle_pz"][~signal] == 0).all()
    assert np.isfinite(arrays["simide_energy"]).all()


def test_clusters_carry_truth_matches_and_members(root):
    with uproot.open(root) as file:
        x = file["clusters/clusters_tree_X"].arrays().tolist()
        lost = file["discarded/clusters_tree_X"].arrays().tolist()
        assert {f"tp_{name}" for name in MEMBERS} <= set(file["clusters/clusters_tree_U"].keys())
        assert "matching_clusterId_U" not in file["clusters/clusters_tree_U"]
    first = x[0]
    assert (first["n_tps"], first["true_label"], first["true_pdg"]) == (4, "marley", 11)
    assert first["is_es_interaction"] is True
    assert first["is_main_cluster"] is True
    assert first["total_charge"] == 2860
    assert first["total_energy"] == pytest.approx(2860 / 3600), "X is not four times too high"
    assert first["true_particle_energy"] == 20
    assert first["true_neutrino_mom_x"] == pytest.approx(0.03)
    assert [first[f"true_pos_{axis}"] for axis in "xyz"] == [5, 6, 7]
    assert first["marley_tp_fraction"] == first["generator_tp_fraction"] == 1
    assert first["tp_samples_over_threshold"] == [4, 5, 6, 7]
    assert [row["match_type"] for row in x] == [3, 2, 3, 2], "the match without V is a U match"
    assert [row["matching_clusterId_U"] for row in x] == [0, 4, 8, 12]
    assert [row["matching_clusterId_V"] for row in x] == [1, -1, 9, -1]
    assert [row["match_id"] for row in x] == [0, 1, 2, 3]
    assert {(row["true_label"], row["true_pdg"], row["match_id"], row["match_type"]) for row in lost} == {
        ("background", 0, -1, -1)
    }
    assert {row["marley_tp_fraction"] for row in lost} == {0.0}


@pytest.mark.parametrize(
    ("cuts", "tps", "marley", "every", "accepted"),
    [
        (
            ("tot_cut=1", "energy_cut_mev=1.0"),
            "8cdd5fa2b85c59ac",
            "1b9a9f79f9098463",
            "68ec6212ed8c4400",
            "3fc854e02f66f843",
        ),
        (
            ("tot_cut=3", "energy_cut_mev=2.0"),
            "0e083dc77e52ce04",
            "7503587a829b1e70",
            "63a145167c4e3176",
            "c85faace314c1d1c",
        ),
    ],
)
def test_a_real_file_has_the_fingerprints_of_the_reference(
    cuts, tps, marley, every, accepted, real_data, tmp_path, monkeypatch
):
    monkeypatch.chdir(REPOSITORY)
    changes = ["truth=predecessor", "margin_ticks=10"]
    match.run(
        config.parse_settings("match", None, changes),
        tpstream=[real_data / "test_es_tpstream.root"],
        tps=tmp_path / "tps.parquet",
    )
    changes = ["method=greedy", "tick_limit=3", "channel_limit=2", "min_tps=2", "adc_per_mev=predecessor", *cuts]
    cluster.run(
        config.parse_settings("cluster", None, changes),
        tps=tmp_path / "tps.parquet",
        clusters=tmp_path / "clusters.parquet",
    )
    path = tmp_path / "out.root"
    write_root(tmp_path / "clusters.parquet", path, "fdhd_1x2x2", (900, 900, 3600))
    assert fingerprint(lines_of_root(path)).startswith(every)
    assert fingerprint(lines_of_root(path, ["clusters"])).startswith(accepted)
    with uproot.open(path) as file:
        table = file["tps"].arrays(library="np")
    keys = ("event", "channel", "time_start", "samples_over_threshold", "adc_integral", "generator_name")
    kept = table["samples_over_threshold"] > int(cuts[0].partition("=")[2])
    rows = list(zip(*(table[key][kept].tolist() for key in keys), strict=True))
    assert fingerprint(["{}|{}:{}:{}:{}".format(*row) for row in rows]).startswith(tps)
    assert fingerprint(["{}|{}:{}:{}:{}".format(*row) for row in rows if row[5] == "marley"]).startswith(marley)


def test_times_beyond_32_bits_survive(tmp_path):
    table = cluster_table(offset=1 << 50)
    write_table(tmp_path / "c.parquet", table, CLUSTER_TABLE, {})
    write_root(tmp_path / "c.parquet", tmp_path / "out.root", "fdhd_1x2x2", (900, 900, 3600))
    assert fingerprint(lines_of_root(tmp_path / "out.root")) == fingerprint(lines_of_table(table))


def test_a_table_without_events_gives_trees_without_rows(tmp_path):
    empty = {key: values[:0] for key, values in cluster_table().items()}
    write_table(tmp_path / "c.parquet", empty, CLUSTER_TABLE, {})
    assert write_root(tmp_path / "c.parquet", tmp_path / "out.root", "fdhd_1x2x2", (900, 900, 3600)) == (0, 0)
    assert lines_of_root(tmp_path / "out.root") == []
    with uproot.open(tmp_path / "out.root") as file:
        assert file["tps"].num_entries == 0


def test_a_match_without_u_is_a_match_of_v():
    table = cluster_table(1)
    table["link_id"][table["plane"] == 0] = -1
    scalars, _, _, place = cluster_branches(table, load_detector("fdhd_1x2x2"), (900, 900, 3600))
    assert scalars["match_type"].tolist() == [-1, 1, 1, -1]
    assert place["matching_U"].tolist() == [-1, -1, -1, -1]
    assert place["matching_V"].tolist() == [-1, 1, 1, -1]


def test_unlinked_clusters_match_nothing():
    table = cluster_table(1)
    table["link_id"][:] = -1
    scalars, _, counts, place = cluster_branches(table, load_detector("fdhd_1x2x2"), (900, 900, 3600))
    assert set(scalars["match_type"]) == {-1}
    assert set(place["matching_U"]) == {-1}
    assert counts.tolist() == [3, 2, 4, 2]


def run(*arguments):
    result = CliRunner().invoke(export.command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_takes_datasets_and_clusters(split, tmp_path):
    output = run(split.parent.parent, "-o", tmp_path / "dense", "--waveform", "triangle")
    assert "tracks_test_0000_planeX.npz: 13 images" in output
    write_table(tmp_path / "clusters.parquet", cluster_table(), CLUSTER_TABLE, {})
    assert "48 TPs, 16 clusters" in run(tmp_path / "clusters.parquet", "--root", tmp_path / "out.root")
    with pytest.raises(UsageError, match="clusters are written as ROOT; give --root FILE"):
        run(tmp_path / "clusters.parquet", "-o", tmp_path / "dense")
    with pytest.raises(UsageError, match="a dataset is written as NPZ; give -o FOLDER"):
        run(split, "--root", tmp_path / "out.root")
