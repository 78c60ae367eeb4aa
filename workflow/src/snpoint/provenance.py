"""The record beside every result: what made it, from what, with which settings, when and where.

``snpoint status`` and ``snpoint check`` rely on these records alone, so they are right also when Snakemake's own
memory (``.snakemake/``) is lost.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import platform
import resource
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from snpoint import __version__
from snpoint.atomic import write_json
from snpoint.errors import DataError, InputMissingError, SnpointError
from snpoint.section import Section

FORMAT_VERSION = 1
PACKAGES = (
    "snakemake",
    "tensorflow-cpu",
    "tensorflow",
    "jax",
    "torch",
    "keras",
    "numpy",
    "pandas",
    "scipy",
    "numba",
    "uproot",
)
OUT_OF_MEMORY = 137
"""As if the kernel had killed the process for its memory: batch jobs are repeated with more of it."""
MACHINE_VARIABLE = "SNPOINT_MACHINE"
"""What the supervisor of a batch job found out about its machine, as JSON."""
JOB_VARIABLES = ("SNPOINT_JOB_ID", "SLURM_JOB_ID", "_CONDOR_JOB_ID")


def fingerprint(path: str | Path) -> dict[str, Any]:
    """Size and SHA-256 of a file.

    Raises
    ------
    InputMissingError
        The file cannot be opened.
    """
    try:
        with Path(path).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return {"bytes": Path(path).stat().st_size, "sha256": digest}
    except OSError as error:
        raise InputMissingError(f"{path}: cannot be read ({error.strerror})") from error


@contextmanager
def recorded(
    record: Path, stage: str, settings: Section, inputs: Iterable[Path], outputs: Iterable[Path]
) -> Iterator[None]:
    """Write ``record`` as ``running`` before the stage and as ``ok`` or ``failed`` after it.

    Raises
    ------
    DataError
        The stage returned without having written one of its outputs.
    """
    content = _header(stage, settings, inputs)
    _write(record, content)
    clock, cpu = time.monotonic(), _cpu_seconds()
    try:
        yield
        missing = [str(path) for path in outputs if not path.exists()]
        if missing:
            raise DataError(f"{stage}: ended without writing {', '.join(missing)}")
        content |= {"state": "ok", "outputs": {str(path): fingerprint(path) for path in outputs}}
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        code = exit_code(error)
        text = "interrupted" if interrupted else f"{type(error).__name__}: {error}"[:2000]
        content |= {"state": "failed", "error": text, "exit_code": code}
        raise
    finally:
        seconds = round(time.monotonic() - clock, 3)
        usage = {"seconds": seconds, "cpu_seconds": round(_cpu_seconds() - cpu, 3), "peak_memory_mb": _peak_memory_mb()}
        content |= {"stopped": _now(), "seconds": seconds, "usage": usage}
        _write(record, content)


def exit_code(error: BaseException) -> int:
    """The number with which a command ends on this error (docs/errors.md)."""
    if isinstance(error, SnpointError):
        return error.exit_code
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    return 130 if isinstance(error, KeyboardInterrupt) else 70


def read(record: Path) -> dict[str, Any] | None:
    """A provenance record, or None where there is none.

    Raises
    ------
    DataError
        The record is not readable JSON.
    """
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{record}: not a provenance record ({error}); remove it and run its stage again") from error
    if not isinstance(content, dict):
        raise DataError(f"{record}: not a provenance record; remove it and run its stage again")
    return content


def is_running(record: dict[str, Any]) -> bool:
    """Whether the process behind a ``running`` record may still be at work.

    On this host its number must be in use, by a process that has not ended and is not younger than the record; of other
    hosts nothing can be known.
    """
    if record["host"] != socket.gethostname():
        return True
    try:
        os.kill(record["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        state, *fields = Path(f"/proc/{record['pid']}/stat").read_text().rpartition(")")[2].split()
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    except (OSError, ValueError, StopIteration):
        return True
    born = int(boot.split()[1]) + int(fields[18]) / os.sysconf("SC_CLK_TCK")
    return state not in ("Z", "X") and born <= datetime.fromisoformat(record["started"]).timestamp() + 60


def command() -> str:
    """The command line of this process, ready to be pasted into a shell."""
    return shlex.join(["snpoint", *sys.argv[1:]])


def _header(stage: str, settings: Section, inputs: Iterable[Path]) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "stage": stage,
        "state": "running",
        "settings": settings.model_dump(mode="json"),
        "inputs": {str(path): fingerprint(path) for path in inputs},
        "command": command(),
        "code": {"snpoint": __version__, **_git()},
        "packages": _packages(),
        "python": platform.python_version(),
        "host": socket.gethostname(),
        "machine": _machine(),
        "user": _user(),
        "pid": os.getpid(),
        "job_id": next((os.environ[name] for name in JOB_VARIABLES if name in os.environ), None),
        "started": _now(),
    }


def _write(record: Path, content: dict[str, Any]) -> None:
    write_json(record, content)


def _machine() -> dict[str, Any]:
    """Cores, memory limit and GPUs: those of the batch job where there is one, else of this computer."""
    try:
        job = json.loads(os.environ.get(MACHINE_VARIABLE, "{}"))
    except ValueError:
        job = {}
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1_000_000
    return {
        "host": socket.gethostname(),
        "cpus": job.get("cpus") or len(os.sched_getaffinity(0)),
        "memory_limit_mb": job.get("memory_mb") or pages,
        "gpus": job["gpus"] if "gpus" in job else _gpus(),
    }


def _gpus() -> list[str]:
    """Models of the GPUs, as the driver lists them; nothing of CUDA is touched for that."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1", "10000"):  # the last is HTCondor's
        return []
    lines = [
        line
        for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
        for line in file.read_text(errors="replace").splitlines()
    ]
    return [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]


def _cpu_seconds() -> float:
    """CPU time of this process and of the ones it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _peak_memory_mb() -> int:
    """The most that this process, or one it started, has held at a time."""
    own = 0
    # not getrusage's number for this process, which counts what held its place before exec
    with suppress(OSError):
        status = Path("/proc/self/status").read_text().splitlines()
        own = next((int(line.split()[1]) for line in status if line.startswith("VmHWM:")), 0)
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return round(max(own, children) * 1024 / 1e6)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


@cache
def _packages() -> dict[str, str]:
    installed = {}
    for name in PACKAGES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


@cache
def _git() -> dict[str, Any]:
    """Commit of the package's checkout, and whether tracked files of the package differ from it."""
    folder = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=20)
        if commit.returncode:
            return {"git_commit": None}
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no", "."],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {"git_commit": None}
    return {"git_commit": commit.stdout.strip(), "git_dirty": bool(dirty.stdout.strip())}
