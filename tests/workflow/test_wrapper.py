"""The generated wrapper: it becomes the command, so that signals and exit codes arrive unchanged."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from snakemake_executor_plugin_templated.wrapper import LONGEST_ARGUMENT, wrapper_text

TERMINATED = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("saving", flush=True), sys.exit(75)))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("padding", [0, LONGEST_ARGUMENT], ids=["short command", "longer than an argument may be"])
def test_sigterm_and_exit_code_arrive_unchanged(tmp_path: Path, padding: int) -> None:
    """The batch system signals the wrapper's process only: the wrapper must have become the command."""
    (tmp_path / "job.py").write_text(TERMINATED)
    files = " ".join(["x" * 99] * (padding // 100))
    wrapper = tmp_path / "job.sh"
    wrapper.write_text(
        wrapper_text(f"{sys.executable} job.py {files}", workdir=tmp_path, bin_folder="/usr/bin", threads=2)
    )
    process = subprocess.Popen(["bash", str(wrapper)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.communicate(timeout=20)[0] == "saving\n"
    assert process.returncode == 75


def test_wrapper_sets_the_scene(tmp_path: Path) -> None:
    text = wrapper_text(
        'echo "$PWD $OMP_NUM_THREADS $TMPDIR $XDG_CACHE_HOME $COLOR ${PATH%%:*}"',
        workdir=tmp_path,
        bin_folder=tmp_path / "venv/bin",
        threads=3,
        environment={"COLOR": "it's blue"},
    )
    (tmp_path / "job.sh").write_text(text)
    scene = subprocess.run(
        ["bash", str(tmp_path / "job.sh")],
        env={"_CONDOR_SCRATCH_DIR": "/scratch/7"},
        cwd="/",
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    assert re.fullmatch(rf"{tmp_path} 3 /scratch/7 /scratch/7/cache-\d+ it's blue {tmp_path}/venv/bin", scene), scene


@pytest.mark.parametrize("command", ["false | true", "false; true", "echo $undefined_variable"])
def test_no_failure_is_masked(tmp_path: Path, command: str) -> None:
    (tmp_path / "job.sh").write_text(wrapper_text(command, workdir=tmp_path, bin_folder="/usr/bin", threads=1))
    assert subprocess.run(["bash", str(tmp_path / "job.sh")], check=False, capture_output=True).returncode != 0
