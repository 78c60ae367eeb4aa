"""Commands in forks of one process that has imported Snakemake and snpoint already.

A dry run takes a second and a half, of which two thirds are imports; these tests make a hundred of them. Each command
still has a process, working directory and environment of its own. Reads requests as JSON lines, answers with exit
codes.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

PRELOADED = (
    "snakemake.cli",
    "snakemake.executors.dryrun",
    "snakemake.scheduling.job_scheduler",
    "pandas",
    "smart_open",
    "yte",
    "snpoint.recovery",
    "snpoint.tools.repair",
    "snpoint.tools.status",
)
"""What a dry run, a status and a repair import."""


class Quick:
    """Client: starts the server and sends it commands."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(environment),
        )

    def run(self, command: tuple[str, ...], folder: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of `snakemake ...` or `snpoint ...`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with tempfile.TemporaryDirectory() as place:
            request = {"command": command, "folder": str(folder), "environment": dict(environment), "place": place}
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            code = int(self.process.stdout.readline())
            out, err = (Path(place, name).read_text(encoding="utf-8") for name in ("out", "err"))
        return code, out, err

    def close(self) -> None:
        """Let the server end."""
        self.process.communicate()


def serve() -> None:
    """Answer requests until the end of the input."""
    for name in PRELOADED:
        importlib.import_module(name)
    from snakemake.cli import main as snakemake_main

    from snpoint.cli import main as snpoint_main

    programs = {"snakemake": snakemake_main, "snpoint": snpoint_main}
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _child(programs[request["command"][0]], request)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()


def _child(program: Callable[[], object], request: dict[str, object]) -> None:
    code: object = 70
    try:
        os.chdir(str(request["folder"]))
        os.environ.clear()
        os.environ.update(request["environment"])  # type: ignore[call-overload]
        flags = os.O_WRONLY | os.O_CREAT
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(Path(str(request["place"]), name), flags), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.argv = list(request["command"])  # type: ignore[call-overload]
        code = program()
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    serve()
