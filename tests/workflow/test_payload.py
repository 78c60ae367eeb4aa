"""The supervisor of a job's command: what it lets through, what it keeps, what it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_templated.payload import read_record, watch
from snakemake_executor_plugin_templated.wrapper import PAYLOAD

PASSED_ON = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
BOTH_WAYS = pytest.mark.parametrize(
    "padding", ["", f" {'x' * 99}" * 1400], ids=["short command", "longer than an argument may be"]
)


class Job:
    """One supervised command."""

    def __init__(self, folder: Path, command: str, *options: str, **kwargs: Any) -> None:
        self.path = folder / "stem.job.json"
        self.output = folder / "stem.out"
        script = folder / "command"
        script.write_text(command, encoding="utf-8")
        interpreter = kwargs.pop("python", sys.executable)
        with script.open() as stdin, self.output.open("wb") as stdout:
            self.process = subprocess.Popen(
                [interpreter, "-BES", str(PAYLOAD), "--record", str(self.path), *options],
                stdin=stdin,
                stdout=kwargs.pop("stdout", stdout),
                cwd=folder,
                **kwargs,
            )

    @property
    def record(self) -> dict[str, Any]:
        """The record, which is there from the start."""
        record = read_record(self.path)
        assert record is not None
        return record

    @property
    def text(self) -> str:
        """Its output so far, with the lines of the supervisor."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def said(self, word: str) -> None:
        """Wait until a line of the output is this word."""
        until(lambda: word in self.text.splitlines())

    def ends(self, timeout: float = 30) -> int:
        """Wait for the end; the exit code, or the negative number of the signal."""
        return self.process.wait(timeout)


def until(condition: Callable[[], object], timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Callable[..., Job]]:
    """Starts jobs, and ends them after the test."""
    jobs: list[Job] = []

    def start(command: str, *options: str, **kwargs: Any) -> Job:
        jobs.append(Job(tmp_path, command, *options, **kwargs))
        return jobs[-1]

    yield start
    for one in jobs:
        one.process.kill()
        one.process.wait()


# -- how a job ends


@BOTH_WAYS
@pytest.mark.parametrize("code", [0, 1, 69, 75, 255])
def test_exit_codes_arrive(job: Callable[..., Job], code: int, padding: str) -> None:
    one = job(f"sh -c 'exit {code}'{padding}")
    assert one.ends() == code
    assert (one.record["state"], one.record["exit_code"], one.record["signal"], one.record["cause"]) == (
        "ended",
        code,
        None,
        "",
    )
    assert f"ended with exit code {code} after" in one.text.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
def test_a_command_killed_by_a_signal_takes_its_job_along(job: Callable[..., Job], tmp_path: Path, number: int) -> None:
    one = job(f"kill -{number:d} $$")
    assert one.ends() == -number
    assert (one.record["exit_code"], one.record["signal"]) == (None, number)
    assert not list(tmp_path.glob("core*"))


@BOTH_WAYS
@pytest.mark.parametrize("number", PASSED_ON)
def test_signals_reach_the_command(job: Callable[..., Job], number: signal.Signals, padding: str) -> None:
    program = (
        "import signal, sys; signal.signal(int(sys.argv[1]), lambda *_: sys.exit(75)); "
        "print('ready', flush=True); signal.pause()"
    )
    one = job(f'{sys.executable} -c "{program}" {number:d}{padding}')
    one.said("ready")
    one.process.send_signal(number)
    assert one.ends() == 75
    terminating = number not in (signal.SIGUSR1, signal.SIGUSR2)
    assert one.record["cause"] == ("terminated" if terminating else "")


def test_a_signal_reaches_what_the_shell_runs_and_its_helpers_live(job: Callable[..., Job]) -> None:
    """A checkpoint is written with worker processes alive, and the shell around it waits for it."""
    program = (
        "import signal, subprocess, sys; helper = subprocess.Popen(['sleep', '60']); "
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75 if helper.poll() is None else 1)); "
        "print('ready', flush=True); signal.pause()"
    )
    one = job(f'true; {sys.executable} -c "{program}"; echo not reached')
    one.said("ready")
    one.process.terminate()
    assert one.ends() == 75
    assert "not reached" not in one.text


def test_a_script_with_a_trap_of_its_own_gets_the_signal_itself(job: Callable[..., Job], tmp_path: Path) -> None:
    (tmp_path / "train.sh").write_text("trap 'echo saved; exit 75' TERM\necho ready\nsleep 60 & wait\n")
    one = job("bash train.sh")
    one.said("ready")
    one.process.terminate()
    assert one.ends() == 75
    assert "saved" in one.text


