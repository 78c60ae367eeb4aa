"""What a job finds on its machine, and what its processes use. Standard library only, Python 3.9."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

NVIDIA_SMI_S = 20
UNLIMITED = 1 << 60
SHELL = b"bash\0-euo\0pipefail\0"
"""How the command line of the shell begins that runs a rule's command."""

Stats = dict[int, tuple[int, float, int]]


def facts() -> dict[str, Any]:
    """Node, host, job number, cores, memory limit and GPUs of this job."""
    machine = _classad(os.environ.get("_CONDOR_MACHINE_AD"))
    job = _classad(os.environ.get("_CONDOR_JOB_AD"))
    condor_id = f"{job['ClusterId']}.{job.get('ProcId', '0')}" if "ClusterId" in job else ""
    host = socket.gethostname()
    return {
        "node": machine.get("Machine") or os.environ.get("SLURMD_NODENAME") or host,
        "host": host,
        "job_id": condor_id or os.environ.get("SLURM_JOB_ID") or os.environ.get("_CONDOR_JOB_ID") or "",
        "cpus": _number(machine.get("Cpus")) or _number(os.environ.get("SLURM_CPUS_PER_TASK")) or _cores(),
        "memory_mb": _memory_limit(machine),
        "gpus": gpus(),
    }


def gpus() -> list[str]:
    """The GPUs this job may use: by name where the driver tells, else as CUDA_VISIBLE_DEVICES has them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    # "none" and the like are how batch systems say that there is none
    if visible is not None and visible.strip().lower() in ("", "-1", "none", "void", "nodevfiles"):
        return []
    wanted = [part.strip() for part in visible.split(",")] if visible else None
    listed = _nvidia_smi()
    if wanted is None:
        return listed
    # indices count within what the job's container or cgroup shows, UUIDs may be shortened
    found = [
        line
        for line in listed
        if any(line.startswith(f"GPU {one}:") or (not one.isdigit() and f"UUID: {one}" in line) for one in wanted)
    ]
    return found or wanted


def _nvidia_smi() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        answer = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=NVIDIA_SMI_S)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = [line.strip() for line in answer.stdout.splitlines()]
    return [line for line in lines if line.startswith(("GPU ", "MIG "))]


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _classad(path: str | None) -> dict[str, str]:
    """Attributes of a ClassAd file, strings without their quotes; empty if there is none."""
    try:
        lines = Path(path or "").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(" = ") for line in lines)
    return {key.strip(): value.strip().strip('"') for key, _, value in pairs}


def _memory_limit(machine: dict[str, str]) -> int | None:
    """The tightest limit that applies, in MB."""
    per_core = _number(os.environ.get("SLURM_MEM_PER_CPU"))
    known = [
        _number(machine.get("Memory")),
        # 0 is SLURM's word for the whole node
        _number(os.environ.get("SLURM_MEM_PER_NODE")) or None,
        per_core and per_core * (_number(os.environ.get("SLURM_CPUS_ON_NODE")) or 1),
        _cgroup_limit(),
    ]
    return min((limit for limit in known if limit), default=None)


def _cgroup_limit() -> int | None:
    limits = []
    for line in _read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = Path("/sys/fs/cgroup"), "memory.max"
        elif "memory" in controllers.split(","):
            root, name = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
        else:
            continue
        folder = root / path.lstrip("/")
        # a limit of any folder above holds too
        for place in (folder, *folder.parents):
            limits.append(_number(_read(place / name).strip()))
            if place == root:
                break
    tightest = min((limit for limit in limits if limit is not None), default=UNLIMITED)
    return tightest // 1_000_000 if tightest < UNLIMITED else None


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class Family:
    """All processes below this one, except some: their CPU time and memory, and who among them gets a signal."""

    def __init__(self) -> None:
        self.excluded: set[int] = set()
        self.cpu_seconds = 0.0
        self.peak_memory_mb = 0
        self._before = _reaped()

    def measure(self) -> None:
        """Take CPU time and memory of this moment into account."""
        stats = _all_processes()
        members = self._members(stats)
        cpu = _reaped() - self._before + sum(stats[pid][1] for pid in members)
        # a process whose parent does not wait for it takes its time along
        self.cpu_seconds = max(self.cpu_seconds, cpu)
        alone = len(members) == 1
        now = sum(stats[pid][2] if alone else _shared_fairly(pid, stats[pid][2]) for pid in members)
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        self.peak_memory_mb = max(self.peak_memory_mb, round(max(now, largest) / 1e6))

    def kill(self, number: int) -> None:
        """Send a signal to every process."""
        for pid in self._members(_all_processes()):
            _kill(pid, number)

    def notify(self, pid: int, number: int) -> None:
        """Send a signal to a command: where it is a shell around the real one, to that (a shell would die of it)."""
        for receiver in _receivers(pid, _all_processes()):
            _kill(receiver, number)

    def _members(self, stats: Stats) -> list[int]:
        return [pid for pid in _descendants(os.getpid(), stats, self.excluded) if pid in stats]


def _reaped() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _all_processes() -> Stats:
    """Parent, CPU seconds (with those of its ended children) and resident bytes of every process, by number."""
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    stats: Stats = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            # the name in parentheses may hold anything
            fields = _read(folder / "stat").rpartition(")")[2].split()
            if len(fields) > 21:
                stats[int(folder.name)] = (int(fields[1]), sum(map(int, fields[11:15])) / tick, int(fields[21]) * page)
    return stats


def _children(stats: Stats) -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for pid, (parent, *_) in stats.items():
        children.setdefault(parent, []).append(pid)
    return children


def _descendants(root: int, stats: Stats, excluded: set[int]) -> list[int]:
    children = _children(stats)
    found: list[int] = []
    todo = [root]
    while todo:
        below = [pid for pid in children.get(todo.pop(), []) if pid not in excluded]
        found += below
        todo += below
    return found


def _receivers(pid: int, stats: Stats) -> list[int]:
    children = _children(stats)
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        below = children.get(one, [])
        if below and _read(f"/proc/{one}/cmdline").encode().startswith(SHELL):
            todo += below
        else:
            found.append(one)
    return found


def _shared_fairly(pid: int, resident: int) -> int:
    """Memory of one process in bytes, what it shares with others counted in part."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return resident


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
