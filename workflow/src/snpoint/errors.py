"""Errors a user can act on: one class per kind of cause, each with its exit code.

The codes follow ``sysexits.h`` where it has a name for the case, so that a batch system or a wrapper
can tell "your configuration is wrong" (never retry) from "the file system hiccuped" (retry) without
reading a log.
"""

from __future__ import annotations

import json


class SnpointError(Exception):
    """Base of all errors that are shown as one line, without a traceback."""

    exit_code = 70


class UsageError(SnpointError):
    """The command line itself is wrong."""

    exit_code = 64


class DataError(SnpointError):
    """A file was read and its content breaks its contract (truncated, wrong shape, out of range)."""

    exit_code = 65


class InputMissingError(SnpointError):
    """A file or folder that is needed does not exist or cannot be opened."""

    exit_code = 66


class MachineError(SnpointError):
    """The machine lacks something (a Python package, a GPU): another node may do."""

    exit_code = 69


class OutputError(SnpointError):
    """A result cannot be written: permissions, quota, disk full."""

    exit_code = 73


class NumericError(SnpointError):
    """A computation became NaN or infinite."""

    exit_code = 76


class UntrustedInputError(SnpointError):
    """An input would execute code if it were loaded (pickle, YAML tags): refused."""

    exit_code = 77


class ConfigError(SnpointError):
    """A configuration file is wrong: unknown key, bad value, missing parent."""

    exit_code = 78


class LockedError(SnpointError):
    """Another run, or a job in a queue, writes the same results."""

    exit_code = 79


def shown(value: object, limit: int = 80) -> str:
    """A value as it should appear in an error message: JSON, cut to ``limit`` characters."""
    try:
        text = json.dumps(value, sort_keys=True)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
