"""The batch system: does it answer, which GPUs has it, how long does the ticket last?"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from snpoint.health.environment import GPU_REMEDY
from snpoint.health.finding import COMMAND_TIMEOUT_S, Finding, asked, fail, ok, several, warn

SLURM_PATIENCE_S, PING_PATIENCE_S = 5.0, 1.0
SHORT_TICKET = timedelta(hours=2)
Gpu = tuple[str, float, float | None]
"""Model, memory in GB, compute capability."""


def htcondor(gpus_asked: int, capability: float | None, cpu_only: bool) -> Iterator[Finding]:
    """Schedd, and the GPUs of the pool. ``cpu_only``: of the environment of the jobs."""
    try:
        module = bindings()
        schedd = module.Schedd()
        mine = len(schedd.query(f'Owner == "{_user()}"', ["ClusterId"]))
        name = module.Collector().locate(module.DaemonType.Schedd).get("Name", "?")
    except Exception as error:  # noqa: BLE001 -- the bindings raise several unrelated classes
        yield fail(
            "schedd",
            f"HTCondor does not answer: {' '.join(str(error).split())[:200]}",
            "run on a submit node (lxplus), or set CONDOR_CONFIG to its configuration",
        )
        return
    yield ok("schedd", f"{name} answers; {several(mine, 'job')} of yours in the queue")
    try:
        ads = module.Collector().query(module.AdType.Startd, 'TotalGPUs > 0 && SlotType =!= "Dynamic"')
    except Exception as error:  # noqa: BLE001
        yield warn("gpus", f"the collector does not answer: {' '.join(str(error).split())[:200]}", "try again later")
        return
    found: Counter[Gpu] = Counter()
    for ad in ads:
        found.update(_gpus_of(ad))
    yield _gpu_finding(found, gpus_asked, capability, cpu_only)


def slurm(gpus_asked: int, cpu_only: bool) -> Iterator[Finding]:
    """Controller, and the GPUs of the partitions. ``cpu_only``: of the environment of the jobs."""
    if shutil.which("sinfo") is None:
        yield fail("slurmctld", "the command sinfo does not exist here", "run on a login node of the cluster")
        return
    text, problem = _sinfo()
    if text is None:
        yield fail("slurmctld", problem, "is slurmctld running, and is this a login node of its cluster?")
        return
    rows = [line.split("|") for line in text.splitlines() if line.count("|") == 4]
    partitions = ", ".join(dict.fromkeys(row[0] for row in rows))
    yield ok("slurmctld", f"answers; partitions {partitions} (* is the default)")
    found: Counter[Gpu] = Counter()
    for _, resources, _, _, nodes in rows:
        for model, count in re.findall(r"gpu(?::([^:,(]+))?:(\d+)", resources):
            found[model or "no model", 0.0, None] += int(count) * int(nodes)
    yield _gpu_finding(found, gpus_asked, None, cpu_only)


def _sinfo() -> tuple[str | None, str]:
    """Partitions, their GPUs and numbers of nodes; or None and why not."""
    command = ("sinfo", "--noheader", "--format=%P|%G|%m|%c|%D")
    text, problem = asked(*command, timeout_s=SLURM_PATIENCE_S)
    if text is not None or problem:
        return text, problem
    # sinfo tries again for long before it says that nobody is there; a ping tells at once
    ping, down = asked("scontrol", "ping", timeout_s=PING_PATIENCE_S)
    if ping and " UP" in ping:
        text, problem = asked(*command)
    return text, problem or f"sinfo does not come back; {down or 'nor does `scontrol ping` tell why'}"


def ticket(needed: bool) -> Iterator[Finding]:
    """How long the Kerberos ticket lasts. ``needed``: the pool or the folder wants one."""
    if shutil.which("klist") is None:
        if needed:
            yield warn("ticket", "the command klist does not exist here", "the pool wants a Kerberos ticket: kinit")
        else:
            yield ok("ticket", "no Kerberos on this machine, and none needed")
        return
    text = _klist()
    ends = _expiry(text)
    if ends is None:
        make = fail if needed else warn
        yield make("ticket", "no valid Kerberos ticket", "kinit (jobs cannot read AFS or EOS without one)")
        return
    left = ends - datetime.now()
    hours = left.total_seconds() / 3600
    if left <= timedelta(0):
        yield (fail if needed else warn)("ticket", f"expired {-hours:.1f} h ago", "kinit")
    elif left < SHORT_TICKET:
        yield warn("ticket", f"lasts {hours:.1f} h more", "kinit -R, or k5reauth for a run of days")
    else:
        yield ok("ticket", f"lasts {hours:.1f} h more; a longer run needs kinit -R meanwhile")


def wants_credentials() -> bool:
    """Whether this machine's HTCondor keeps Kerberos credentials: the executor then sends one with each job."""
    try:
        return bool(bindings().param.get("SEC_CREDENTIAL_PRODUCER"))
    except ImportError:
        return False


