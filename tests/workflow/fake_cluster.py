"""A workflow folder beside commands that stand in for SLURM's, and Snakemake runs in it (see fake_slurm.py)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
FAKE_SLURM = Path(__file__).with_name("fake_slurm.py")


def make_folder(path: Path) -> Path:
    """A folder for a workflow; ``bin`` beside it holds the stand-ins and their state."""
    binaries = path / "bin"
    binaries.mkdir()
    body = FAKE_SLURM.read_text()
    for name in ("sbatch", "squeue", "scancel", "sacct", "scontrol"):
        (binaries / name).write_text(f"#!{sys.executable}\n{body}")
        (binaries / name).chmod(0o755)
    workdir = path / "work"
    workdir.mkdir()
    return workdir


def set_state(folder: Path, name: str, text: str = "") -> None:
    """Put a file where the stand-ins look for it."""
    (folder.parent / "bin" / name).write_text(text)


def command(*arguments: str) -> list[str]:
    """A Snakemake call with the executor under test."""
    template = REPOSITORY / "workflow/templates/slurm.sbatch.j2"
    return [
        *(sys.executable, "-m", "snakemake", "--executor", "templated", "--templated-system", "slurm"),
        *("--templated-template", str(template), "--jobs", "10", "--scheduler", "greedy", "--latency-wait", "3"),
        *("--seconds-between-status-checks", "1", "--rerun-incomplete", *arguments),
    ]


def environment(folder: Path) -> dict[str, str]:
    """A clean environment in which the stand-ins come first."""
    return {
        "PATH": f"{folder.parent / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder.parent),
        "LANG": "C.UTF-8",
    }


def snakemake(folder: Path, snakefile: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a workflow through the executor."""
    (folder / "Snakefile").write_text(snakefile)
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(folder),
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )


def calls(folder: Path, name: str) -> list[str]:
    """Calls of one of the stand-ins."""
    path = folder.parent / "bin/calls"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in lines if line.split()[0] == name and "--version" not in line]


def start(folder: Path, snakefile: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a workflow through the executor, in its own session."""
    (folder / "Snakefile").write_text(snakefile)
    return subprocess.Popen(
        command(*arguments),
        cwd=folder,
        env=environment(folder),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """What ``condition`` returns, once that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


def kill_driver(folder: Path, process: subprocess.Popen[str]) -> None:
    """Kill -9, then what the manual says."""
    process.kill()
    process.communicate(timeout=30)
    unlock(folder)


def unlock(folder: Path) -> None:
    """What the manual says after a pipeline that did not end by itself."""
    done = subprocess.run([sys.executable, "-m", "snpoint", "unlock"], cwd=folder, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


def lose(folder: Path, job: int, state: str, number: signal.Signals) -> None:
    """End a running job with a signal, and let SLURM say that it is in this state."""
    set_state(folder, f"{job}.lost", state)
    os.killpg(int((folder.parent / f"bin/{job}.job").read_text().split()[0]), number)


def end_jobs(folder: Path) -> None:
    """Kill the jobs that still run."""
    for job in (folder.parent / "bin").glob("*.job"):
        pid = int(job.read_text().split()[0])
        if pid and not job.with_suffix(".rc").exists():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


def lines(path: Path) -> int:
    """How many lines a file has that may not be there yet."""
    return len(path.read_text().splitlines()) if path.exists() else 0


def ended(folder: Path) -> list[Path]:
    """Exit codes of the jobs that have ended."""
    return list((folder.parent / "bin").glob("*.rc"))


def journal(folder: Path) -> list[dict[str, Any]]:
    """Lines of the journal that were written to their end."""
    lines = (folder / ".snakemake/templated/jobs.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if not line.endswith("#torn")]
