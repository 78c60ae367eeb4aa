"""Runs one command and watches it: the process of a batch job.

Signals and exit codes pass through unchanged. In between, the command's output is capped, a record of the job is kept
up to date, a command that hangs is ended, and one that reaches the run-time limit is warned.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .machine import facts
from .processes import Family, die, guard, tied
from .record import now, write_record
from .watch import Capture, Watchdog, say

MACHINE_MISSING = 69
INPUT_OUTPUT = 74
SAMPLE_S = 1.0
LONGEST_ARGUMENT = 120_000
"""Linux refuses a single argument of 128 KiB (MAX_ARG_STRLEN); a command may name thousands of files."""
DRAIN_S = 5.0
GIVE_UP_S = 60.0
"""A process that survives SIGKILL this long hangs in the kernel, mostly on a file system: it is not waited for."""
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
PASSED_ON = (*ENDING, signal.SIGUSR1, signal.SIGUSR2)


class Payload:
    """One command and everything that is kept about it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.machine = facts()
        self.started = time.monotonic()
        self.family = Family()
        self.capture = Capture(options.stdout_bytes)
        self.watchdog = Watchdog(options.no_progress, options.log)
        self.cause = ""
        self.told_to_end = self.unwritable = False
        self.status: int | None = None
        self.kill_at = self.warn_at = float("inf")
        if options.limit:
            self.warn_at = self.started + options.limit - min(options.warn, options.limit / 2)
        self.record = {
            "state": "running",
            **{key: self.machine[key] for key in ("node", "host", "job_id")},
            "pid": os.getpid(),
            "started": now(),
            "stopped": None,
            "gpus": self.machine["gpus"],
            "limits": {
                "cpus": self.machine["cpus"],
                "memory_mb": self.machine["memory_mb"],
                "seconds": options.limit or None,
            },
            "exit_code": None,
            "signal": None,
        }

    def run(self, command: bytes) -> int:
        """Run the command and return its wait status, as the job is to end."""
        self._introduce()
        self._write()
        wakeup = _listen()
        output = self._start(command)
        guardian = guard(self.child.pid)
        self.family.excluded.add(guardian)
        try:
            self._follow(output, wakeup)
            self.family.measure()
        finally:
            self.family.kill(signal.SIGKILL)
            os.kill(guardian, signal.SIGKILL)
        self._drain(output)
        return self._end()

    def _introduce(self) -> None:
        machine, limit = self.machine, self.options.limit
        memory = f"limit {machine['memory_mb']} MB" if machine["memory_mb"] else "without limit"
        say(
            f"host {machine['host']} (node {machine['node']}), job {machine['job_id'] or 'without number'}, "
            f"{machine['cpus']} core{'' if machine['cpus'] == 1 else 's'}, memory {memory}, "
            f"run time {f'limit {limit:.0f} s' if limit else 'without limit'}, scratch {tempfile.gettempdir()}"
        )
        say(f"GPUs: {'; '.join(self.machine['gpus']) or 'none'}")

    def _write(self, **more: Any) -> None:
        self.record |= {
            "heartbeat": now(),
            "cause": self.cause,
            "seconds": round(time.monotonic() - self.started, 3),
            "cpu_seconds": round(self.family.cpu_seconds, 3),
            "peak_memory_mb": self.family.peak_memory_mb,
            "stdout_bytes": self.capture.bytes,
            "stdout_dropped_bytes": self.capture.dropped,
            **more,
        }
        try:
            write_record(self.options.record, self.record)
        except OSError as error:
            # a full disk or a lost ticket must not end the job
            if not self.unwritable:
                say(f"{self.options.record} cannot be written ({error.strerror}): the job goes on without it")
            self.unwritable = True

    def _start(self, command: bytes) -> int:
        """Start the command and return the end of the pipe with its output."""
        machine = {key: self.machine[key] for key in ("node", "cpus", "memory_mb", "gpus")}
        environment = {**os.environ, "SNPOINT_MACHINE": json.dumps(machine)}
        if self.machine["job_id"]:
            environment["SNPOINT_JOB_ID"] = self.machine["job_id"]
        reader, writer = os.pipe()
        with tempfile.TemporaryFile() as script:
            script.write(command)
            script.flush()
            long = len(command) >= LONGEST_ARGUMENT
            # bash -c with one simple command replaces itself by it, which saves a process
            source: list[bytes | str] = [f"/dev/fd/{script.fileno()}"] if long else ["-c", command]
            self.child = subprocess.Popen(
                ["bash", "-euo", "pipefail", *source],
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                env=environment,
                preexec_fn=tied(),
                pass_fds=[script.fileno()] if long else [],
            )
        os.close(writer)
        return reader

    def _follow(self, output: int, wakeup: int) -> None:
        """Until the command has ended: pass on its output and its signals, look after it once a second."""
        poll = select.poll()
        poll.register(output, select.POLLIN)
        poll.register(wakeup, select.POLLIN)
        look_at = time.monotonic() + min(SAMPLE_S, 0.1)
        beat_at = time.monotonic() + self.options.heartbeat
        while self.status is None:
            for descriptor, _ in poll.poll(1000 * max(0.0, look_at - time.monotonic())):
                data = os.read(descriptor, 1 << 20)
                if descriptor == wakeup:
                    self._signals(data)
                elif data:
                    self.capture.feed(data)
                else:
                    # the command closed its output and goes on
                    poll.unregister(output)
            clock = time.monotonic()
            if clock >= look_at:
                self._look(clock)
                # on a node with thousands of processes looking is expensive
                look_at = clock + max(SAMPLE_S, 50 * (time.monotonic() - clock))
            if clock >= beat_at:
                self._write()
                beat_at = clock + self.options.heartbeat

    def _signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number == signal.SIGCHLD:
                self._reap()
            elif self.status is None:
                self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        name = signal.Signals(number).name
        if number == signal.SIGTERM and self.told_to_end:
            # SLURM's own warning after ours: a second one would interrupt a command that is saving its state
            say(f"{name} received; the command has had one")
            return
        if number in ENDING and not self.cause:
            # SLURM's clock is up to a minute ahead
            early = min(60.0, self.options.limit / 10)
            self.cause = "time limit" if time.monotonic() >= self.warn_at - early else "terminated"
        self.told_to_end = self.told_to_end or number == signal.SIGTERM
        say(f"{name} received and passed on")
        self.family.notify(self.child.pid, number)
        self._write()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.child.pid:
                self.status = self.child.returncode = status

    def _look(self, clock: float) -> None:
        self.family.measure()
        if clock >= self.kill_at:
            self.family.kill(signal.SIGKILL)
            if clock >= self.kill_at + GIVE_UP_S:
                self.status = INPUT_OUTPUT << 8
        elif self.cause:
            # told to end: when that has to be enforced is for the batch system to say
            return
        elif clock >= self.warn_at:
            self._stop("time limit", f"{self.options.limit - (clock - self.started):.0f} s before the run-time limit")
        elif self.watchdog.stands_still(self.capture.bytes, self.family.cpu_seconds):
            self._stop("no progress", f"no output and no CPU time for {self.options.no_progress:.0f} s")
            self.kill_at = clock + self.options.kill_after

    def _stop(self, cause: str, why: str) -> None:
        self.cause, self.told_to_end = cause, True
        say(f"{why}: SIGTERM sent to the command")
        self.family.notify(self.child.pid, signal.SIGTERM)
        self._write()

    def _drain(self, output: int) -> None:
        """What is still in the pipe; somebody who escaped may hold it open."""
        os.set_blocking(output, False)
        until = time.monotonic() + DRAIN_S
        while time.monotonic() < until:
            try:
                data = os.read(output, 1 << 20)
            except BlockingIOError:
                return
            if not data:
                return
            self.capture.feed(data)

    def _end(self) -> int:
        self.capture.finish()
        status = self.status or 0
        if self.cause == "no progress":
            status = INPUT_OUTPUT << 8
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        code = None if number else os.WEXITSTATUS(status)
        self._write(state="ended", stopped=now(), exit_code=code, signal=number)
        how = f"was killed by signal {number}" if number else f"ended with exit code {code}"
        say(
            f"{how}{f' ({self.cause})' if self.cause else ''} after {self.record['seconds']:.1f} s, "
            f"CPU time {self.family.cpu_seconds:.1f} s, peak memory {self.family.peak_memory_mb} MB"
        )
        return status


def _listen() -> int:
    """Descriptor from which the numbers of arriving signals are read, in the main loop and not in a handler."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (*PASSED_ON, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return reader


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the command on stdin and watch it.")
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--log", type=Path, action="append", default=[])
    parser.add_argument("--stdout-bytes", type=int, default=0)
    parser.add_argument("--heartbeat", type=float, default=60.0)
    parser.add_argument("--no-progress", type=float, default=0.0)
    parser.add_argument("--limit", type=float, default=0.0)
    parser.add_argument("--warn", type=float, default=0.0)
    parser.add_argument("--kill-after", type=float, default=30.0)
    return parser.parse_args(arguments)


def main() -> None:
    """Run the command on stdin as the arguments say, and end as it does."""
    options = _options(sys.argv[1:])
    command = sys.stdin.buffer.read().strip()
    try:
        status = Payload(options).run(command)
    except OSError as error:
        say(f"the command could not be run: {error}")
        status = MACHINE_MISSING << 8
    die(status)
