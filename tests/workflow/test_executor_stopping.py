"""What the executor does when it is told to end, or cannot write down what has happened."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_cluster import calls, end_jobs, ended, journal, lines, make_folder, snakemake, start, unlock, wait_for

MANY = """
rule all:
    input: expand("out/{n}.txt", n=range(4)), "out/last.txt"
rule one:
    output: "out/{n}.txt"
    log: "out/logs/{n}.log"
    shell: "echo >> started; echo line of the log > {log}; sleep 5; echo {wildcards.n} > {output}"
rule last:
    input: expand("out/{n}.txt", n=range(4))
    output: "out/last.txt"
    shell: "touch {output}"
"""
LONG = MANY.replace("sleep 5", "sleep 300")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A workflow folder beside stand-ins for SLURM's commands."""
    yield make_folder(tmp_path)
    end_jobs(tmp_path / "work")


def at_work(folder: Path, workflow: str) -> subprocess.Popen[str]:
    """A pipeline whose four jobs run and are polled."""
    process = start(folder, workflow)
    wait_for(lambda: lines(folder / "started") == 4 and len(calls(folder, "squeue")) > 1, "all jobs are at work")
    return process


def told(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """What a pipeline says that gets a signal."""
    process.send_signal(number)
    return process.communicate(timeout=60)[1]


def test_interrupt_removes_all_jobs_and_calls_none_of_them_failed(folder: Path) -> None:
    process = at_work(folder, LONG)
    stderr = told(process, signal.SIGINT)
    assert process.returncode == 1
    assert "Removed 4 jobs from slurm" in stderr
    assert "Error in rule" not in stderr
    assert "line of the log" not in stderr
    assert "Traceback" not in stderr
    assert {line["outcome"]["kind"] for line in journal(folder) if line["event"] == "ended"} == {"removed"}


def test_lost_terminal_leaves_the_jobs_and_the_next_call_takes_them_up(folder: Path) -> None:
    process = at_work(folder, MANY)
    told(process, signal.SIGHUP)
    assert calls(folder, "scancel") == []
    unlock(folder)
    run = snakemake(folder, MANY)
    assert run.returncode == 0, run.stderr
    assert lines(folder / "started") == 4
    assert len(calls(folder, "sbatch")) == 5


def test_terminated_pipeline_waits_for_its_jobs_and_submits_nothing_new(folder: Path) -> None:
    process = at_work(folder, MANY)
    told(process, signal.SIGTERM)
    assert len(ended(folder)) == 4
    assert calls(folder, "scancel") == []
    assert len(calls(folder, "sbatch")) == 4
    assert len([line for line in journal(folder) if line["event"] == "ended"]) == 4
    run = snakemake(folder, MANY)
    assert run.returncode == 0, run.stderr
    assert len(calls(folder, "sbatch")) == 5


def test_end_that_cannot_be_written_down_is_reported_later(folder: Path) -> None:
    """Nobody is told of an end that a crash could make forgotten; polling goes on."""
    path = folder / ".snakemake/templated/jobs.jsonl"
    process = at_work(folder, MANY)
    path.rename(path.with_name("away"))
    path.mkdir()  # root may write everywhere, but not into a folder
    wait_for(lambda: len(ended(folder)) == 4, "the jobs have ended")
    asked = len(calls(folder, "squeue"))
    wait_for(lambda: len(calls(folder, "squeue")) > asked + 2, "polling goes on")
    assert process.poll() is None
    assert len(calls(folder, "sbatch")) == 4, "nothing follows from an end that is not written down"
    path.rmdir()
    path.with_name("away").rename(path)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 0, stderr
    assert "cannot be recorded, next try follows" in stderr
    assert "jobs.jsonl: cannot be written (Is a directory)" in stderr
    assert len([line for line in journal(folder) if line["event"] == "ended"]) == 5
