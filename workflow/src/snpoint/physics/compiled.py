"""Compiled functions, kept on disk in a place that follows the source code.

numba notices a change of the file a function stands in, but not of the constants and functions it takes from
other files: those are frozen into the compiled code. The folder of the compiled code is therefore named after a
digest of all sources of this package, and a changed constant anywhere means a new folder.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(**options: Any) -> Callable[[_F], _F]:
    """Decorator: compile on first use and keep the result; ``options`` are those of `numba.njit`."""
    decorator: Callable[[_F], _F] = numba.njit(cache=True, **options)
    return decorator


def _digest(folder: Path) -> str:
    """Digest of the sources in a folder."""
    sources = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        sources.update(path.name.encode() + b"\0" + path.read_bytes())
    return sources.hexdigest()[:16]


def cache_folder(folder: Path) -> Path:
    """Where the compiled code of a package folder goes: NUMBA_CACHE_DIR, else beside it, else what is writable."""
    asked = os.environ.get("NUMBA_CACHE_DIR")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    candidates = [Path(asked)] if asked else [folder / "__pycache__", home / "snpoint"]
    for base in candidates:
        try:
            base.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(base, os.W_OK):
            return base / f"numba-{_digest(folder)}"
    return Path(tempfile.gettempdir()) / f"snpoint-{os.getuid()}" / f"numba-{_digest(folder)}"


numba.config.CACHE_DIR = str(cache_folder(Path(__file__).parent))  # type: ignore[attr-defined]
