"""``snpoint fingerprint``: two hashes that say whether two programs have found the same clusters."""

import hashlib

import numpy as np
import pytest
from click.testing import CliRunner
from toy_clusters import cluster_settings, permuted
from toy_matching import match_settings

from snpoint.data.tables import CLUSTER_TABLE, write_table
from snpoint.errors import DataError, InputMissingError
from snpoint.physics.clustering_fingerprint import cluster_lines, fingerprint
from snpoint.stages import cluster, match
from snpoint.tools.fingerprint import command

ES = {
    (1, 1.0): (
        "68ec6212ed8c440050e03ce91e8ad5fa4fb3d3c0aa6b8153258f1a11e4ab6fe0",
        "3fc854e02f66f843ebd71a14cc72190438649a95d14399df254035862a49dbaa",
    ),
    (3, 2.0): (
        "63a145167c4e317688f180482d01f5c3015074683e8ac7adc29c1b6f623d63ba",
        "c85faace314c1d1c6d00986472295d89166fc8a6ba1eeae6eec89c9f1850f4cf",
    ),
}
TABLE = {
    "event": np.array([7, 7, 7, 7, 8]),
    "plane": np.array([0, 0, 2, 0, 2]),
    "channel": np.array([12, 5, 1600, 12, 1700]),
    "time_start": np.array([64, 96, 32, 32, 0]),
    "cluster_id": np.array([4, 4, 9, 4, -1]),
    "accepted": np.array([1, 1, 0, 1, 0]),
}


def printed(path):
    result = CliRunner().invoke(command, [str(path)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_a_cluster_is_a_line_of_its_members_in_order():
    lines, accepted = cluster_lines(TABLE)
    assert lines == ["7|U|5:96,12:32,12:64", "7|X|1600:32"]
    assert accepted == [True, False]
    assert fingerprint(lines) == hashlib.sha256(b"7|U|5:96,12:32,12:64\n7|X|1600:32").hexdigest()


def test_the_order_of_rows_and_the_numbers_of_clusters_do_not_matter():
    lines, _ = cluster_lines(TABLE)
    order = np.array([4, 2, 0, 3, 1])
    renumbered = permuted(TABLE | {"cluster_id": np.array([3, 3, 1, 3, -1])}, order)
    again, accepted = cluster_lines(renumbered)
    assert sorted(again) == sorted(lines)
    assert fingerprint(again) == fingerprint(lines)
    assert accepted == [False, True]


def test_no_clusters():
    nothing = fingerprint([])
    assert cluster_lines({key: values[4:] for key, values in TABLE.items()}) == ([], [])
    assert nothing == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("truth", ["none", "predecessor"])
@pytest.mark.parametrize("cuts", ES)
def test_the_real_es_file_has_its_known_fingerprints(real_data, tmp_path, truth, cuts):
    match.run(match_settings(truth=truth), tpstream=[real_data / "test_es_tpstream.root"], tps=tmp_path / "tps.parquet")
    settings = cluster_settings(method="greedy", tot_cut=cuts[0], energy_cut_mev=cuts[1], adc_per_mev="predecessor")
    cluster.run(settings, tps=tmp_path / "tps.parquet", clusters=tmp_path / "clusters.parquet")
    assert printed(tmp_path / "clusters.parquet") == "all {}\naccepted {}\n".format(*ES[cuts])


def test_an_empty_table_has_one_too(tmp_path):
    empty = {key: np.zeros(0, array.dtype) for key, array in CLUSTER_TABLE.items()}
    write_table(tmp_path / "clusters.parquet", empty, CLUSTER_TABLE)
    assert printed(tmp_path / "clusters.parquet").split() == ["all", fingerprint([]), "accepted", fingerprint([])]


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputMissingError, match=r"none\.parquet"):
        printed(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("not a table")
    with pytest.raises(DataError, match=r"text\.parquet"):
        printed(tmp_path / "text.parquet")
