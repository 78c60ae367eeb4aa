"""What one job asks of the batch system: checked fields, gathered from resources, user and site.

Nothing in here needs Snakemake or a batch system.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snpoint.errors import ConfigError, shown
from snpoint.site import Site

# CERN's named run times, in minutes
FLAVOURS = {
    "espresso": 20,
    "microcentury": 60,
    "longlunch": 120,
    "workday": 480,
    "tomorrow": 1440,
    "testmatch": 4320,
    "nextweek": 10080,
}

# Snakemake's resource name -> field of JobFields; the names on the left are Snakemake's standard ones
NUMBERS = {"mem_mb": "mem_mb", "disk_mb": "disk_mb", "runtime": "runtime_min", "gpu": "gpus"}
WORDS = ("gpu_model", "accounting_group", "partition", "qos", "account", "flavour")
# what else a `job:` section may hold; it arrives in the one string resource `job`
FURTHER = ("container_image", "requirements", "gpu_capability", "gpu_memory_gb", "max_segments")
OF_SITE = ("warn_s", "overrun_s")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@+/-]*")
_PATH = re.compile(r"[^\s\"'\\$`;%#]+")
_IMAGE = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_.:@+/=-]*")
# an expression of the batch system: operators and strings, but no macro, comment, escape or second line
_EXPRESSION = re.compile(r"[A-Za-z0-9_ .=!<>&|()\"',+*/?:\[\]%~^-]+")


@dataclass(frozen=True)
class JobFields:
    """Everything a template may use, checked on construction.

    Parameters
    ----------
    name : str
        Name of the job as the queue shows it.
    wrapper, log, stdout : str
        Paths: the executable, the event log (HTCondor), and the file that takes stdout and stderr.
    threads, mem_mb, disk_mb, runtime_min, gpus : int
        Requests. 0 means "not asked for": the template leaves the line out and the site's default holds.
    gpu_model : str
        Model of the GPUs as the site names it, or empty; without meaning when ``gpus`` is 0, as the next two.
    gpu_capability : float
        HTCondor only: lowest CUDA compute capability, or 0.
    gpu_memory_mb : int
        HTCondor only: lowest memory of a GPU, or 0.
    accounting_group, flavour : str
        HTCondor only: who is charged, and CERN's named run time (then ``runtime_min`` is that of the flavour).
    partition, qos, account : str
        SLURM only.
    requirements : str
        Further demand on the machine: a ClassAd expression for HTCondor, features (``--constraint``) for SLURM.
    container_image : str
        Image that the job runs in, or empty.
    excluded_nodes : tuple of str
        Machines, as the batch system names them, that the job must not run on.
    max_segments : int
        How often a job that saved its state may go on; 0 where the configuration does not say.
    warn_s : int
        SLURM: so long before the end of the run time at the latest the job is told to save its state.
    overrun_s : int
        HTCondor: a job that runs so much longer than its run time is held.
    send_credential : bool
        HTCondor only: pass the user's Kerberos credential on. A pool without a credential store never starts such a
        job.

    Raises
    ------
    snpoint.errors.ConfigError
        If a value has the wrong type, is negative, or has characters that a submit file would read as syntax.
    """

    name: str
    wrapper: str
    log: str
    stdout: str
    threads: int = 1
    mem_mb: int = 0
    disk_mb: int = 0
    runtime_min: int = 0
    gpus: int = 0
    gpu_model: str = ""
    gpu_capability: float = 0.0
    gpu_memory_mb: int = 0
    accounting_group: str = ""
    partition: str = ""
    qos: str = ""
    account: str = ""
    flavour: str = ""
    requirements: str = ""
    container_image: str = ""
    excluded_nodes: tuple[str, ...] = ()
    max_segments: int = 0
    warn_s: int = 0
    overrun_s: int = 300
    send_credential: bool = False

    def __post_init__(self) -> None:
        _matches("name", self.name, _NAME, "letters, digits and _ . -")
        for key in ("wrapper", "log", "stdout"):
            _matches(key, getattr(self, key), _PATH, "a path without spaces, quotes and $ ` ; % #")
        for key in ("threads", *NUMBERS.values(), "gpu_memory_mb", "max_segments", *OF_SITE):
            _count(key, getattr(self, key), lowest=1 if key == "threads" else 0)
        _not_negative("gpu_capability", self.gpu_capability)
        for key in WORDS:
            _matches(key, getattr(self, key), _WORD, "letters, digits and _ . : @ + / -", empty=True)
        _matches("container_image", self.container_image, _IMAGE, "a path or an address without spaces", empty=True)
        _matches("requirements", self.requirements, _EXPRESSION, "one line without $ # ; ` and backslash", empty=True)
        for node in self.excluded_nodes:
            _matches("excluded_nodes", node, _NAME, "letters, digits and _ . -")
        if self.flavour and self.flavour not in FLAVOURS:
            raise ConfigError(f"job flavour {shown(self.flavour)} is unknown: use one of {', '.join(FLAVOURS)}")


def _matches(key: str, value: object, pattern: re.Pattern[str], allowed: str, empty: bool = False) -> None:
    if empty and value == "":
        return
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ConfigError(f"job {key} {shown(value)} cannot be written into a submit file: use {allowed}")


def _count(key: str, value: object, lowest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ConfigError(f"job {key} {shown(value)} is not a whole number >= {lowest}")


def _not_negative(key: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ConfigError(f"job {key} {shown(value)} is not a number >= 0")


def fields_from(
    resources: Mapping[str, object],
    threads: int,
    *,
    name: str,
    wrapper: str,
    log: str,
    stdout: str,
    send_credential: bool = False,
    defaults: Mapping[str, object] | None = None,
    excluded_nodes: Sequence[str] = (),
    mem_mb: int | None = None,
) -> JobFields:
    """Fields of a job from its Snakemake resources, and from user and site where those say nothing.

    Parameters
    ----------
    resources : Mapping
        Uses ``mem_mb``, ``disk_mb``, ``runtime`` (minutes), ``gpu``, ``gpu_model``, the keys of WORDS and FURTHER, and
        ``job``: further keys of a configuration's ``job:`` as JSON, which win over resources of the same name (those
        come from ``--default-resources``). Absent, 0 or empty means not asked for; others are ignored.
    threads : int
        CPU cores.
    name, wrapper, log, stdout, send_credential, excluded_nodes
        As in `JobFields`.
    defaults : Mapping, optional
        `UserSettings.defaults`: what holds where the resources say nothing.
    mem_mb : int, optional
        Memory to ask for instead of the resources' (after an out-of-memory end).

    Returns
    -------
    JobFields

    Raises
    ------
    snpoint.errors.ConfigError
        As `JobFields` does.
    """
    given = _given(resources, defaults or {})
    if mem_mb is not None:
        given["mem_mb"] = mem_mb
    fields: dict[str, Any] = {NUMBERS[key]: given[key] for key in NUMBERS if key in given}
    fields |= {key: given[key] for key in (*WORDS, *FURTHER, *OF_SITE) if key in given and key != "gpu_memory_gb"}
    if "gpu_memory_gb" in given:
        _not_negative("gpu_memory_gb", given["gpu_memory_gb"])
        fields["gpu_memory_mb"] = round(float(str(given["gpu_memory_gb"])) * 1000)
    if fields.get("flavour") in FLAVOURS:
        fields["runtime_min"] = FLAVOURS[fields["flavour"]]
    return JobFields(
        name=name,
        wrapper=wrapper,
        log=log,
        stdout=stdout,
        threads=threads,
        send_credential=send_credential,
        excluded_nodes=tuple(excluded_nodes),
        **fields,
    )


def _given(resources: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, object]:
    """What is asked for, by Snakemake's names: the keys of ``job`` before other resources, those before defaults."""
    given = dict(defaults)
    if any(resources.get(key) for key in ("gpu_model", "gpu_capability")):
        # a job that chose its GPU is not held to the site's floor
        given.pop("gpu_capability", None)
    given |= {key: value for key in (*NUMBERS, *WORDS, *FURTHER) if (value := resources.get(key)) not in (None, "")}
    return given | _job_keys(resources.get("job"))


