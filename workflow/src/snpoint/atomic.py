"""Writing files whole or not at all: temporary name, fsync, rename."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snpoint.errors import NumericError, OutputError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; on success it takes the place of ``path``.

    On any error the temporary file is removed and ``path`` is left as it was. The temporary name keeps the
    suffix, since several writers choose their format by it.

    Raises
    ------
    OutputError
        The folder cannot be made or the file cannot be written (permissions, quota, disk full).
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise OutputError(f"{target}: cannot write here ({error.strerror}); check permissions and quota") from error
    temporary = Path(name)
    try:
        yield temporary
        _settle(temporary, target)
    except OSError as error:
        raise OutputError(f"{target}: writing failed ({error.strerror}); check permissions and quota") from error
    finally:
        temporary.unlink(missing_ok=True)


def _settle(temporary: Path, target: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.replace(target)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: Any) -> None:
    """Write strict JSON (no NaN, no Infinity), indented, keys in the given order.

    Raises
    ------
    NumericError
        A number is not finite.
    """
    try:
        text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    except ValueError as error:
        raise NumericError(f"{path}: a result is NaN or infinite; nothing was written") from error
    write_text(path, text + "\n")
