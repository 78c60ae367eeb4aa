"""The folder the pipeline runs in: profiles, place, space, clock, lock."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from snpoint import lock, paths
from snpoint.errors import SnpointError
from snpoint.health.finding import Finding, answer, fail, ok, several, warn
from snpoint.health.job import probe_write
from snpoint.journal import Journal
from snpoint.site import Site

PROFILES = ("local", "htcondor", "slurm")
LOCAL_FILESYSTEMS = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "ramfs", "overlay", "f2fs"}
LITTLE_GB, NOTHING_GB = 5.0, 0.2
CLOCK_S = 5.0


def profiles() -> Iterator[Finding]:
    """Whether `snakemake --profile NAME` finds each profile: links survive neither ZIP nor every checkout."""
    broken = 0
    for name in PROFILES:
        link, target = Path(name), Path("profiles") / name
        if not (target / "profile.yaml").is_file():
            yield fail("profiles", f"{target}/profile.yaml does not exist", "get the whole project: git checkout .")
        elif link.is_file():
            text = f"{name} is a file with the text {link.read_text(errors='replace')[:40]!r}, not a link to {target}"
            yield fail("profiles", text, f"rm {name} && ln -s {target} {name} (git: config core.symlinks true)")
        elif not (link / "profile.yaml").is_file():
            yield fail("profiles", f"{name}/profile.yaml does not exist", f"put a link there: ln -s {target} {name}")
        else:
            continue
        broken += 1
    if not broken:
        yield ok("profiles", f"{', '.join(PROFILES)} are found")


def place(site: Site, batch: bool) -> Iterator[Finding]:
    """Whether jobs can work in this folder."""
    here = Path.cwd()
    if re.search(r"\s", f"{here}{here.resolve()}"):
        yield fail("folder", f"{str(here)!r} contains a space, which submit files cannot carry", "move or rename it")
        return
    if refusal := site.refusal(here):
        yield fail("folder", refusal, "clone the project elsewhere")
        return
    kind = filesystem(here)
    if not batch:
        yield ok("folder", f"{here} ({kind})")
    elif here.resolve().is_relative_to("/tmp") or here.resolve().is_relative_to("/var/tmp"):  # noqa: S108
        yield warn("folder", f"{here}: every machine has a /tmp of its own", "clone where the workers see it")
    elif kind in LOCAL_FILESYSTEMS:
        yield warn("folder", f"{here} is on a disk of this machine ({kind})", "right only if the jobs run on it, too")
    else:
        yield ok("folder", f"{here} ({kind}, shared)")


def filesystem(path: Path) -> str:
    """Type of the file system that a path lies on."""
    resolved = path.resolve()
    best, kind = Path("/"), "unknown"
    for line in Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
        _, point, found, *_ = line.split(" ")
        mounted = Path(point.replace("\\040", " "))
        if resolved.is_relative_to(mounted) and len(mounted.parts) >= len(best.parts):
            best, kind = mounted, found
    return kind


def space() -> Iterator[Finding]:
    """Room for the records of Snakemake and for results, by the quota commands of AFS and EOS where there are any."""
    here, results = Path.cwd().resolve(), paths.RESULTS.resolve()
    places = {"work folder": here}
    if results.is_dir() and not (results.is_relative_to(here) and results.stat().st_dev == here.stat().st_dev):
        places["results"] = results
    for name, there in places.items():
        try:
            seconds = probe_write(there)
        except SnpointError as error:
            yield fail(name, str(error), "")
            continue
        free, source = _free_gb(there)
        text = f"{there}: 1 MB written in {seconds * 1000:.0f} ms, {source}"
        if free is not None and free < NOTHING_GB:
            yield fail(name, text, "make room: the next run would fail")
        elif free is not None and free < LITTLE_GB:
            yield warn(name, text, "make room before a long run")
        else:
            yield ok(name, text)


def _free_gb(folder: Path) -> tuple[float | None, str]:
    """Free space by quota or by the file system, and how it is known. (The commands of AFS and EOS: as documented.)"""
    kind = filesystem(folder)
    if kind == "afs" or folder.is_relative_to("/afs"):
        fields = (answer("fs", "listquota", str(folder)) or "").splitlines()[-1:]
        numbers = re.findall(r"\s(\d+)\s+(\d+)\s", fields[0]) if fields else []
        if not numbers:
            return None, "AFS quota unknown (fs listquota does not answer)"
        free = (int(numbers[0][0]) - int(numbers[0][1])) / 1e6
        return free, f"{free:.1f} GB of the AFS quota are free"
    if folder.is_relative_to("/eos"):
        lines = (answer("eos", "quota", str(folder)) or "").strip().splitlines()
        return (
            None,
            f"EOS quota: {lines[-1].strip()[:120]}" if lines else "EOS quota unknown (eos quota does not answer)",
        )
    free = shutil.disk_usage(folder).free / 1e9
    return free, f"{free:.1f} GB free ({kind})"


def clock() -> Iterator[Finding]:
    """Time of the file system against that of this machine: Snakemake decides by the times of files."""
    folder = Path(".snakemake") if Path(".snakemake").is_dir() else Path()
    before, there, after = time.time(), lock.time_of(folder), time.time()
    # a file system rounds its times
    ahead = there - after if there > after else min(0.0, there - before + 0.1)
    if abs(ahead) > CLOCK_S:
        text = (
            f"files of {Path.cwd()} are dated {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine"
        )
        yield warn("clock", text, "results look newer or older than their inputs; ask the site to set the clock")
    else:
        yield ok("clock", f"the file system agrees within {max(abs(ahead), 0.1):.1f} s")


def left_behind() -> Iterator[Finding]:
    """A lock, and jobs of an earlier run."""
    if lock.lock_files():
        owner = lock.owner()
        yield warn("lock", f"locked by {owner or 'an unknown run'}", "if it is dead: snpoint unlock")
    else:
        yield ok("lock", "not locked")
    entries = Journal().open_entries()
    if entries:
        jobs = several(len(entries), "job")
        yield ok("journal", f"{jobs} of an earlier run may be in the queue; the next run goes on with what is there")