def number_of(one: Job) -> int:
    """The process number that the command prints."""
    until(lambda: any(line.isdigit() for line in one.text.splitlines()))
    return next(int(line) for line in one.text.splitlines() if line.isdigit())


@pytest.mark.parametrize("command", ["sleep 600 & echo $!; exit 3", "setsid sleep 600 & echo $!; sleep 0.2; exit 3"])
def test_nothing_outlives_its_command(job: Callable[..., Job], command: str) -> None:
    one = job(command)
    left = number_of(one)
    assert one.ends() == 3
    until(lambda: not alive(left))


def test_nothing_outlives_its_supervisor(job: Callable[..., Job]) -> None:
    """Killed by SIGKILL, it can do nothing itself any more."""
    one = job("echo ready; sleep 600 & echo $!; sleep 600")
    one.said("ready")
    left = number_of(one)
    assert alive(left)
    one.process.kill()
    assert one.ends() == -signal.SIGKILL
    until(lambda: not alive(left))
    assert not alive(left)


def test_a_second_sigterm_does_not_disturb_the_saving(job: Callable[..., Job]) -> None:
    one = job("bash -c \"trap 'echo told' TERM; echo ready; while true; do sleep 0.1; done\"")
    one.said("ready")
    one.process.terminate()
    one.said("told")
    one.process.terminate()
    until(lambda: "SIGTERM received; the command has had one" in one.text)
    time.sleep(0.5)
    assert one.text.splitlines().count("told") == 1


@pytest.mark.parametrize(("limit", "cause"), [("1000", "terminated"), ("0", "terminated"), ("10", "time limit")])
def test_sigterm_shortly_before_the_limit_is_about_the_limit(job: Callable[..., Job], limit: str, cause: str) -> None:
    """The batch system's warning may come before the supervisor's, which is after half of the time here."""
    one = job("echo ready; sleep 600", "--limit", limit, "--warn", "9")
    one.said("ready")
    time.sleep(4.2 if limit == "10" else 0)
    one.process.terminate()
    assert one.ends() == -signal.SIGTERM
    assert one.record["cause"] == cause


def test_a_job_does_not_wait_for_who_holds_its_output_open(job: Callable[..., Job]) -> None:
    started = time.monotonic()
    assert job("sleep 60 & exit 4").ends() == 4
    assert time.monotonic() - started < 10


def test_without_a_shell_the_machine_is_to_blame(job: Callable[..., Job]) -> None:
    one = job("true", env={"PATH": "/nowhere"})
    assert one.ends() == 69
    assert "could not be run" in one.text


# -- its output


def test_a_flood_is_cut_to_head_and_tail_and_the_job_goes_on(job: Callable[..., Job]) -> None:
    """300 MB in lines that count up: both ends are kept whole, and nothing else."""
    one = job(
        "echo first; seq 1 5000000 | sed 's/$/ ......................................../'; echo last >&2; exit 7",
        "--stdout-bytes",
        "100000",
    )
    assert one.ends(120) == 7
    lines = one.text.splitlines()
    assert one.output.stat().st_size < 101_000
    assert "first" in lines
    assert lines[-2] == "last"
    assert lines[-3].startswith("5000000 ")
    assert one.record["stdout_dropped_bytes"] == one.record["stdout_bytes"] - 100_000 > 200_000_000
    assert (
        f"{one.record['stdout_dropped_bytes']} of {one.record['stdout_bytes']} bytes of output were left out"
        in one.text
    )


@pytest.mark.parametrize("size", [0, 1, 49, 50, 51, 99, 100, 101, 149, 150, 151, 1000])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_both_ends_are_kept_to_the_byte(capfdbinary: pytest.CaptureFixture[bytes], size: int, chunk: int) -> None:
    data = bytes(65 + i % 26 for i in range(size))
    capture = watch.Capture(100)
    for begin in range(0, size, chunk):
        capture.feed(data[begin : begin + chunk])
    capture.finish()
    lines = capfdbinary.readouterr().out.splitlines(keepends=True)
    shown = b"".join(line.partition(b"[snpoint]")[0] for line in lines)
    assert shown == (data if size <= 100 else data[:50] + data[-50:])
    assert capture.dropped == max(0, size - 100)


