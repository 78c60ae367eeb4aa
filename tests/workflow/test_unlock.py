"""`snpoint unlock`: the lock of a dead run goes, any other stays."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from workplace import Workplace

from snpoint import lock
from snpoint.journal import Entry, Journal

OUTPUT = "results/samples/sim_es/match/0000.parquet"


@contextmanager
def driver(workplace: Workplace, stage: str = "match") -> Iterator[subprocess.Popen[bytes]]:
    """A run of Snakemake that waits in a stage for ever; whatever is left of it is killed at the end."""
    process = subprocess.Popen(
        ["snakemake", "--profile", "local", "--cores", "1", "--force", OUTPUT],
        cwd=workplace.folder,
        env=workplace.environment | {"STUB_WAIT": stage},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 60
        record = workplace.folder / "results/samples/sim_es/match/0000.provenance.json"
        while json.loads(record.read_text(encoding="utf-8"))["state"] != "running":
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.1)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def locks(workplace: Workplace) -> list[Path]:
    return list((workplace.folder / ".snakemake/locks").glob("*.lock"))


def locked_by(workplace: Workplace, silent_s: float = 0, **changes: Any) -> None:
    """Lock files and an owner record as a killed run leaves them; by default of a process that is gone."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    record = {
        "host": socket.gethostname(),
        "pid": gone.pid,
        "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "process_start": 1,
        "started": "2026-01-01T00:00:00+00:00",
        "command": "snakemake --profile htcondor",
    }
    place = workplace.folder / ".snakemake"
    (place / "locks").mkdir(parents=True, exist_ok=True)
    then = time.time() - silent_s
    for name in ("0.input.lock", "0.output.lock"):
        (place / "locks" / name).write_text(f"{OUTPUT}\n")
        os.utime(place / "locks" / name, (then, then))
    (place / "owner.json").write_text(json.dumps(record | changes))
    os.utime(place / "owner.json", (then, then))


def test_a_killed_run_leaves_a_lock_that_is_removed(workplace: Workplace) -> None:
    with driver(workplace) as process:
        pid = process.pid
        owner = json.loads((workplace.folder / ".snakemake/owner.json").read_text())
        assert (owner["host"], owner["pid"]) == (socket.gethostname(), pid)
        assert "--profile local" in owner["command"]
    assert len(locks(workplace)) == 2
    assert "locked" in workplace.snakemake("--profile", "local", "--force", OUTPUT, check=False).stderr
    said = workplace.run("snpoint", "unlock").stdout
    assert f"process {pid} on {socket.gethostname()}" in said
    assert locks(workplace) == []
    workplace.snakemake("--profile", "local", OUTPUT)


def test_the_lock_of_a_run_at_work_stays(workplace: Workplace) -> None:
    with driver(workplace) as process:
        for options in ((), ("--break-lock",)):
            result = workplace.run("snpoint", "unlock", *options, check=False)
            assert result.returncode == 64
            assert f"process {process.pid}" in result.stderr
            assert f"kill -TERM {process.pid}" in result.stderr
        # also when its record was lost
        (workplace.folder / ".snakemake/owner.json").unlink()
        assert f"process {process.pid}" in workplace.run("snpoint", "unlock", "--break-lock", check=False).stderr
        assert len(locks(workplace)) == 2


def test_a_dry_run_does_not_claim_the_lock(empty_workplace: Workplace) -> None:
    empty_workplace.snakemake("-n")
    assert not (empty_workplace.folder / ".snakemake/owner.json").exists()


def test_a_process_number_in_use_again_is_another_process(workplace: Workplace) -> None:
    locked_by(workplace, pid=os.getpid())
    assert "is gone" in workplace.run("snpoint", "unlock").stdout
    assert locks(workplace) == []


