"""Where jobs run, and for whom: the site file in ``configs/sites`` and the user's own settings.

Neither is part of a version: a result does not depend on the site that made it, and who is charged is nobody else's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, PrivateAttr
from pydantic_core import PydanticCustomError

from snpoint import yamlfile
from snpoint.errors import InputMissingError
from snpoint.section import Count, NonNegative, Positive, Section
from snpoint.validation import nearest, validated

SITE_JOB_KEYS = ("partition", "qos", "account", "flavour", "requirements", "container_image")
USER_JOB_KEYS = ("accounting_group", *SITE_JOB_KEYS)
CHARGED = (
    "it says who is charged, so it belongs to a person: put it under job: in ~/.config/snpoint/user.yaml, or call with"
    " `--default-resources accounting_group=NAME --` (the dashes end the option, which takes targets for values)"
)


def _keys(job: Any, known: tuple[str, ...], whose: str) -> Any:
    """Nothing is an empty section; keys are looked at before values, which tell less."""
    if not isinstance(job, dict):
        return {} if job is None else job
    wrong = [str(key) for key in job if key not in known]
    if "accounting_group" in wrong:
        raise PydanticCustomError("key", CHARGED, {"key": "accounting_group"})
    if wrong:
        hint, others = nearest(wrong[0], known), "".join(f"; nor is '{key}'" for key in wrong[1:])
        work = "" if hint.endswith("?") else "; what a piece of work needs stands in `job:` of its own file"
        text = f"not a key of {whose}'s job; {hint}{work}{others}"
        raise PydanticCustomError("key", "{text}", {"key": wrong[0], "text": text})
    return job


def _site_keys(job: Any) -> Any:
    return _keys(job, SITE_JOB_KEYS, "a site")


def _user_keys(job: Any) -> Any:
    return _keys(job, USER_JOB_KEYS, "user.yaml")


class Ceiling(Section):
    """The most that one job can get; null where there is no ceiling, or none that is known."""

    cpus: Count | None = None
    memory_gb: Positive | None = None
    runtime_h: Positive | None = None
    gpus: Annotated[int, Field(ge=0)] | None = None


class Environment(Section):
    """What a job finds when it starts. It gets nothing else of the submitter's environment."""

    # `pass` is a word of Python, so the field has another name; a misspelt key is answered with that name
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    bin: str | None = Field(default=None, description="folder put first in PATH; null: the driver's own environment")
    setup: list[str] = Field(default=[], description="shell lines run before the command")
    passed: list[str] = Field(
        default=["KERAS_BACKEND", "SNPOINT_DATA"], alias="pass", description="variables taken over from the driver"
    )
    set: dict[str, str] = Field(default={}, description="further variables")


class Payload(Section):
    """How the command of a job is looked after."""

    stdout_mb: Positive = 50.0
    heartbeat_s: Positive = 60.0
    no_progress_min: NonNegative = 60.0
    warn_s: NonNegative = 120.0


class Site(Section):
    """One batch system at one place."""

    why: str = "no site file: no ceilings, and whatever the batch system gives by default"
    ceiling: Ceiling = Ceiling()
    memory_per_core_gb: Positive | None = None
    unmatched_after_min: Positive = 30.0
    query_every_s: NonNegative = 0.0
    overrun_s: NonNegative = 300.0
    gpu_capability: NonNegative | None = None
    environment: Environment = Environment()
    payload: Payload = Payload()
    refuse_folders: dict[str, str] = Field(default={}, description="folder -> why no job can use it")
    attributes: list[str] = Field(default=[], description="further +Attributes that the pool's rules know")
    job: Annotated[dict[str, str], BeforeValidator(_site_keys)] = Field(default={})
    _path: str = PrivateAttr("")

    @property
    def path(self) -> str:
        """The file it was read from, for messages."""
        return self._path or "(no site file)"

    def refusal(self, path: str | Path) -> str | None:
        """Why jobs cannot have this file or folder in their submit file, or None."""
        named = Path(path).absolute()
        for folder, explanation in self.refuse_folders.items():
            for candidate in (named, named.resolve()):
                if candidate.is_relative_to(folder):
                    return f"{path} lies in {folder}: {explanation} ({self.path}: refuse_folders)"
        return None


class UserSettings(Section):
    """What belongs to a person: ``user.yaml``."""

    job: Annotated[dict[str, str], BeforeValidator(_user_keys)] = Field(default={})

    def defaults(self, site: Site) -> Mapping[str, Any]:
        """What holds for a job that says nothing else: the user's word first, then the site's."""
        of_site: dict[str, Any] = {"warn_s": round(site.payload.warn_s), "overrun_s": round(site.overrun_s)}
        if site.gpu_capability is not None:
            of_site["gpu_capability"] = site.gpu_capability
        return of_site | site.job | self.job


def load_site(path: str | Path | None) -> Site:
    """Read a site file; without one there are no ceilings.

    Raises
    ------
    ConfigError
        The file is missing, or a key of it is unknown or has a value that does not fit.
    """
    if path is None:
        return Site()
    site = validated(Site, yamlfile.read(Path(path)), str(path))
    site._path = str(path)
    return site


def user_file() -> Path:
    """``$XDG_CONFIG_HOME/snpoint/user.yaml``, by default below ``~/.config``."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "snpoint/user.yaml"


def load_user() -> UserSettings:
    """Read the user's settings; most users have none.

    Raises
    ------
    ConfigError
        A key is unknown or has a value that does not fit.
    """
    path = user_file()
    try:
        content = yamlfile.read(path, empty=True)
    except InputMissingError:
        return UserSettings()
    return validated(UserSettings, content, str(path))
