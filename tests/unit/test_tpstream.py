"""TPStream files: the real schema, read and written without loss, and broken files refused in one line."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import toy_tpstream as toy
import uproot
from hypothesis import given
from hypothesis import strategies as st

from snpoint.data import tpstream, tpstream_events, tpstream_write
from snpoint.data.tpstream import BACKTRACKER, KEY, SCHEMA, TpStream, UnreadableError, read_tpstream, write_tpstream
from snpoint.data.tpstream_events import EventFile, batches
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


@pytest.mark.parametrize(
    ("share", "reason"),
    [
        (0.0, "empty file"),
        (8e-6, "truncated: ends in its first bytes"),
        (6e-5, "truncated: ends in its first bytes"),
        (0.001, "truncated: ends after 0% of its bytes"),
        (0.1, "truncated: ends after 9% of its bytes"),
        (0.6, "truncated: ends after 59% of its bytes"),
        (0.999, "truncated: ends after 99% of its bytes"),
    ],
)
def test_truncated_file_is_refused_with_one_reason(es_file, tmp_path, share, reason):
    content = es_file.read_bytes()
    (tmp_path / "cut.root").write_bytes(content[: int(share * len(content))])
    with pytest.raises(UnreadableError, match=r"cut\.root: not a readable TPStream file .* again") as caught:
        read_tpstream(tmp_path / "cut.root")
    assert caught.value.reason == reason


def test_file_of_another_kind_is_no_root_file(tmp_path):
    (tmp_path / "a.root").write_bytes(b"PK\x03\x04")
    with pytest.raises(UnreadableError, match=r"a\.root: not a readable TPStream file \(no ROOT file\)"):
        read_tpstream(tmp_path / "a.root")


def test_damaged_file_is_refused(es_file, tmp_path):
    content = bytearray(es_file.read_bytes())
    content[len(content) // 4 : 3 * len(content) // 4] = bytes(len(content) // 2)
    (tmp_path / "holes.root").write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"holes\.root: not a readable TPStream file \(damaged\)"):
        read_tpstream(tmp_path / "holes.root")


@pytest.mark.parametrize(("shape", "broken"), [((10**15,), True), ((1000, 1000), False), (None, False)])
def test_only_an_array_larger_than_the_file_can_hold_is_a_damage(es_file, monkeypatch, shape, broken):
    error = MemoryError("Unable to allocate")
    if shape:
        error.shape, error.dtype = shape, np.dtype("f8")  # as numpy says what it could not make

    def fail(*_):
        raise error

    monkeypatch.setattr(tpstream, "_arrays", fail)
    expected, text = (DataError, "claims to hold an array of 8") if broken else (MemoryError, "Unable to allocate")
    with pytest.raises(expected, match=text):
        read_tpstream(es_file)


def test_array_that_numpy_cannot_make_says_its_size():
    with pytest.raises(MemoryError) as caught:
        np.empty(10**15)
    assert tpstream._bytes_wanted(caught.value) == 8 * 10**15


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


def test_only_the_branches_asked_for_are_read(es_file):
    columns = {"tps": [*KEY, "channel"], "mcparticles": ["g4_track_id"]}
    trees = read_tpstream(es_file, ("tps", "mcparticles"), columns)
    assert {tree: list(content) for tree, content in trees.items()} == columns


def test_missing_branch_is_named_with_its_tree_where_it_is_needed(tmp_path):
    trees = toy.event(1)
    trees["tps"] = toy.without(trees["tps"], "samples_to_peak", "flag")
    trees["mctruths"] = toy.without(trees["mctruths"], "process")
    path = toy.write_raw(tmp_path / "old.root", trees)
    kept = {"tps": [*KEY, "channel"], "mctruths": ["pdg"]}
    assert list(read_tpstream(path, kept, kept)["tps"]) == kept["tps"]
    with pytest.raises(DataError, match=r"old\.root: tree '.*TriggerAnaTree1x2x2' has no branch \['samples_to_peak'\]"):
        read_tpstream(path, ("tps",), {"tps": ["channel", "samples_to_peak"]})
    with pytest.raises(DataError, match=r"old\.root: tree 'triggerAnaDumpTPs/mctruths' has no branch \['process'\]"):
        read_tpstream(path, ("mctruths",))


def test_tree_of_another_layout_is_found(tmp_path):
    write_tpstream(tmp_path / "big.root", toy.event(1), layout="1x2x6")
    with TpStream(tmp_path / "big.root") as file:
        assert (file.layout, file.tp_tree, file.version()) == ("1x2x6", "tpmakerTPC__TriggerAnaTree1x2x6", 1)
    assert read_tpstream(tmp_path / "big.root")["tps"]["channel"].tolist() == [0, 1700]


def test_two_trees_of_tps_are_not_chosen_from(tmp_path):
    toy.write_raw(tmp_path / "two.root", toy.event(1), layouts=["1x2x2", "1x2x6"])
    with pytest.raises(DataError, match=r"two\.root: several trees of TPs .*Tree1x2x2', '.*Tree1x2x6'"):
        read_tpstream(tmp_path / "two.root")


def test_file_without_a_tree_of_tps_says_what_is_there(tmp_path):
    with uproot.recreate(tmp_path / "other.root") as file:
        file.mktree("triggerAnaDumpTPs/TriggerPrimitives/otherMaker", {"channel": "u4"})
    with pytest.raises(DataError, match=r"no tree 'triggerAnaDumpTPs/.*Tree\*' .*holds \['otherMaker'\]"):
        read_tpstream(tmp_path / "other.root")
    with uproot.recreate(tmp_path / "none.root") as file:
        file.mktree("triggerAnaDumpTPs/mctruths", {"pdg": "i4"})
    with pytest.raises(DataError, match="is empty or missing"):
        read_tpstream(tmp_path / "none.root")


def test_texts_may_be_empty_and_of_any_letters(tmp_path):
    trees = toy.event(1)
    trees["mctruths"]["generator_name"] = np.array(["", "Ar39_µ"])
    write_tpstream(tmp_path / "text.root", trees)
    assert read_tpstream(tmp_path / "text.root")["mctruths"]["generator_name"].tolist() == ["", "Ar39_µ"]
    trees["mctruths"]["generator_name"] = np.array(["", ""])
    write_tpstream(tmp_path / "text.root", trees)
    assert read_tpstream(tmp_path / "text.root")["mctruths"]["generator_name"].tolist() == ["", ""]


def test_zero_byte_file_is_refused(tmp_path):
    (tmp_path / "empty.root").touch()
    with pytest.raises(DataError, match=r"empty\.root: not a readable TPStream file \(empty file\)"):
        read_tpstream(tmp_path / "empty.root")


COLUMNS = {"tps": [*KEY, "channel", "time_start"], "mctruths": [*KEY, "pdg"]}


def written(path, *events):
    write_tpstream(path, toy.joined(*events))
    return path


def read_in_batches(paths, tps_per_batch):
    """(channels, events of the truth) of each batch and file."""
    found = []
    files = [EventFile(TpStream(path), COLUMNS) for path in paths]
    for batch in batches(files, tps_per_batch):
        for number, first, last in batch:
            trees = files[number].read(first, last)
            assert set(trees["tps"]["Event"]) == {uid & 0xFFFFFFFF for uid in files[number].uid[first:last].tolist()}
            found.append((number, trees["tps"]["channel"].tolist(), sorted(set(trees["mctruths"]["Event"].tolist()))))
    return found


def test_batches_hold_whole_events_of_at_most_so_many_tps(tmp_path):
    events = [toy.event(number, [number] * number, range(number)) for number in range(1, 6)]
    path = written(tmp_path / "a.root", *events)
    found = read_in_batches([path], 6)
    assert found == [(0, [1, 2, 2, 3, 3, 3], [1, 2, 3]), (0, [4] * 4, [4]), (0, [5] * 5, [5])]
    assert [channels for _, channels, _ in read_in_batches([path], 1)] == [[n] * n for n in range(1, 6)]
    assert len(read_in_batches([path], 15)) == 1


@given(
    owner=st.lists(st.integers(0, 3), min_size=1, max_size=30),
    sizes=st.lists(st.integers(1, 9), min_size=30, max_size=30),
    limit=st.integers(1, 40),
)
def test_every_event_is_in_one_batch_in_order_and_batches_are_as_large_as_they_may_be(owner, sizes, limit):
    files = [
        SimpleNamespace(
            uid=np.array([event for event, file in enumerate(owner) if file == own], "u8"),
            n_tps=np.array([sizes[event] for event, file in enumerate(owner) if file == own], "i8"),
        )
        for own in range(4)
    ]
    found = [
        sorted(uid for number, first, last in batch for uid in files[number].uid[first:last].tolist())
        for batch in batches(files, limit)
    ]
    assert [event for batch in found for event in batch] == list(range(len(owner)))
    for batch, after in zip(found, [*found[1:], None], strict=True):
        n_tps = sum(sizes[event] for event in batch)
        assert n_tps <= limit or len(batch) == 1
        assert after is None or n_tps + sizes[after[0]] > limit


def test_files_whose_events_alternate_are_read_in_the_order_of_the_events(tmp_path):
    odd = written(tmp_path / "odd.root", *(toy.event(number, [number], [0]) for number in (1, 3, 5)))
    even = written(tmp_path / "even.root", *(toy.event(number, [number], [0]) for number in (2, 4)))
    found = read_in_batches([odd, even], 2)
    assert found == [(0, [1], [1]), (1, [2], [2]), (0, [3], [3]), (1, [4], [4]), (0, [5], [5])]


def test_file_whose_events_are_mixed_is_read_as_a_whole_and_says_so(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    trees = toy.joined(*(toy.event(number, [number] * 2, [0, 1]) for number in (3, 1, 2)))
    shuffled = {key: values[[0, 2, 4, 5, 3, 1]] for key, values in trees["tps"].items()}
    write_tpstream(tmp_path / "a.root", trees | {"tps": shuffled})
    found = read_in_batches([tmp_path / "a.root"], 2)
    assert found == [(0, [1, 1], [1]), (0, [2, 2], [2]), (0, [3, 3], [3])]
    assert [record.message.split(": ")[1] for record in caplog.records] == [
        "events of 'tps' are not in order; it is read as a whole",
        "events of 'mctruths' are not in order; it is read as a whole",
    ]


def test_events_without_truth_and_truth_without_tps_do_not_shift_the_others(tmp_path):
    trees = toy.joined(*(toy.event(number, [number], [0]) for number in (1, 2, 3, 4)))
    trees["tps"] = {key: values[[0, 2, 3]] for key, values in trees["tps"].items()}
    trees["mctruths"] = {key: values[:6] for key, values in trees["mctruths"].items()}
    write_tpstream(tmp_path / "a.root", trees)
    assert read_in_batches([tmp_path / "a.root"], 1) == [(0, [1], [1]), (0, [3], [3]), (0, [4], [])]


def test_rows_in_memory_are_bounded_by_the_batch_not_by_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tpstream_events, "ROWS_PER_SLICE", 64)
    monkeypatch.setattr(tpstream_write, "_ROWS_PER_BASKET", 64)
    path = written(tmp_path / "a.root", *(toy.event(number, range(10), range(10)) for number in range(300)))
    asked = []
    read = TpStream.read

    def noted(self, tree, branches, start=0, stop=None):
        content = read(self, tree, branches, start, stop)
        asked.append(len(content["Event"]))
        return content

    monkeypatch.setattr(TpStream, "read", noted)
    found = read_in_batches([path], 50)
    assert [len(channels) for _, channels, _ in found] == [50] * 60
    assert max(asked) == 64


def test_run_number_that_does_not_fit_an_event_number_is_named(tmp_path):
    trees = toy.event(1)
    trees["tps"]["Run"][:] = 1 << 20
    write_tpstream(tmp_path / "a.root", trees)
    with TpStream(tmp_path / "a.root") as file, pytest.raises(DataError, match=r"a\.root: run 1048576 .* too large"):
        EventFile(file, COLUMNS)
