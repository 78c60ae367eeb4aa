"""Compiled functions, kept on disk in a place that follows the source code.

numba notices a change of the file a function stands in, but not of the constants and functions it takes from
other files: those are frozen into the compiled code. The folder of the compiled code is therefore named after a
digest of all sources behind it, and a changed constant in any of them means a new folder.
"""

from __future__ import annotations

import hashlib
import os
import re
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


_IMPORT = re.compile(rb"from snpoint\.physics((?:\.\w+)*) import (\([^)]*\)|[^\n]*)")


def _digest(folder: Path) -> str:
    """Digest of the modules with compiled functions and of all modules of the folder that these import."""
    paths = {".".join(path.relative_to(folder).with_suffix("").parts): path for path in folder.rglob("*.py")}
    texts = {name: path.read_bytes() for name, path in paths.items()}
    found: set[str] = set()
    waiting = {name for name, text in texts.items() if b"snpoint.physics.compiled import" in text}
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= (_imported(texts[name]) & texts.keys()) - found
    sources = hashlib.sha256(numba.__version__.encode())
    for name in sorted(found):
        sources.update(name.encode() + b"\0" + texts[name])
    return sources.hexdigest()[:16]


def _imported(text: bytes) -> set[str]:
    """Modules below ``snpoint.physics`` that a source may import: each package, and each name taken from one."""
    found: set[str] = set()
    for package, names in _IMPORT.findall(text):
        base = package.decode().lstrip(".")
        found.add(base)
        found |= {".".join(filter(None, (base, name.decode()))) for name in re.findall(rb"\w+", names)}
    return found


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