def bindings() -> Any:
    """HTCondor's Python bindings.

    Raises
    ------
    ImportError
        They are not installed.
    """
    with warnings.catch_warnings():
        # without a configuration of HTCondor on this machine the bindings warn on import
        warnings.simplefilter("ignore")
        import htcondor2
    return htcondor2


def _user() -> str:
    return os.environ.get("USER") or str(os.getuid())


def _gpus_of(ad: Mapping[str, Any]) -> Iterator[Gpu]:
    """GPUs of one machine: an ad in the ad for each, or, of older machines, attributes that hold for all."""
    lower = {key.lower(): value for key, value in ad.items()}
    nested = [value for key, value in lower.items() if key.startswith("gpus_gpu_") and hasattr(value, "items")]
    for gpu in nested:
        yield _gpu({key.lower(): value for key, value in gpu.items()})
    if not nested:
        plain = {key.removeprefix("gpus_").removeprefix("cuda"): value for key, value in lower.items()}
        for _ in range(int(lower.get("totalgpus", 1))):
            yield _gpu(plain)


def _gpu(attributes: Mapping[str, Any]) -> Gpu:
    name, memory = attributes.get("devicename"), attributes.get("globalmemorymb")
    capability = attributes.get("capability")
    return (
        str(name or "no model"),
        round(float(memory) / 1024, 0) if isinstance(memory, (int, float)) else 0.0,
        float(capability) if isinstance(capability, (int, float)) else None,
    )


def _gpu_finding(found: Counter[Gpu], asked: int, capability: float | None, cpu_only: bool) -> Finding:
    """What GPUs there are, whether those that active versions ask for are among them, and whether jobs can use them."""
    if not found:
        if asked:
            wish = f"{several(asked, 'active version')} ask{'s' if asked == 1 else ''} for one"
            remedy = "set `gpus: 0` in their job:, or ask the site"
            return fail(
                "gpus",
                f"none in the pool, and {wish}",
                remedy,
            )
        return ok("gpus", "none in the pool, and no active version asks for one")
    shown = "; ".join(f"{count} x {_gpu_text(gpu)}" for gpu, count in found.most_common())
    low = [gpu for gpu in found if capability is not None and gpu[2] is not None and gpu[2] < capability]
    if len(low) == len(found):
        return fail("gpus", f"{shown}: all below the floor of {capability:g}", "lower gpu_capability in the site file")
    left_out = f"; {sum(found[gpu] for gpu in low)} below the floor of {capability:g}" if low else ""
    if cpu_only:
        text = f"{shown}{left_out}: none of use, the environment of the jobs has no GPU support (tensorflow-cpu)"
        return warn("gpus", text, GPU_REMEDY)
    return ok("gpus", f"{shown}{left_out}")


def _gpu_text(gpu: Gpu) -> str:
    name, memory, capability = gpu
    return name + (f" {memory:.0f} GB" if memory else "") + (f" capability {capability:g}" if capability else "")


def _klist() -> str:
    try:
        result = subprocess.run(
            ["klist"],
            env=os.environ | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout if result.returncode == 0 else ""


def _expiry(text: str) -> datetime | None:
    """When the ticket-granting ticket ends, from MIT's klist."""
    match = re.search(r"(\d+/\d+/\d+ [\d:]+)\s+(\d+/\d+/\d+ [\d:]+)\s+krbtgt/", text)
    for pattern in ("%m/%d/%y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%m/%d/%y %H:%M"):
        try:
            return datetime.strptime(match[2], pattern) if match else None
        except ValueError:
            continue
    return None


def on_afs_or_eos(folder: Path) -> bool:
    """Whether files of a folder can only be read with a ticket."""
    return folder.resolve().is_relative_to("/afs") or folder.resolve().is_relative_to("/eos")