def _job_keys(text: object) -> dict[str, object]:
    """The keys of the resource ``job``."""
    if not text:
        return {}
    try:
        keys = json.loads(str(text))
    except ValueError as error:
        raise ConfigError(f"job resource 'job' {shown(text)} is not JSON: the rules make it (job_resources)") from error
    if not isinstance(keys, dict):
        raise ConfigError(f"job resource 'job' {shown(text)} is not a JSON object: the rules make it (job_resources)")
    return keys


def check_ceiling(job: JobFields, site: Site) -> None:
    """Refuse what the site can never give, before it waits in a queue for ever.

    Raises
    ------
    snpoint.errors.ConfigError
        A request is above the site's ceiling, or a path lies where no job can have it.
    """
    asked = {
        "cpus": job.threads,
        "memory_gb": job.mem_mb / 1000,
        "runtime_h": job.runtime_min / 60,
        "gpus": job.gpus,
    }
    for key, value in asked.items():
        most = getattr(site.ceiling, key)
        if most is not None and value > most:
            raise ConfigError(
                f"job {job.name}: {key} = {value:g} is above the site's ceiling of {most:g} "
                f"({site.path}: ceiling.{key}); ask for less in `job:` of its configuration file"
            )
    for path in (job.wrapper, job.container_image):
        if path.startswith("/") and (refusal := site.refusal(path)):
            raise ConfigError(f"job {job.name}: {refusal}")


def memory_warning(job: JobFields, site: Site) -> str | None:
    """What a job pays for where memory comes with cores, or None if its cores bring enough."""
    per_core = site.memory_per_core_gb
    if per_core is None or job.mem_mb <= per_core * 1000 * job.threads:
        return None
    cores, threads = -(-job.mem_mb // round(per_core * 1000)), f"{job.threads} core{'' if job.threads == 1 else 's'}"
    return (
        f"{job.mem_mb / 1000:g} GB with {threads} is charged as {cores} cores: each comes with {per_core:g} GB "
        f"({site.path}: memory_per_core_gb); `cpus: {cores}` in its `job:` costs nothing more"
    )
