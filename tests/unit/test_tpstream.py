"""TPStream files: the real schema, read and written without loss, and broken files refused in one line."""

import numpy as np
import pytest
import uproot

from snpoint.data.tpstream import BACKTRACKER, SCHEMA, read_tpstream, write_tpstream
from snpoint.errors import DataError, InputMissingError


def _interpretations(path):
    with uproot.open(path) as file:
        return {
            (key, branch.name): (branch.typename, str(branch.interpretation), branch.title)
            for key, tree in file.items(recursive=True, cycle=False, filter_classname="TTree")
            for branch in tree.branches
        }


@pytest.fixture(scope="module")
def es_file(real_data):
    return real_data / "test_es_tpstream.root"


@pytest.fixture(scope="module")
def trees(es_file):
    return read_tpstream(es_file)


def tiny():
    """One event with two TPs and no truth."""
    columns = {key: np.arange(2) for key in SCHEMA["tps"] if key not in BACKTRACKER}
    return {"tps": columns}


def test_real_file_has_the_trees_and_sizes_of_the_schema(trees):
    assert list(trees) == list(SCHEMA)
    assert [len(content["Event"]) for content in trees.values()] == [12782, 40, 10, 20, 6838]
    assert set(trees["mctruths"]["generator_name"]) == {"marley"}
    for tree, content in trees.items():
        for key, kind in SCHEMA[tree].items():
            assert content[key].dtype.kind == "U" if kind == "string" else content[key].dtype == np.dtype(kind)


def test_real_file_survives_writing_and_reading(trees, tmp_path):
    write_tpstream(tmp_path / "copy.root", trees)
    again = read_tpstream(tmp_path / "copy.root")
    assert list(again) == list(trees)
    for tree, content in trees.items():
        assert list(again[tree]) == list(content)
        for key, values in content.items():
            np.testing.assert_array_equal(again[tree][key], values, err_msg=f"{tree}.{key}")
            assert again[tree][key].dtype.kind == values.dtype.kind


def test_written_branches_have_the_types_of_the_real_file(es_file, trees, tmp_path):
    write_tpstream(tmp_path / "copy.root", trees)
    real, written = _interpretations(es_file), _interpretations(tmp_path / "copy.root")
    assert list(written) == list(real)
    for key, (typename, interpretation, title) in real.items():
        # The two things uproot writes differently: std::string as char*, and ROOT's ULong_t as ULong64_t.
        typename = typename.replace("std::string", "char*")
        title = {"time_start/g": "time_start/l"}.get(title, f"{title}/C" if typename == "char*" else title)
        assert written[key] == (typename, interpretation, title)


def test_subset_of_the_trees(es_file):
    assert list(read_tpstream(es_file, ("tps", "mctruths"))) == ["tps", "mctruths"]


def test_data_without_truth_are_read_without_truth(tmp_path):
    write_tpstream(tmp_path / "data.root", tiny())
    again = read_tpstream(tmp_path / "data.root")
    assert list(again) == ["tps"]
    assert not set(again["tps"]) & set(BACKTRACKER)
    assert again["tps"]["channel"].tolist() == [0, 1]


def test_file_with_no_events_is_legal(tmp_path):
    write_tpstream(tmp_path / "empty.root", {"tps": {key: np.empty(0) for key in SCHEMA["tps"]}})
    again = read_tpstream(tmp_path / "empty.root")
    assert len(again["tps"]["time_start"]) == 0


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputMissingError, match=r"nowhere\.root: cannot be opened"):
        read_tpstream(tmp_path / "nowhere.root")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused(es_file, tmp_path, share):
    content = es_file.read_bytes()
    (tmp_path / "cut.root").write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"cut\.root: not a readable TPStream file .* again"):
        read_tpstream(tmp_path / "cut.root")


def test_damaged_file_is_refused(es_file, tmp_path):
    content = bytearray(es_file.read_bytes())
    content[len(content) // 4 : 3 * len(content) // 4] = bytes(len(content) // 2)
    (tmp_path / "holes.root").write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"holes\.root"):
        read_tpstream(tmp_path / "holes.root")


def test_foreign_files_are_refused(tmp_path):
    (tmp_path / "text.root").write_text("this is not ROOT" * 100)
    with uproot.recreate(tmp_path / "other.root") as file:
        file.mktree("hits", {"a": "f4"})
    for name in ("text.root", "other.root"):
        with pytest.raises(DataError, match=name):
            read_tpstream(tmp_path / name)


def test_a_value_that_does_not_fit_its_branch_is_refused_and_nothing_is_written(tmp_path):
    trees = tiny()
    trees["tps"]["samples_over_threshold"] = np.array([1, 70000])
    with pytest.raises(DataError, match=r"tps\.samples_over_threshold"):
        write_tpstream(tmp_path / "bad.root", trees)
    assert list(tmp_path.iterdir()) == []


def test_unknown_branch_is_refused(tmp_path):
    trees = tiny()
    trees["tps"]["adc_sum"] = np.arange(2)
    with pytest.raises(DataError, match="adc_sum"):
        write_tpstream(tmp_path / "bad.root", trees)
