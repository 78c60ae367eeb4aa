"""Where jobs run, and for whom: the site file in ``configs/sites`` and the user's own settings.

Neither is part of a version: a result does not depend on the site that made it, and who is charged is nobody else's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, PrivateAttr
from pydantic_core import PydanticCustomError

from snpoint import yamlfile
from snpoint.errors import InputMissingError
from snpoint.settings import Count, NonNegative, Positive, Section
from snpoint.validation import nearest, validated

SITE_JOB_KEYS = ("partition", "qos", "account", "flavour", "requirements", "container_image")
USER_JOB_KEYS = ("accounting_group", *SITE_JOB_KEYS)
CHARGED = (
    "accounting_group says who is charged, so it belongs to a person: put it under job: in ~/.config/snpoint/user.yaml"
    " or call with --default-resources accounting_group=NAME"
)


def _keys(job: dict[str, str], known: tuple[str, ...]) -> dict[str, str]:
    for key in job:
        if key == "accounting_group" and key not in known:
            raise PydanticCustomError("key", CHARGED)
        if key not in known:
            raise PydanticCustomError("key", "unknown key '{key}'; {hint}", {"key": key, "hint": nearest(key, known)})
    return job


def _site_keys(job: dict[str, str]) -> dict[str, str]:
    return _keys(job, SITE_JOB_KEYS)


def _user_keys(job: dict[str, str]) -> dict[str, str]:
    return _keys(job, USER_JOB_KEYS)


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
    overrun_s: NonNegative = 300.0
    gpu_capability: NonNegative | None = None
    environment: Environment = Environment()
    payload: Payload = Payload()
    refuse_folders: dict[str, str] = Field(default={}, description="folder -> why no job can use it")
    attributes: list[str] = Field(default=[], description="further +Attributes that the pool's rules know")
    job: Annotated[dict[str, str], AfterValidator(_site_keys)] = Field(default={})
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

    job: Annotated[dict[str, str], AfterValidator(_user_keys)] = Field(default={})

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
        content = yamlfile.read(path)
    except InputMissingError:
        return UserSettings()
    return validated(UserSettings, content, str(path))
