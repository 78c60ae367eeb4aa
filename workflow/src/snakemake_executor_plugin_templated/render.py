"""The text that is handed to a batch system: a Jinja template filled with checked fields of one job.

Nothing in here needs Snakemake or a batch system, so that ``snpoint render`` shows exactly what would be submitted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from snpoint.errors import ConfigError, shown

FLAVOURS = ("espresso", "microcentury", "longlunch", "workday", "tomorrow", "testmatch", "nextweek")
SUFFIXES = {"htcondor": ".sub", "slurm": ".sbatch"}

# Snakemake's resource name -> field of JobFields; the names on the left are Snakemake's standard ones
NUMBERS = {"mem_mb": "mem_mb", "disk_mb": "disk_mb", "runtime": "runtime_min", "gpu": "gpus"}
WORDS = ("gpu_model", "accounting_group", "partition", "qos", "account", "flavour")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@+/-]*")
_PATH = re.compile(r"[^\s\"'\\$`;%#]+")


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
        Model of the GPUs as the site names it, or empty; without meaning when ``gpus`` is 0.
    accounting_group, flavour : str
        HTCondor only: who is charged, and CERN's named run time (used instead of ``runtime_min`` when set).
    partition, qos, account : str
        SLURM only.
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
    accounting_group: str = ""
    partition: str = ""
    qos: str = ""
    account: str = ""
    flavour: str = ""
    send_credential: bool = False

    def __post_init__(self) -> None:
        _matches("name", self.name, _NAME, "letters, digits and _ . -")
        for key in ("wrapper", "log", "stdout"):
            _matches(key, getattr(self, key), _PATH, "a path without spaces, quotes and $ ` ; % #")
        for key in ("threads", *NUMBERS.values()):
            _count(key, getattr(self, key), lowest=1 if key == "threads" else 0)
        for key in WORDS:
            if getattr(self, key) != "":
                _matches(key, getattr(self, key), _WORD, "letters, digits and _ . : @ + / -")
        if self.flavour and self.flavour not in FLAVOURS:
            raise ConfigError(f"job flavour {shown(self.flavour)} is unknown: use one of {', '.join(FLAVOURS)}")


def _matches(key: str, value: object, pattern: re.Pattern[str], allowed: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ConfigError(f"job {key} {shown(value)} cannot be written into a submit file: use {allowed}")


def _count(key: str, value: object, lowest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ConfigError(f"job {key} {shown(value)} is not a whole number >= {lowest}")


def fields_from(
    resources: Mapping[str, object],
    threads: int,
    *,
    name: str,
    wrapper: str,
    log: str,
    stdout: str,
    send_credential: bool = False,
) -> JobFields:
    """Fields of a job from its Snakemake resources.

    Parameters
    ----------
    resources : Mapping
        Uses ``mem_mb``, ``disk_mb``, ``runtime`` (minutes), ``gpu``, ``gpu_model`` and the site keys
        ``accounting_group``, ``partition``, ``qos``, ``account``, ``flavour``. Absent, 0 or empty means not asked
        for; others are ignored.
    threads : int
        CPU cores.
    name, wrapper, log, stdout, send_credential
        As in `JobFields`.

    Returns
    -------
    JobFields

    Raises
    ------
    snpoint.errors.ConfigError
        As `JobFields` does.
    """
    given = {key: resources.get(key) for key in (*NUMBERS, *WORDS)}
    requests: dict[str, object] = {NUMBERS[key]: given[key] for key in NUMBERS if given[key] is not None}
    requests |= {key: given[key] for key in WORDS if given[key]}
    return JobFields(
        name=name,
        wrapper=wrapper,
        log=log,
        stdout=stdout,
        threads=threads,
        send_credential=send_credential,
        **requests,  # type: ignore[arg-type]  # checked by JobFields
    )


def render(template_path: str | Path, job: JobFields) -> str:
    """Fill a template with the fields of a job.

    Parameters
    ----------
    template_path : str or Path
        Jinja template; it sees the fields of `JobFields` by name and nothing else.
    job : JobFields
        The job.

    Returns
    -------
    str
        The submit file's text.

    Raises
    ------
    snpoint.errors.ConfigError
        If the template is missing, has a syntax error, uses an unknown variable or reaches for Python internals.
    """
    # imported here: Snakemake imports this plugin at every start, and only a submission needs Jinja
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    path = Path(template_path)
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"submit template {path} cannot be read: {error}") from error
    # a submit file is not HTML: nothing to escape, and JobFields has refused what could break out of a line
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False
    )
    try:
        return environment.from_string(source).render(asdict(job))
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        known = ", ".join(field.name for field in fields(JobFields))
        raise ConfigError(f"submit template {path}: {error}; known variables: {known}") from error
