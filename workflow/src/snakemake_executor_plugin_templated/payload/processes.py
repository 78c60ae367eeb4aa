"""The processes of a job: what they use, who among them gets a signal, and that none is left behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

SHELL = b"bash\0-euo\0pipefail\0"
"""How the command line of the shell begins that runs a rule's command."""
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

Stats = dict[int, tuple[int, float, int]]


class Family:
    """All processes below this one, except some: their CPU time and memory, and who among them gets a signal."""

    def __init__(self) -> None:
        self.excluded: set[int] = set()
        self.cpu_seconds = 0.0
        self.peak_memory_mb = 0
        self._before = _reaped()

    def measure(self) -> None:
        """Take CPU time and memory of this moment into account."""
        stats = _all_processes()
        members = self._members(stats)
        cpu = _reaped() - self._before + sum(stats[pid][1] for pid in members)
        # a process whose parent does not wait for it takes its time along
        self.cpu_seconds = max(self.cpu_seconds, cpu)
        alone = len(members) == 1
        now = sum(stats[pid][2] if alone else _shared_fairly(pid, stats[pid][2]) for pid in members)
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        self.peak_memory_mb = max(self.peak_memory_mb, round(max(now, largest) / 1e6))

    def kill(self, number: int) -> None:
        """Send a signal to every process."""
        for pid in self._members(_all_processes()):
            _kill(pid, number)

    def notify(self, pid: int, number: int) -> None:
        """Send a signal to a command: where it is a shell around the real one, to that (a shell would die of it)."""
        for receiver in _receivers(pid, _all_processes()):
            _kill(receiver, number)

    def _members(self, stats: Stats) -> list[int]:
        return [pid for pid in _descendants(os.getpid(), stats, self.excluded) if pid in stats]


def _reaped() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _all_processes() -> Stats:
    """Parent, CPU seconds (with those of its ended children) and resident bytes of every process, by number."""
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    stats: Stats = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            # the name in parentheses may hold anything
            fields = _read(folder / "stat").rpartition(")")[2].split()
            if len(fields) > 21:
                stats[int(folder.name)] = (int(fields[1]), sum(map(int, fields[11:15])) / tick, int(fields[21]) * page)
    return stats


def _children(stats: Stats) -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for pid, (parent, *_) in stats.items():
        children.setdefault(parent, []).append(pid)
    return children


def _descendants(root: int, stats: Stats, excluded: set[int]) -> list[int]:
    children = _children(stats)
    found: list[int] = []
    todo = [root]
    while todo:
        below = [pid for pid in children.get(todo.pop(), []) if pid not in excluded]
        found += below
        todo += below
    return found


def _receivers(pid: int, stats: Stats) -> list[int]:
    children = _children(stats)
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        below = children.get(one, [])
        if below and _read(Path(f"/proc/{one}/cmdline")).encode().startswith(SHELL):
            todo += below
        else:
            found.append(one)
    return found


def _shared_fairly(pid: int, resident: int) -> int:
    """Memory of one process in bytes, what it shares with others counted in part."""
    for line in _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return resident


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def tied() -> Callable[[], None]:
    """Make this process keep its family together; what a child has to call before it becomes the command.

    The command gets a process group of its own and is killed when this process is. What it leaves behind becomes a
    child of this process.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    parent = os.getpid()

    def tie() -> None:
        os.setpgid(0, 0)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie


def guard(group: int) -> int:
    """Fork a process that kills a whole process group when this process is killed; returns its number."""
    # the writing end stays open in this process alone, until it is gone
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(reader)
        return pid
    try:
        # out of reach of a signal to all of the job
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
        os.close(writer)
        os.dup2(reader, 0)
        os.closerange(1, 256)
        os.read(0, 1)
        os.killpg(group, signal.SIGKILL)
    finally:
        os._exit(0)


def die(status: int) -> None:
    """End as a wait status says: with the exit code, or by the signal."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # still here: the first process of a container does not die of signals
        os._exit(128 + number)
    os._exit(os.WEXITSTATUS(status))
