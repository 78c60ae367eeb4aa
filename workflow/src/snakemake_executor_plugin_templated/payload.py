"""Runs one command and watches it: the process of a batch job.

Signals and exit codes pass through unchanged. In between, the command's output is capped, a record of the job is kept
up to date, a command that hangs is ended, and one that reaches the run-time limit is warned.

Started by path with whatever Python a worker has: standard library only, Python 3.9.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

if __package__:
    from .machine import Family, facts
else:
    from machine import Family, facts

FORMAT_VERSION = 1
MACHINE_MISSING = 69
INPUT_OUTPUT = 74
SAMPLE_S = 1.0
LONGEST_ARGUMENT = 120_000
"""Linux refuses a single argument of 128 KiB (MAX_ARG_STRLEN); a command may name thousands of files."""
STANDSTILL = 0.002
"""Share of a core below which a command stands still: threads that only wake up to look use that much."""
DRAIN_S = 5.0
PASSED_ON = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def read_record(path: str | Path) -> dict[str, Any] | None:
    """Record of a job, or None where there is none (or none that can be read)."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and content.get("format_version") == FORMAT_VERSION else None


def write_record(path: str | Path, content: dict[str, Any]) -> None:
    """Write the record whole or not at all. A folder that cannot be written must not end the job: it is said once."""
    temporary = Path(f"{path}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=2)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        if str(path) not in _unwritable:
            say(f"{path} cannot be written ({error.strerror}): the job goes on without it")
        _unwritable.add(str(path))


_unwritable: set[str] = set()


def say(text: str) -> None:
    """One line into the job's output."""
    _write_all(f"[snpoint] {text}\n".encode())


def _write_all(data: bytes | memoryview) -> None:
    """Write to the job's output; where that fails (disk full), the output is lost, not the job."""
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError:
        pass


class Capture:
    """Passes output on up to a limit: the first half at once, of the rest the last half when all is over."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self._head = limit - limit // 2
        self._tail = bytearray()

    @property
    def dropped(self) -> int:
        """How many bytes were left out."""
        return max(0, self.bytes - self.limit) if self.limit else 0

    def feed(self, data: bytes) -> None:
        """Take what the command wrote."""
        begin = self.bytes
        self.bytes += len(data)
        if not self.limit:
            _write_all(data)
            return
        left = max(0, self._head - begin)
        _write_all(data[:left])
        rest = data[left:]
        if begin + left == self._head and rest and begin <= self._head:
            say(f"more than {self._head} bytes of output: from here on only its end is kept, and shown at the end")
        self._keep(rest, max(begin, self._head) - self._head)

    def _keep(self, data: bytes, position: int) -> None:
        """Into the ring, at the position counted from the end of the head."""
        size = self.limit // 2
        position += max(0, len(data) - size)
        data = data[-size:] if size else b""
        while data:
            place = position % size
            part = data[: size - place]
            # grows with what is really written, up to its size
            self._tail[place : place + len(part)] = part
            position += len(part)
            data = data[len(part) :]

    def finish(self) -> None:
        """Show the end of the output."""
        if self.dropped:
            say(f"{self.dropped} of {self.bytes} bytes of output were left out here")
        size = self.limit // 2
        cut = (self.bytes - self._head) % size if self.dropped and size else 0
        _write_all(memoryview(self._tail)[cut:])
        _write_all(memoryview(self._tail)[:cut])


class Watchdog:
    """Tells when a command does nothing any more: no output, nothing in its log files, no CPU time."""

    def __init__(self, seconds: float, logs: list[Path]) -> None:
        self._seconds = seconds
        self._logs = logs
        self._since = self._looked = time.monotonic()
        self._cpu = 0.0
        self._seen: list[object] = [0, None]

    def stands_still(self, output: int, cpu: float) -> bool:
        """Whether there was no progress for too long."""
        if not self._seconds:
            return False
        now = time.monotonic()
        # this process was stopped (a suspended job): so was the command
        if now - self._looked > 60 * SAMPLE_S:
            self._since += now - self._looked
        self._looked = now
        busy = cpu - self._cpu > max(0.05, STANDSTILL * (now - self._since))
        seen: list[object] = [output, [_touched(log) for log in self._logs]]
        if busy or seen != self._seen:
            self._since, self._cpu, self._seen = now, cpu, seen
        return now - self._since >= self._seconds


def _touched(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


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
        self.status: int | None = None
        self.kill_at = self.warn_at = float("inf")
        if options.limit:
            self.warn_at = self.started + options.limit - min(options.warn, options.limit / 2)
        self.record = {
            "format_version": FORMAT_VERSION,
            "state": "running",
            **{key: self.machine[key] for key in ("node", "host", "job_id")},
            "pid": os.getpid(),
            "started": _now(),
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
        try:
            self._follow(output, wakeup)
        finally:
            self.family.kill(signal.SIGKILL)
        self._drain(output)
        return self._end()

    def _introduce(self) -> None:
        machine, limit = self.machine, self.options.limit
        memory = f"limit {machine['memory_mb']} MB" if machine["memory_mb"] else "without limit"
        say(
            f"host {machine['host']} (node {machine['node']}), job {machine['job_id'] or 'without number'}, "
            f"{machine['cpus']} cores, memory {memory}, "
            f"run time {f'limit {limit:.0f} s' if limit else 'without limit'}, scratch {tempfile.gettempdir()}"
        )
        say(f"GPUs: {'; '.join(self.machine['gpus']) or 'none'}")

    def _write(self, **more: Any) -> None:
        self.record |= {
            "heartbeat": _now(),
            "cause": self.cause,
            "seconds": round(time.monotonic() - self.started, 3),
            "cpu_seconds": round(self.family.cpu_seconds, 3),
            "peak_memory_mb": self.family.peak_memory_mb,
            "stdout_bytes": self.capture.bytes,
            "stdout_dropped_bytes": self.capture.dropped,
            **more,
        }
        write_record(self.options.record, self.record)

    def _start(self, command: bytes) -> int:
        """Start the command in a process group of its own and return the end of the pipe with its output."""
        libc = ctypes.CDLL(None, use_errno=True)
        # what a command leaves behind becomes a child of this process and can be ended
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        parent = os.getpid()

        def tie() -> None:
            os.setpgid(0, 0)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        reader, writer = os.pipe()
        machine = {key: self.machine[key] for key in ("node", "cpus", "memory_mb", "gpus")}
        environment = {**os.environ, "SNPOINT_MACHINE": json.dumps(machine)}
        if self.machine["job_id"]:
            environment["SNPOINT_JOB_ID"] = self.machine["job_id"]
        arguments: list[bytes | str] = ["bash", "-euo", "pipefail", "-c", command]
        with tempfile.TemporaryFile() as script:
            if len(command) >= LONGEST_ARGUMENT:
                script.write(command)
                script.flush()
                arguments[-2:] = [f"/dev/fd/{script.fileno()}"]
            self.child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                env=environment,
                preexec_fn=tie,
                pass_fds=[script.fileno()] if len(arguments) == 4 else [],
            )
        os.close(writer)
        self.family.excluded.add(_guard(self.child.pid))
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
            now = time.monotonic()
            if now >= look_at:
                self._look(now)
                cost = time.monotonic() - now
                # on a node with thousands of processes looking is expensive
                look_at = now + max(SAMPLE_S, 50 * cost)
            if now >= beat_at:
                self._write()
                beat_at = now + self.options.heartbeat

    def _signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number == signal.SIGCHLD:
                self._reap()
            elif self.status is None:
                if number in ENDING and not self.cause:
                    self.cause = "terminated"
                say(f"{signal.Signals(number).name} received and passed on")
                self.family.notify(self.child.pid, number)
                self._write()

    def _reap(self) -> None:
        # memory of a process that is about to end is gone with it: getrusage keeps its peak
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.child.pid:
                self.status = status
                self.child.returncode = status

    def _look(self, now: float) -> None:
        self.family.measure()
        if now >= self.kill_at:
            self.family.kill(signal.SIGKILL)
        elif self.cause == "" and now >= self.warn_at:
            self._stop("time limit", f"{self.options.limit - (now - self.started):.0f} s before the run-time limit")
        elif self.cause != "no progress" and self.watchdog.stands_still(self.capture.bytes, self.family.cpu_seconds):
            self._stop("no progress", f"no output and no CPU time for {self.options.no_progress:.0f} s")
            self.kill_at = now + self.options.kill_after

    def _stop(self, cause: str, why: str) -> None:
        self.cause = cause
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
        self.family.measure()
        self.capture.finish()
        status = self.status or 0
        if self.cause == "no progress":
            status = INPUT_OUTPUT << 8
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        code = None if number else os.WEXITSTATUS(status)
        self._write(state="ended", stopped=_now(), exit_code=code, signal=number)
        how = f"was killed by signal {number}" if number else f"ended with exit code {code}"
        say(
            f"{how}{f' ({self.cause})' if self.cause else ''} after {self.record['seconds']:.1f} s, "
            f"CPU time {self.family.cpu_seconds:.1f} s, peak memory {self.family.peak_memory_mb} MB"
        )
        return status


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


def _listen() -> int:
    """Descriptor from which the numbers of arriving signals are read, in the main loop and not in a handler."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for name in (*PASSED_ON, "SIGCHLD"):
        signal.signal(getattr(signal, name), lambda *_: None)
    return reader


def _guard(group: int) -> int:
    """Fork a process that ends the command's process group if this process is killed; returns its number."""
    # the writing end stays open in this process alone, until it is gone
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(reader)
        return pid
    try:
        # out of reach of a signal to the whole group of the job
        os.setsid()
        signal.set_wakeup_fd(-1)
        for name in PASSED_ON:
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        os.close(writer)
        os.dup2(reader, 0)
        os.closerange(1, 256)
        os.read(0, 1)
        os.killpg(group, signal.SIGKILL)
    finally:
        os._exit(0)


def _die(status: int) -> None:
    """End as the command did: with its exit code, or by its signal."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # still here: the first process of a container does not die of signals
        os._exit(128 + number)
    os._exit(os.WEXITSTATUS(status))


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
    _die(status)


if __name__ == "__main__":
    main()
