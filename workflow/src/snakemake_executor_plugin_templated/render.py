"""The text that is handed to a batch system: a Jinja template filled with checked fields of one job.

Nothing in here needs Snakemake or a batch system, so that ``snpoint render`` shows exactly what would be submitted.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

from snpoint.errors import ConfigError

from .fields import FLAVOURS, JobFields, check_ceiling, fields_from, memory_warning

__all__ = ["FLAVOURS", "SUFFIXES", "JobFields", "check_ceiling", "fields_from", "memory_warning", "render"]

SUFFIXES = {"htcondor": ".sub", "slurm": ".sbatch"}


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
