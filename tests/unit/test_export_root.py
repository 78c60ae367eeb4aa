"""`snpoint export` of clusters: the predecessor's ROOT trees, with its branches, types and fingerprints."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import uproot
from toy_cluster_table import cluster_table

from snpoint import config
from snpoint.data.tables import CLUSTER_TABLE, write_table
from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.geometry import load_detector
from snpoint.physics.legacy_trees import MEMBERS, cluster_branches
from snpoint.settings import PREDECESSOR_ADC_PER_MEV
from snpoint.stages import cluster, match
from snpoint.tools.legacy_export import write_root

PLANES = ("U", "V", "X")
REPOSITORY = Path(__file__).parents[2]


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
    assert write_root(tmp_path / "clusters.parquet", tmp_path / "out.root", "fdhd_1x2x2", PREDECESSOR_ADC_PER_MEV) == (
        48,
        16,
    )
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
    write_root(tmp_path / "clusters.parquet", path, "fdhd_1x2x2", PREDECESSOR_ADC_PER_MEV)
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
    write_root(tmp_path / "c.parquet", tmp_path / "out.root", "fdhd_1x2x2", PREDECESSOR_ADC_PER_MEV)
    assert fingerprint(lines_of_root(tmp_path / "out.root")) == fingerprint(lines_of_table(table))


def test_a_table_without_events_gives_trees_without_rows(tmp_path):
    empty = {key: values[:0] for key, values in cluster_table().items()}
    write_table(tmp_path / "c.parquet", empty, CLUSTER_TABLE, {})
    assert write_root(tmp_path / "c.parquet", tmp_path / "out.root", "fdhd_1x2x2", PREDECESSOR_ADC_PER_MEV) == (0, 0)
    assert lines_of_root(tmp_path / "out.root") == []
    with uproot.open(tmp_path / "out.root") as file:
        assert file["tps"].num_entries == 0


def test_a_match_without_u_is_a_match_of_v():
    table = cluster_table(1)
    table["link_id"][table["plane"] == 0] = -1
    scalars, _, _, place = cluster_branches(table, load_detector("fdhd_1x2x2"), PREDECESSOR_ADC_PER_MEV)
    assert scalars["match_type"].tolist() == [-1, 1, 1, -1]
    assert place["matching_U"].tolist() == [-1, -1, -1, -1]
    assert place["matching_V"].tolist() == [-1, 1, 1, -1]


def test_unlinked_clusters_match_nothing():
    table = cluster_table(1)
    table["link_id"][:] = -1
    scalars, _, counts, place = cluster_branches(table, load_detector("fdhd_1x2x2"), PREDECESSOR_ADC_PER_MEV)
    assert set(scalars["match_type"]) == {-1}
    assert set(place["matching_U"]) == {-1}
    assert counts.tolist() == [3, 2, 4, 2]