def test_a_living_owner_keeps_the_lock(workplace: Workplace) -> None:
    locked_by(workplace, pid=os.getpid(), process_start=lock.process_start(os.getpid()))
    result = workplace.run("snpoint", "unlock", "--break-lock", check=False)
    assert result.returncode == 64
    assert "which is alive" in result.stderr
    locked_by(workplace, pid=os.getpid(), process_start=lock.process_start(os.getpid()), boot_id="another boot")
    assert "is gone" in workplace.run("snpoint", "unlock").stdout


@pytest.mark.parametrize(
    ("silent_s", "options", "unlocked", "words"),
    [
        (0, (), False, "it may be alive"),
        (0, ("--break-lock",), False, "--break-lock` after 10 minutes"),
        (3600, (), False, "ssh lxplus1.example ps -p 17"),
        (3600, ("--break-lock",), True, "no sign of life for 60 min"),
    ],
)
def test_another_machine_is_left_alone_until_it_is_silent(
    workplace: Workplace, silent_s: float, options: tuple[str, ...], unlocked: bool, words: str
) -> None:
    locked_by(workplace, silent_s, host="lxplus1.example", pid=17)
    result = workplace.run("snpoint", "unlock", *options, check=False)
    assert (result.returncode == 0) == unlocked
    assert words in result.stdout + result.stderr
    assert (locks(workplace) == []) == unlocked
    if not unlocked:
        assert "lxplus1.example" in result.stderr
        assert "process 17" in result.stderr


def test_a_lock_of_nobody_needs_the_word_of_the_user(workplace: Workplace) -> None:
    locked_by(workplace, silent_s=3600)
    os.utime(workplace.folder / ".snakemake/locks/0.input.lock")  # taken after the owner's last sign of life
    result = workplace.run("snpoint", "unlock", check=False)
    assert result.returncode == 64
    assert "snpoint unlock --break-lock" in result.stderr
    workplace.run("snpoint", "unlock", "--break-lock")
    assert locks(workplace) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"host": 1}'])
def test_a_broken_record_is_nobody(workplace: Workplace, text: str) -> None:
    locked_by(workplace)
    (workplace.folder / ".snakemake/owner.json").write_text(text)
    result = workplace.run("snpoint", "unlock", check=False)
    assert result.returncode == 64
    assert "Traceback" not in result.stderr


def test_it_names_the_jobs_that_live_on(workplace: Workplace) -> None:
    locked_by(workplace)
    journal = Journal(workplace.folder / ".snakemake/templated")
    for key, job in (("a", "17"), ("b", "18")):
        journal.intend(Entry(key=key, target=f"results/{key}", name=key, system="htcondor", digest=key))
        journal.submitted(key, job)
    said = workplace.run("snpoint", "unlock").stdout
    assert "2 jobs may still be in the queue of htcondor (17, 18)" in said
    assert "snakemake --profile htcondor" in said


def test_a_run_with_jobs_in_a_queue_is_ended_without_waiting_for_them(workplace: Workplace) -> None:
    locked_by(workplace, pid=os.getpid(), process_start=lock.process_start(os.getpid()))
    assert f"kill -TERM {os.getpid()}" in workplace.run("snpoint", "unlock", check=False).stderr
    journal = Journal(workplace.folder / ".snakemake/templated")
    journal.intend(Entry(key="a", target="results/a", name="a", system="htcondor", digest="a"))
    said = workplace.run("snpoint", "unlock", check=False).stderr
    assert f"kill -HUP {os.getpid()}" in said
    assert "kill -TERM" not in said


def test_nothing_locked_is_no_error(workplace: Workplace) -> None:
    assert "is not locked" in workplace.run("snpoint", "unlock").stdout


def test_signs_of_life_are_the_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lock.touch()  # no record: nothing happens
    lock.claim()
    os.utime(lock.RECORD, (1000, 1000))
    lock.touch()
    assert lock.RECORD.stat().st_mtime > 1000
    content = json.loads(lock.RECORD.read_text())
    lock.RECORD.write_text(json.dumps(content | {"pid": content["pid"] + 1}))
    os.utime(lock.RECORD, (1000, 1000))
    lock.touch()
    assert lock.RECORD.stat().st_mtime == 1000
