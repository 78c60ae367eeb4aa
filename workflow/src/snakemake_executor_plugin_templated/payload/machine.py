"""What a job finds on its machine: cores, memory, GPUs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

NVIDIA_SMI_S = 20
UNLIMITED = 1 << 60


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
    # "none" and the like, and HTCondor's 10000, are how batch systems say that there is none
    if visible is not None and visible.strip().lower() in ("", "-1", "10000", "none", "void", "nodevfiles"):
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
