"""The generated wrapper: it sets the scene and lets signals and exit codes through unchanged."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from snakemake_executor_plugin_templated.payload import read_record
from snakemake_executor_plugin_templated.wrapper import PayloadOptions, wrapper_text

TERMINATED = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("saving", flush=True), sys.exit(75)))
print("ready", flush=True)
time.sleep(60)
"""
LONGER_THAN_AN_ARGUMENT = 140_000


@pytest.fixture
def wrapper(tmp_path: Path) -> Callable[..., Path]:
    """Writes the wrapper of a command that runs in ``tmp_path``."""
    payload = PayloadOptions(
        record=tmp_path / "job.job.json",
        logs=[tmp_path / "train.log"],
        python=Path(sys.executable),
        stdout_bytes=1_000_000,
        heartbeat_s=60,
        no_progress_s=0,
        limit_s=0,
        warn_s=0,
    )

    def write(command: str, **kwargs: object) -> Path:
        given = {"workdir": tmp_path, "bin_folder": "/usr/bin", "threads": 1, "payload": payload} | kwargs
        path = tmp_path / "job.sh"
        path.write_text(wrapper_text(command, **given), encoding="utf-8")
        path.chmod(0o755)
        return path

    return write


def run(wrapper: Path, **kwargs: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(wrapper)], check=False, timeout=60, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs
    )


def said(output: str) -> str:
    """What the command wrote: without the lines of the supervisor."""
    return "".join(line for line in output.splitlines(keepends=True) if not line.startswith("[snpoint] "))


@pytest.mark.parametrize(
    "padding", [0, LONGER_THAN_AN_ARGUMENT], ids=["short command", "longer than an argument may be"]
)
def test_sigterm_and_exit_code_arrive_unchanged(tmp_path: Path, wrapper: Callable[..., Path], padding: int) -> None:
    """The batch system signals one process only, the wrapper's."""
    (tmp_path / "job.py").write_text(TERMINATED)
    files = " ".join(["x" * 99] * (padding // 100))
    process = subprocess.Popen(
        [str(wrapper(f"{sys.executable} job.py {files}"))], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    assert any(line == "ready\n" for line in iter(process.stdout.readline, ""))
    process.terminate()
    assert said(process.communicate(timeout=20)[0]) == "saving\n"
    assert process.returncode == 75


def test_the_command_finds_its_folder_threads_scratch_and_programs(
    tmp_path: Path, wrapper: Callable[..., Path]
) -> None:
    job = wrapper(
        'echo "$PWD $OMP_NUM_THREADS $TMPDIR $XDG_CACHE_HOME $COLOR ${PATH%%:*}"',
        bin_folder=tmp_path / "venv/bin",
        threads=3,
        environment={"COLOR": "it's blue"},
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    scene = said(run(job, env={"_CONDOR_SCRATCH_DIR": str(scratch)}, cwd="/").stdout).strip()
    assert re.fullmatch(rf"{tmp_path} 3 {scratch} {scratch}/cache-\d+ it's blue {tmp_path}/venv/bin", scene), scene


def test_the_pythonpath_of_a_site_does_not_reach_the_supervisor(tmp_path: Path, wrapper: Callable[..., Path]) -> None:
    """It may hold modules of another Python that hide the standard library's."""
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    job = wrapper("echo $PYTHONPATH", environment={"PYTHONPATH": str(tmp_path)})
    assert said(run(job).stdout) == f"{tmp_path}\n"


@pytest.mark.parametrize("command", ["false | true", "false; true", "echo $undefined_variable"])
def test_no_failure_is_masked(wrapper: Callable[..., Path], command: str) -> None:
    assert run(wrapper(command)).returncode != 0


@pytest.mark.parametrize("command", ["echo 'a\n\nb'", "echo \"\\$x `echo q` '$((1 + 1))' \\\\\"", "echo ü ∑", "cat"])
def test_any_text_arrives_as_it_is(wrapper: Callable[..., Path], command: str) -> None:
    """Quotes, dollars, lines; and stdin is empty, not the rest of the script."""
    plain = subprocess.run(
        ["bash", "-c", command], check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert said(run(wrapper(command), env={"LANG": "C.UTF-8"}).stdout) == plain.stdout


def test_setup_of_the_site_comes_before_the_environment_of_the_job(wrapper: Callable[..., Path]) -> None:
    """Sites' scripts use unset variables; what they put into PATH comes after the environment of the pipeline."""
    job = wrapper('echo "$FROM_SITE ${PATH%%:*}"', setup=['export FROM_SITE="${UNSET}yes" PATH="/site/bin:$PATH"'])
    assert said(run(job, env={"PATH": "/usr/bin:/bin"}).stdout) == "yes /usr/bin\n"


def test_a_setup_that_fails_is_told_and_asks_for_another_machine(tmp_path: Path, wrapper: Callable[..., Path]) -> None:
    ended = run(wrapper("touch ran", setup=["source /not/mounted/setup.sh # software folder", "true"]))
    assert ended.returncode == 69
    assert "setup of the site ended with 1: source /not/mounted/setup.sh" in ended.stdout
    assert not (tmp_path / "ran").exists()


def test_the_options_reach_the_supervisor(tmp_path: Path, wrapper: Callable[..., Path]) -> None:
    options = PayloadOptions(
        record=tmp_path / "other.job.json",
        logs=[tmp_path / "a b.log"],
        python=Path(sys.executable),
        stdout_bytes=100,
        heartbeat_s=0.5,
        no_progress_s=600,
        limit_s=1200.0,
        warn_s=60,
    )
    assert run(wrapper("head -c 1000 /dev/zero; exit 5", payload=options)).returncode == 5
    record = read_record(options.record)
    assert record is not None
    assert (record["limits"]["seconds"], record["stdout_bytes"], record["stdout_dropped_bytes"]) == (1200, 1000, 900)
