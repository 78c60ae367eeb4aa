"""The script that a batch job starts: it sets the scene and then becomes the rule's command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
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

# Linux refuses a single argument of 128 KiB (MAX_ARG_STRLEN); a command may name thousands of files
LONGEST_ARGUMENT = 120_000

# what of the driver's environment means something to a job; the rest (tokens, caches, other people's PYTHONPATH) stays
PASSED_VARIABLES = ("KERAS_BACKEND", "SNPOINT_DATA")


def wrapper_text(
    command: str,
    *,
    workdir: str | Path,
    bin_folder: str | Path,
    threads: int,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Text of the wrapper script of one job.

    Parameters
    ----------
    command : str
        The rule's finished shell command.
    workdir : str or Path
        Folder the command expects to run in.
    bin_folder : str or Path
        ``bin`` folder of the Python environment that the pipeline was started from.
    threads : int
        CPU cores of the job.
    environment : Mapping, optional
        Further variables to export.

    Returns
    -------
    str
        A bash script. Its last line replaces the shell by the command, so that the batch system sees the command's own
        exit code and its SIGTERM reaches the command's process (for that, a rule's shell text is one simple command).
    """
    exports = dict.fromkeys(THREAD_VARIABLES, str(threads)) | dict(environment or {})
    lines = [
        "#!/bin/bash",
        "set -euo pipefail",
        f"cd {shlex.quote(str(workdir))}",
        # batch systems start jobs with an almost empty environment
        f'export PATH={shlex.quote(str(bin_folder))}:"${{PATH:-/usr/local/bin:/usr/bin:/bin}}"',
        'export LANG="${LANG:-C.UTF-8}"',
        'scratch="${_CONDOR_SCRATCH_DIR:-${SLURM_TMPDIR:-${TMPDIR:-/tmp}}}"',
        # the home folder may be small, slow or not writable on a worker: caches go to the scratch folder
        'export TMPDIR="$scratch" XDG_CACHE_HOME="$scratch/cache-$(id -u)"',
        *(f"export {name}={shlex.quote(value)}" for name, value in exports.items()),
        *_handover(command.strip()),
    ]
    return "\n".join(lines) + "\n"


def _handover(command: str) -> list[str]:
    """Last lines of the script: become the command, or, where it is too long for that, run it and pass signals on."""
    quoted = shlex.quote(command)
    if len(quoted.encode()) < LONGEST_ARGUMENT:
        # bash -c with one simple command replaces itself by it, too: the process of the job is the command
        return [f"exec bash -euo pipefail -c {quoted} </dev/null"]
    return [
        # job control gives the command a process group of its own, which a signal reaches as a whole
        "set -m",
        "{",
        # the shell in between survives the signal, to hand on the command's exit code
        "trap : TERM",
        command,
        "} </dev/null &",
        "child=$!",
        "set +m",
        """trap 'kill -TERM -- "-$child"' TERM""",
        "code=0",
        'wait "$child" || code=$?',
        # a trapped signal interrupts wait before the command has ended
        'while kill -0 "$child" 2>/dev/null; do code=0; wait "$child" || code=$?; done',
        'exit "$code"',
    ]