def test_an_output_that_cannot_be_written_does_not_end_the_job(job: Callable[..., Job], tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        assert job("seq 1 100000; touch done; exit 3", stdout=full).ends() == 3
    assert (tmp_path / "done").exists()


# -- its record


def test_the_record_is_there_from_the_start_and_beats(job: Callable[..., Job]) -> None:
    one = job("echo ready; sleep 600", "--heartbeat", "0.2", "--limit", "1200", "--warn", "60")
    one.said("ready")
    record = one.record
    assert (record["state"], record["pid"], record["exit_code"], record["stopped"]) == (
        "running",
        one.process.pid,
        None,
        None,
    )
    assert record["limits"]["seconds"] == 1200
    before = one.path.stat().st_mtime_ns
    until(lambda: one.path.stat().st_mtime_ns > before and one.record["seconds"] > 1)


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"format_version": 99}'])
def test_no_record_is_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "x.job.json").write_text(content)
    assert read_record(tmp_path / "x.job.json") is None


def test_a_record_that_cannot_be_written_does_not_end_the_job(job: Callable[..., Job], tmp_path: Path) -> None:
    (tmp_path / "stem.job.json").mkdir()
    one = job("sleep 1; exit 3", "--heartbeat", "0.1")
    assert one.ends() == 3
    assert one.text.count("cannot be written") == 1


def test_it_knows_what_the_command_used(job: Callable[..., Job]) -> None:
    """Two processes of 100 MB each at the same time, and half a second of CPU in each."""
    program = "import time; x = b'1' * 100_000_000; t = time.process_time\nwhile t() < 0.5: pass\ntime.sleep(3)"
    one = job(f'{sys.executable} -c "{program}" & {sys.executable} -c "{program}"; wait')
    assert one.ends() == 0
    assert 200 <= one.record["peak_memory_mb"] < 300
    assert 1 <= one.record["cpu_seconds"] < 3
    assert 3 <= one.record["seconds"] < 20
    assert f"peak memory {one.record['peak_memory_mb']} MB" in one.text


def test_memory_that_processes_share_is_counted_once(job: Callable[..., Job]) -> None:
    program = "import os, time; x = b'1' * 200_000_000; [os.fork() for _ in range(2)]; time.sleep(3)"
    one = job(f'{sys.executable} -c "{program}"')
    assert one.ends() == 0
    assert 200 <= one.record["peak_memory_mb"] < 260


def test_a_short_peak_is_not_missed(job: Callable[..., Job]) -> None:
    one = job(f"{sys.executable} -c \"b'1' * 300_000_000\"")
    assert one.ends() == 0
    assert one.record["peak_memory_mb"] >= 300


# -- the machine


def test_on_htcondor_it_is_named_as_htcondor_names_it(job: Callable[..., Job], tmp_path: Path) -> None:
    (tmp_path / "machine").write_text(
        'Machine = "node7.example.org"\nName = "slot1_2@node7.example.org"\nMemory = 512\nCpus = 3\n'
    )
    (tmp_path / "job").write_text("ClusterId = 81\nProcId = 0\n")
    ads = {"_CONDOR_MACHINE_AD": str(tmp_path / "machine"), "_CONDOR_JOB_AD": str(tmp_path / "job")}
    one = job("echo $SNPOINT_JOB_ID; echo $SNPOINT_MACHINE", env=os.environ | ads)
    assert one.ends() == 0
    record = one.record
    assert (record["node"], record["job_id"]) == ("node7.example.org", "81.0")
    assert (record["limits"]["cpus"], record["limits"]["memory_mb"]) == (3, 512)
    _, _, job_id, machine, _ = one.text.splitlines()
    assert (job_id, json.loads(machine)["memory_mb"]) == ("81.0", 512)
    assert "(node node7.example.org), job 81.0, 3 cores, memory limit 512 MB" in one.text


def test_on_slurm_it_is_named_as_slurm_names_it(job: Callable[..., Job]) -> None:
    slurm = {"SLURMD_NODENAME": "c12", "SLURM_JOB_ID": "44", "SLURM_CPUS_PER_TASK": "2", "SLURM_MEM_PER_NODE": "700"}
    one = job("true", env=os.environ | slurm)
    assert one.ends() == 0
    record = one.record
    assert (record["node"], record["job_id"], record["limits"]["memory_mb"]) == ("c12", "44", 700)


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("", []),
        ("10000", []),
        ("1", ["GPU 1: NVIDIA T4 (UUID: GPU-bbbb-2)"]),
        ("GPU-aaaa", ["GPU 0: NVIDIA A100 (UUID: GPU-aaaa-1)"]),
        ("GPU-none-of-these", ["GPU-none-of-these"]),
        (None, ["GPU 0: NVIDIA A100 (UUID: GPU-aaaa-1)", "GPU 1: NVIDIA T4 (UUID: GPU-bbbb-2)"]),
    ],
)
def test_its_gpus_are_the_visible_ones(
    job: Callable[..., Job], tmp_path: Path, visible: str | None, expected: list[str]
) -> None:
    program = tmp_path / "bin/nvidia-smi"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\necho 'GPU 0: NVIDIA A100 (UUID: GPU-aaaa-1)'\necho 'GPU 1: NVIDIA T4 (UUID: GPU-bbbb-2)'\n"
    )
    program.chmod(0o755)
    environment = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    one = job("true", env=environment | ({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}))
    assert one.ends() == 0
    assert one.record["gpus"] == expected


