"""What Snakemake remembers about results: its records under ``.snakemake/metadata``.

Done here without importing Snakemake, which would take a second. Snakemake is pinned exactly, and a test compares
both directions with Snakemake itself.
"""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64encode
from functools import cache
from pathlib import Path
from typing import Any

METADATA = Path(".snakemake/metadata")
INCOMPLETE = Path(".snakemake/incomplete")
FORMAT_VERSION = 6
LARGEST_CHECKSUM_BYTES = 1_000_000
"""Snakemake compares the content of inputs up to this size before it calls them updated."""


def read(output: str) -> dict[str, Any] | None:
    """Snakemake's record of an output, or None where it has none (or half of one)."""
    try:
        content = json.loads(_file(METADATA, output).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write(output: str, **fields: Any) -> None:
    """Write a record of an output with some fields; what the others would tell is left open.

    Raises
    ------
    OSError
        The record cannot be written.
    """
    blank: dict[str, Any] = {
        "rule": None,
        "input": None,
        "log": None,
        "shellcmd": None,
        "params": None,
        "code": None,
        "record_format_version": FORMAT_VERSION,
        "conda_env": None,
        "container_img_url": None,
        "software_stack_hash": None,
        "job_hash": None,
        "starttime": None,
        "endtime": None,
        "incomplete": False,
        "external_jobid": None,
        "input_checksums": {},
    }
    path = _file(METADATA, output)
    path.parent.mkdir(parents=True, exist_ok=True)
    INCOMPLETE.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}")
    temporary.write_text(json.dumps(blank | fields), encoding="utf-8")
    temporary.replace(path)


def forget_incomplete(output: str) -> None:
    """Take back Snakemake's mark that the job of an output was interrupted."""
    _file(INCOMPLETE, output).unlink(missing_ok=True)


def is_incomplete(output: str) -> bool:
    """Whether Snakemake has begun to make an output and has not taken note of its end."""
    return _file(INCOMPLETE, output).exists()


def checksum(record: dict[str, Any] | None, path: str) -> str | None:
    """SHA-256 of an input as Snakemake recorded it."""
    text = ((record or {}).get("input_checksums") or {}).get(path)
    return None if text is None else str(text).removeprefix("sha256:")


def _file(folder: Path, output: str) -> Path:
    """Where a record lies: the name in base64, cut into folders where it is too long for one."""
    name = urlsafe_b64encode(output.encode()).decode()
    length = _longest_name() - 1
    pieces = [name[start : start + length] for start in range(0, len(name), length)]
    return folder.joinpath(*(f"@{piece}" for piece in pieces[:-1]), pieces[-1])


@cache
def _longest_name() -> int:
    try:
        return os.pathconf(".", "PC_NAME_MAX") or 255
    except OSError:
        return 255
