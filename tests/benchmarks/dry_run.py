"""Dry run of many versions: what reading, checking and passing on their settings costs on top of Snakemake itself.

    python tests/benchmarks/dry_run.py                          # 1,000 versions, 5 alternating pairs; the goal is 1.3
    python tests/benchmarks/dry_run.py --versions 1000 10000 --pairs 3
    python tests/benchmarks/dry_run.py --submit                 # a real run, up to its first submission

Compared are `snakemake -n --quiet rules` with the project's rules, with the same rules whose params and resources are
constants, and, to see what the checks at the start cost, with those rules and without the checks. CPU time and memory
are of the whole process; the speed of a shared machine varies, so that only ratios within a pair count.

With ``--submit`` it is timed how long a run with `--profile slurm` takes until it calls `sbatch`, which is a stand-in
that refuses: the requests of all jobs are checked before that. (2 cores, 1,000 versions, 4,044 jobs: 9 s, of which the
check 1.4 s; a dry run 9.7 s.)
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).parents[2]
VERSION = """\
why: version {number} of many, to see how long a dry run takes
status: active
extends: v0
apply_to: []
train: {{learning_rate: {rate:.6f}, seed: {number}}}
job: {{cpus: {cpus}, memory_gb: {memory:.1f}}}
"""
SETTINGS = """def settings(stage, **fixed):
    return "constant"


def resource(stage, name):
    numbers = {"threads": 2, "mem_mb": 4000, "disk_mb": 1000, "runtime": 60, "gpu": 0}
    return numbers.get(name, "")


"""
CHECKS = r"try:\n    preflight\.check_active\(\).*?recovery\.remember_unfinished\(\)\n"
REFUSING = """\
#!/bin/sh
[ "$1" = --version ] && exit 0
[ -e CALLED ] || date +%s.%N > CALLED
echo "sbatch: error: Memory specification can not be satisfied" >&2
exit 1
"""
GOAL_RATIO, GOAL_MB, GOAL_AT = 1.3, 300.0, 1000


@dataclass(frozen=True)
class Cost:
    """What one dry run took."""

    cpu_s: float
    memory_mb: float
    jobs: int


def make_project(folder: Path, versions: int) -> Path:
    """A project with many active versions, all on the demo's dataset."""
    shutil.copytree(REPOSITORY / "configs", folder / "configs")
    shutil.copytree(REPOSITORY / "workflow/rules", folder / "workflow/rules")
    shutil.copy(REPOSITORY / "Snakefile", folder)
    (folder / "results").mkdir()
    for number in range(100, 100 + versions):
        text = VERSION.format(number=number, rate=0.001 + number * 1e-6, cpus=1 + number % 4, memory=2.0 + number % 8)
        (folder / f"configs/electron_direction/v{number}.yaml").write_text(text, encoding="utf-8")
    return folder


def with_constants(project: Path, target: Path, checks: bool) -> Path:
    """The same project with constant params and resources, with or without the checks at the start."""
    shutil.copytree(project, target)
    common = target / "workflow/rules/common.smk"
    text = common.read_text(encoding="utf-8")
    begin, end = text.index("def settings("), text.index("def job_resources(")
    text = text[:begin] + SETTINGS + text[end:]
    if not checks:
        text, count = re.subn(CHECKS, "", text, flags=re.DOTALL)
        assert count == 1, "the checks of common.smk look different now"
    common.write_text(text, encoding="utf-8")
    return target


def dry_run(project: Path) -> Cost:
    """CPU time and memory of one dry run."""
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules"]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=project, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        output.seek(0)
        text = output.read().decode()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(text[-2000:])
    total = re.search(r"^total\s+(\d+)", text, re.MULTILINE)
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, int(total[1]) if total else 0)


def compare(versions: int, pairs: int) -> bool:
    """Print one line; whether the goal is met (where there is one)."""
    with tempfile.TemporaryDirectory() as place:
        ours = make_project(Path(place) / "ours", versions)
        constant = with_constants(ours, Path(place) / "constant", checks=True)
        bare = with_constants(ours, Path(place) / "bare", checks=False)
        costs = [[dry_run(project) for project in (ours, constant, bare)] for _ in range(pairs)]
    jobs = costs[0][0].jobs
    assert {cost.jobs for row in costs for cost in row} == {jobs}, "the variants do not make the same jobs"
    ratio = median(row[0].cpu_s / row[1].cpu_s for row in costs)
    whole = median(row[0].cpu_s / row[2].cpu_s for row in costs)
    memory = max(row[0].memory_mb for row in costs)
    cpu = [median(row[index].cpu_s for row in costs) for index in range(3)]
    sys.stdout.write(
        f"{versions} versions, {jobs} jobs: {cpu[0]:.1f} s CPU, {memory:.0f} MB; constant params and resources"
        f" {cpu[1]:.1f} s (ratio {ratio:.2f}), also without checks {cpu[2]:.1f} s (ratio {whole:.2f})\n"
    )
    sys.stdout.flush()
    return versions != GOAL_AT or (ratio <= GOAL_RATIO and memory <= GOAL_MB)


def submit(versions: int) -> None:
    """Print how long a real run takes until it submits its first job."""
    with tempfile.TemporaryDirectory() as place:
        project, binaries = make_project(Path(place) / "project", versions), Path(place) / "bin"
        shutil.copytree(REPOSITORY / "profiles/slurm", project / "slurm")
        shutil.copytree(REPOSITORY / "workflow/templates", project / "workflow/templates")
        binaries.mkdir()
        called = binaries / "called"
        for name, text in {"sbatch": REFUSING.replace("CALLED", str(called)), "scontrol": "#!/bin/sh\n"}.items():
            (binaries / name).write_text(text, encoding="utf-8")
            (binaries / name).chmod(0o755)
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--quiet", "rules"]
        environment = os.environ | {"PATH": f"{binaries}:{os.environ['PATH']}"}
        began = time.time()
        result = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
        if not called.exists():
            raise SystemExit(result.stderr[-2000:])
        sys.stdout.write(f"{versions} versions: first submission after {float(called.read_text()) - began:.1f} s\n")


def main() -> None:
    """Compare, for each number of versions; exit code 1 if the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--versions", type=int, nargs="+", default=[1000])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--submit", action="store_true")
    given = parser.parse_args()
    if given.submit:
        for versions in given.versions:
            submit(versions)
        return
    met = [compare(versions, given.pairs) for versions in given.versions]
    sys.exit(not all(met))


if __name__ == "__main__":
    main()
