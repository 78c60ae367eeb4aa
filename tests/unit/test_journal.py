"""The journal of submissions: what was written is there after a crash, at whatever moment it comes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from snpoint.errors import DataError, OutputError
from snpoint.journal import Entry, Journal


def entry(key: str, target: str = "out/a.txt", **more: object) -> Entry:
    return Entry(key=key, target=target, name="a", system="slurm", digest="d", **more)  # type: ignore[arg-type]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "templated")


def test_what_was_written_is_read_again(journal: Journal) -> None:
    journal.intend(entry("k1", mem_mb=1000, request_mb=800, log="out/logs/ü.log"))
    journal.submitted("k1", "17")
    journal.intend(entry("k2", target="out/b.txt"))
    journal.intend(entry("k3"))
    journal.submitted("k3", "18")
    journal.ended("k3", {"kind": "failed", "exit_code": 78})
    again = Journal(journal.folder)
    assert again.entries == journal.entries
    assert [one.key for one in again.open_entries()] == ["k1", "k2"]
    assert [one.key for one in again.of("out/a.txt")] == ["k1", "k3"]
    assert again.entries["k1"].id == "17"
    assert again.entries["k2"].id is None
    assert again.entries["k3"].outcome == {"kind": "failed", "exit_code": 78}


def test_token_stays_and_differs_between_folders(tmp_path: Path) -> None:
    first, second = Journal(tmp_path / "1"), Journal(tmp_path / "2")
    assert first.token == Journal(tmp_path / "1").token
    assert first.token != second.token


@pytest.mark.parametrize("content", ["", "\n", "0123", "x" * 16])
def test_token_that_others_might_share_is_refused(journal: Journal, content: str) -> None:
    journal.folder.mkdir()
    (journal.folder / "token").write_text(content)
    with pytest.raises(DataError, match="token: not a token"):
        assert journal.token


def test_line_cut_anywhere_is_passed_over(journal: Journal) -> None:
    journal.intend(entry("k1"))
    first = journal.path.stat().st_size
    journal.ended("k1", {"kind": "held", "reason": "für später: 測試"})
    content = journal.path.read_bytes()
    for cut in range(first, len(content)):
        journal.path.write_bytes(content[:cut])
        assert Journal(journal.folder).entries["k1"].open


def test_half_a_line_is_passed_over_and_what_follows_is_read(journal: Journal) -> None:
    journal.intend(entry("k1"))
    with journal.path.open("a") as stream:
        stream.write('{"event": "submitted", "key": "k1", "i')
    second = Journal(journal.folder)
    assert second.entries["k1"].id is None
    second.submitted("k1", "17")
    assert Journal(journal.folder).entries["k1"].id == "17"


WRITER = """
import sys
from pathlib import Path
from snpoint.journal import Entry, Journal
journal = Journal(Path(sys.argv[1]))
for number in range(100000):
    journal.intend(Entry(key=f"k{number}", target="t", name="n", system="slurm", digest="d"))
    journal.submitted(f"k{number}", str(number))
    print(number, flush=True)
"""


def test_killed_writer_loses_nothing_that_it_had_gone_on_from(tmp_path: Path) -> None:
    """What was printed came after it was written: after kill -9 every number printed is in the journal."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(50):
        last = process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    last = (process.communicate()[0].split("\n")[:-1] or [last])[-1]
    ids = {one.id for one in Journal(tmp_path).entries.values()}
    assert {str(number) for number in range(int(last) + 1)} <= ids


def test_compacting_keeps_open_ones_and_the_latest(journal: Journal) -> None:
    journal.intend(entry("open"))
    journal.submitted("open", "1")
    for number in range(8):
        journal.intend(entry(f"k{number}"))
        journal.ended(f"k{number}", {"kind": "completed"})
    size = journal.path.stat().st_size
    journal.compact(keep=3)
    assert journal.path.stat().st_size < size
    again = Journal(journal.folder)
    assert [one.key for one in again.of("out/a.txt")] == ["open", "k5", "k6", "k7"]
    assert again.entries == journal.entries
    journal.ended("open", {"kind": "removed"})
    assert Journal(journal.folder).open_entries() == []


@pytest.mark.parametrize("line", ["nonsense", '{"event": "submitted", "key": "unknown", "id": "3"}', "[1]"])
def test_foreign_content_is_named_with_its_line(journal: Journal, line: str) -> None:
    journal.intend(entry("k1"))
    with journal.path.open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(DataError, match=r"jobs\.jsonl, line 2: not a record of a submission"):
        Journal(journal.folder)


def test_keys_of_a_later_version_are_passed_over(journal: Journal) -> None:
    journal.intend(entry("k1"))
    content = json.loads(journal.path.read_text()) | {"colour": "blue"}
    journal.path.write_text(json.dumps(content) + "\n")
    assert Journal(journal.folder).entries["k1"].target == "out/a.txt"


def test_full_disk_in_the_middle_of_a_line_is_survived(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.intend(entry("k1"))

    def half(path: Path, text: str) -> None:
        with path.open("a") as stream:
            stream.write(text[: len(text) // 2])
        raise OutputError("no space left")

    with monkeypatch.context() as full:
        full.setattr("snpoint.journal._append", half)
        for _ in range(2):
            with pytest.raises(OutputError):
                journal.ended("k1", {"kind": "completed"})
    journal.ended("k1", {"kind": "completed"})
    assert Journal(journal.folder).entries["k1"].outcome == {"kind": "completed"}
