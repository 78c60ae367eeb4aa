"""A stand-in for the ``snpoint`` command whose stages write placeholders instead of physics.

The workflow tests put it first on PATH as ``snpoint``. Everything around the stages is the real thing (command line,
settings, provenance, logs): only ``snpoint.stages.*`` is replaced, so that a whole DAG runs in seconds. A placeholder
depends on the settings and the inputs of its stage, as a result does. ``STUB_FAIL``, ``STUB_KILL`` and ``STUB_WAIT``
name a stage that ends with an error, is killed, or waits for ever, before it has written anything.
"""

from __future__ import annotations

import functools
import hashlib
import os
import signal
import sys
import time
import types
from pathlib import Path
from typing import Any

from snpoint import cli
from snpoint.commands import COMMANDS
from snpoint.errors import NumericError


def run(stage: str, settings: Any, **given: Any) -> None:
    """Write a line of text that depends on settings and inputs into every output."""
    if os.environ.get("STUB_KILL") == stage:
        os.kill(os.getpid(), signal.SIGKILL)
    if os.environ.get("STUB_WAIT") == stage:
        time.sleep(600)
    if os.environ.get("STUB_FAIL") == stage:
        raise NumericError("the loss became NaN in epoch 3")
    digest = hashlib.sha256(settings.canonical().encode())
    options = {option.name: option.kind for option in COMMANDS[stage].options}
    for name in (name for name, kind in options.items() if kind in ("input", "inputs") and name in given):
        for path in given[name] if options[name] == "inputs" else [given[name]]:
            digest.update(Path(path).read_bytes())
    for name in (name for name, kind in options.items() if kind == "output" and name in given):
        given[name].write_text(f"{stage} {name} {digest.hexdigest()}\n", encoding="utf-8")


for _stage in COMMANDS:
    _module = types.ModuleType(f"snpoint.stages.{_stage}")
    _module.run = functools.partial(run, _stage)  # type: ignore[attr-defined]
    sys.modules[_module.__name__] = _module

if __name__ == "__main__":
    cli.main()
