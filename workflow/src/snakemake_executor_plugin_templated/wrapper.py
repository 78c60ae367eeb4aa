"""The script that a batch job starts: it sets the scene and hands the rule's command to the payload supervisor."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)

# what of the driver's environment means something to a job; the rest (tokens, caches, other people's PYTHONPATH) stays
PASSED_VARIABLES = ("KERAS_BACKEND", "SNPOINT_DATA")

PAYLOAD = Path(__file__).with_name("payload")


@dataclass(frozen=True)
class PayloadOptions:
    """How the payload supervisor watches a command.

    Parameters
    ----------
    record : Path
        The job's record, written at start and end and at every heartbeat.
    logs : sequence of Path
        The command's own log files: what is written there is progress.
    python : Path
        Interpreter that runs the supervisor, 3.9 or later; it needs no packages.
    stdout_bytes : int
        How much of the command's output is kept, half from its beginning and half from its end (0: all).
    heartbeat_s : float
        Time between two writings of the record.
    no_progress_s : float
        A command that does nothing for this long is ended (0: never).
    limit_s : float
        The job's run-time limit (0: none).
    warn_s : float
        The command gets SIGTERM this long before the limit.
    """

    record: Path
    logs: Sequence[Path]
    python: Path
    stdout_bytes: int
    heartbeat_s: float
    no_progress_s: float
    limit_s: float
    warn_s: float


def wrapper_text(
    command: str,
    *,
    workdir: str | Path,
    bin_folder: str | Path,
    threads: int,
    environment: Mapping[str, str] | None = None,
    setup: Sequence[str] = (),
    payload: PayloadOptions,
) -> str:
    """Text of the wrapper script of one job.

    Parameters
    ----------
    command : str
        The rule's finished shell command.
    workdir : str or Path
        Folder the command expects to run in.
    bin_folder : str or Path
        ``bin`` folder of the Python environment of the job, first in PATH.
    threads : int
        CPU cores of the job.
    environment : Mapping, optional
        Further variables to export.
    setup : sequence of str
        Shell lines of the site that make an environment, each a whole command. One that fails ends the job with 69:
        another machine may do (a software folder that is not mounted is the usual cause).
    payload : PayloadOptions
        How the command is watched.

    Returns
    -------
    str
        A bash script. Its last command replaces the shell by the supervisor, which passes signals on to the command and
        ends as the command does.
    """
    exports = dict.fromkeys(THREAD_VARIABLES, str(threads)) | dict(environment or {})
    lines = [
        "#!/bin/bash",
        "set -euo pipefail",
        # batch systems start jobs with an almost empty environment
        'export PATH="${PATH:-/usr/local/bin:/usr/bin:/bin}" LANG="${LANG:-C.UTF-8}"',
        'scratch="${_CONDOR_SCRATCH_DIR:-${SLURM_TMPDIR:-${TMPDIR:-/tmp}}}"',
        # the home folder may be small, slow or not writable on a worker, or not named: caches go to the scratch folder
        'export TMPDIR="$scratch" XDG_CACHE_HOME="$scratch/cache-$(id -u)" HOME="${HOME:-$scratch}"',
        *_setup(setup),
        f'export PATH={shlex.quote(str(bin_folder))}:"$PATH"',
        *(f"export {name}={shlex.quote(value)}" for name, value in exports.items()),
        f"cd {shlex.quote(str(workdir))}",
        *_handover(command.strip(), payload),
    ]
    return "\n".join(lines) + "\n"


def _setup(lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    checked = []
    for line in lines:
        checked += [line, f"setup_ended $? {shlex.quote(line)}"]
    return [
        'setup_ended() { [ "$1" = 0 ] || { echo "[snpoint] setup of the site ended with $1: $2" >&2; exit 69; }; }',
        # the scripts that sites provide use unset variables and failing commands
        "set +euo pipefail",
        *checked,
        "set -euo pipefail",
    ]


def _handover(command: str, options: PayloadOptions) -> list[str]:
    """Become the supervisor, which reads the command from its stdin: Linux takes no argument longer than 128 KiB."""
    arguments: list[str | Path | float] = [options.python, "-BES", PAYLOAD, "--record", options.record]
    for log in options.logs:
        arguments += ["--log", log]
    arguments += ["--stdout-bytes", options.stdout_bytes, "--heartbeat", options.heartbeat_s]
    arguments += ["--no-progress", options.no_progress_s, "--limit", options.limit_s, "--warn", options.warn_s]
    # -B -E -S: no files left in the checkout, nothing of the environment, no packages
    # a word that is no line of the command
    end = f"END_{hashlib.sha256(command.encode()).hexdigest()[:16]}"
    return [f"exec {shlex.join(map(str, arguments))} <<'{end}'", command, end]