# -- when it takes too long


@pytest.mark.parametrize(
    "command",
    ["sleep 600", "true; sleep 600", f"{sys.executable} -c 'while True: __import__(\"time\").sleep(0.5)'"],
    ids=["asleep", "asleep under a shell", "wakes up to look"],
)
def test_a_command_that_does_nothing_is_ended(job: Callable[..., Job], command: str) -> None:
    one = job(command, "--no-progress", "3")
    assert one.ends() == 74
    assert (one.record["cause"], one.record["exit_code"], one.record["signal"]) == ("no progress", 74, None)
    assert "no output and no CPU time for 3 s: SIGTERM sent" in one.text


def test_one_that_does_not_listen_is_killed(job: Callable[..., Job]) -> None:
    one = job("trap '' TERM; sleep 600; sleep 600", "--no-progress", "2", "--kill-after", "1")
    assert one.ends(15) == 74


@pytest.mark.parametrize(
    "command",
    [
        "for i in 1 2 3 4 5 6 7; do echo $i; sleep 1; done",
        "for i in 1 2 3 4 5 6 7; do echo $i >> 'a log'; sleep 1; done",
        "for i in 1 2 3 4 5 6 7; do seq 1 20000000 | tail -n 1 > number; sleep 1; done",
    ],
    ids=["prints", "writes its log", "computes"],
)
def test_progress_is_output_or_log_or_cpu_time(job: Callable[..., Job], tmp_path: Path, command: str) -> None:
    one = job(command, "--no-progress", "3", "--log", str(tmp_path / "a log"))
    assert one.ends(60) == 0
    assert one.record["cause"] == ""


def test_time_in_which_the_job_was_suspended_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: clock[0])
    watchdog = watch.Watchdog(600, [])
    seen = []
    for step in (1.0, 5000.0, *[10.0] * 59, 11.0):
        clock[0] += step
        seen.append(watchdog.stands_still(0, 0.0))
    assert seen == [False] * 61 + [True]


@pytest.mark.parametrize(("limit", "warn", "expected"), [(5, 2, 3), (6, 100, 3)], ids=["as asked", "at most half"])
def test_before_the_time_limit_the_command_is_warned(
    job: Callable[..., Job], limit: int, warn: int, expected: int
) -> None:
    one = job("sleep 600 & sleep 600", "--limit", str(limit), "--warn", str(warn))
    assert one.ends() == 128 + signal.SIGTERM
    assert one.record["cause"] == "time limit"
    assert expected - 0.5 <= one.record["seconds"] < expected + 2


def test_a_time_limit_is_known_before_the_end(job: Callable[..., Job]) -> None:
    """A command that does not end in time is killed by the batch system, and the record then says why."""
    one = job(
        "bash -c \"trap 'echo warned' TERM; echo ready; while true; do sleep 0.1; done\"", "--limit", "4", "--warn", "2"
    )
    one.said("warned")
    assert (one.record["state"], one.record["cause"]) == ("running", "time limit")
    assert "s before the run-time limit: SIGTERM sent to the command" in one.text


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12", "3.13"])
def test_it_runs_with_the_python_of_a_worker(job: Callable[..., Job], version: str) -> None:
    found = [*Path.home().glob(f".pyenv/versions/{version}.*/bin/python"), shutil.which(f"/usr/bin/python{version}")]
    if not (pythons := [str(path) for path in found if path]):
        pytest.skip(f"no Python {version} here")
    one = job("echo hello; exit 75", python=pythons[0], stderr=subprocess.STDOUT)
    assert one.ends() == 75
    assert one.record["state"] == "ended"


def test_it_imports_nothing_of_the_pipeline(job: Callable[..., Job]) -> None:
    """Started in a folder whose modules would hide the standard library's."""
    one = job(
        "true", env={"PATH": os.environ["PATH"], "PYTHONPATH": "/nowhere", "PYTHONVERBOSE": "1"}, stderr=subprocess.PIPE
    )
    assert one.process.communicate(timeout=30)[1] == b""
