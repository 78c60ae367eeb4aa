"""`snpoint export`: which formats there are for a dataset, and which for clusters."""

import pytest
from click.testing import CliRunner
from toy_cluster_table import cluster_table
from toy_images import write_toy_dataset

from snpoint.data.tables import CLUSTER_TABLE, write_table
from snpoint.errors import UsageError
from snpoint.tools import export


def run(*arguments):
    result = CliRunner().invoke(export.command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def split(tmp_path):
    return write_toy_dataset(tmp_path / "tracks", 60)


@pytest.fixture
def clusters(tmp_path):
    write_table(tmp_path / "clusters.parquet", cluster_table(), CLUSTER_TABLE, {})
    return tmp_path / "clusters.parquet"


def test_the_command_takes_datasets_and_clusters(split, clusters, tmp_path):
    output = run(split.parent.parent, "-o", tmp_path / "dense", "--waveform", "triangle")
    assert "tracks_test_0000_planeX.npz: 13 images" in output
    assert "48 TPs, 16 clusters" in run(clusters, "--root", tmp_path / "out.root")


@pytest.mark.parametrize("outputs", [(), ("-o",), ("-o", "--root")])
def test_clusters_are_written_as_root_alone(outputs, clusters, tmp_path):
    arguments = [text for option in outputs for text in (option, tmp_path / option)]
    with pytest.raises(UsageError, match=r"written as ROOT, give --root FILE and no -o; NPZ .* are made of a dataset"):
        run(clusters, *arguments)


@pytest.mark.parametrize("outputs", [(), ("--root",), ("-o", "--root")])
def test_a_dataset_is_written_as_npz_alone(outputs, split, tmp_path):
    arguments = [text for option in outputs for text in (option, tmp_path / option)]
    with pytest.raises(
        UsageError, match=r"as NPZ, give -o FOLDER and no --root; ROOT .* is made of a table of clusters"
    ):
        run(split, *arguments)


def test_a_waveform_is_one_of_those_there_are(split, tmp_path):
    arguments = [str(split), "-o", str(tmp_path / "dense"), "--waveform", "square"]
    result = CliRunner().invoke(export.command, arguments)
    assert result.exit_code == 2
    assert "'square' is not one of 'triangle', 'pentagon', 'gaussian'" in result.output
    assert not (tmp_path / "dense").exists()


@pytest.mark.parametrize("numbers", [(0, 0, 0), (900, 900, -1), (900, "nan", 3600), (900, "inf", 3600)])
def test_an_energy_needs_a_positive_number_of_adc_per_mev(numbers, clusters, tmp_path):
    with pytest.raises(UsageError, match=r"--adc-per-mev .*: a plane has a finite number above 0"):
        run(clusters, "--root", tmp_path / "out.root", "--adc-per-mev", *numbers)
    assert not (tmp_path / "out.root").exists()
