"""What the cluster tests share: two batch systems, started on loopback, and workflows of shell jobs to run on them.

Opt-in, because it installs packages and needs root: ``SNPOINT_TEST_CLUSTERS=1 pytest tests/clusters``. Once asked for,
a cluster that does not start is a failure; only without root or user namespaces the tests are skipped, and not in CI.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
HTCONDOR_HOME = Path(os.environ.get("HTC_HOME", "/var/tmp/snpoint-test-htcondor"))  # noqa: S108

OPT_IN = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        os.environ.get("SNPOINT_TEST_CLUSTERS") != "1", reason="SNPOINT_TEST_CLUSTERS=1 starts clusters"
    ),
]


def only(name: str) -> list[pytest.MarkDecorator]:
    """Marks of a module whose tests need one cluster: htcondor, slurm or slurm_accounting."""
    return [*OPT_IN, pytest.mark.parametrize("cluster", [name], indirect=True)]


@dataclass(frozen=True)
class Cluster:
    """A running batch system and its commands."""

    name: str
    environment: dict[str, str]

    def run(self, *command: str) -> str:
        """Output of a command on the submit node."""
        done = subprocess.run(command, env=self.environment, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def queue(self) -> list[str]:
        """Ids of the jobs that have not ended."""
        if self.name == "htcondor":
            return self.run("condor_q", "-allusers", "-af", "ClusterId").split()
        return self.run("squeue", "--noheader", "--format=%i").split()

    def running(self, name: str) -> list[str]:
        """Ids of the running jobs of this name."""
        if self.name == "htcondor":
            constraint = f'JobStatus == 2 && JobBatchName == "{name}"'
            return self.run("condor_q", "-allusers", "-constraint", constraint, "-af", "ClusterId").split()
        return self.run("squeue", "--noheader", "--states=RUNNING", f"--name={name}", "--format=%i").split()

    def remove(self, job: str) -> None:
        """Remove a job behind the pipeline's back."""
        self.run("condor_rm" if self.name == "htcondor" else "scancel", job)

    def requests(self, job: str) -> dict[str, int]:
        """What an ended job had asked for: cores, memory, GPUs and, in minutes, run time."""
        if self.name == "htcondor":
            names = ["RequestCpus", "RequestMemory", "RequestGpus", "MaxRuntime"]
            text = self.run("condor_history", job, "-limit", "1", "-af", *names).split()
            cpus, memory, gpus, seconds = (0 if value == "undefined" else int(value) for value in text)
            return {"cpus": cpus, "memory_mb": memory, "gpus": gpus, "runtime_min": seconds // 60}
        text = self.run("scontrol", "show", "job", job)
        limit = re.search(r"TimeLimit=(\d+):(\d+):00", text)
        gpus = re.search(r"TresPerNode=gres:gpu(?::a100)?:(\d+)", text)
        memory = re.search(r"MinMemoryNode=([\d.]+)([MG])", text)
        assert limit and memory, text
        return {
            "cpus": int(re.search(r"CPUs/Task=(\d+)", text)[1]),
            "memory_mb": round(float(memory[1]) * (1024 if memory[2] == "G" else 1)),
            "gpus": int(gpus[1]) if gpus else 0,
            "runtime_min": int(limit[1]) * 60 + int(limit[2]),
        }


def script(name: str, **variables: str) -> None:
    """Run one of the start and stop scripts."""
    # a file and not a pipe: the daemons keep what they inherit open
    log = Path("/var/tmp") / f"snpoint-{name}.log"  # noqa: S108
    environment = os.environ | variables
    with log.open("w") as output:
        done = subprocess.run(
            ["bash", str(HERE / name)], env=environment, check=False, stdout=output, stderr=output, timeout=400
        )
    assert done.returncode == 0, log.read_text()[-3000:]


def missing(name: str) -> str:
    """What this machine lacks to start a cluster, or nothing."""
    if os.geteuid():
        return "root"
    if name == "htcondor":
        namespace = subprocess.run(["unshare", "--user", "--map-user=1", "true"], check=False, capture_output=True)
        if namespace.returncode:
            return "user namespaces"
    return ""


@contextmanager
def running_cluster(name: str) -> Iterator[Cluster]:
    """Start htcondor, slurm or slurm_accounting (SLURM with a database), with an empty queue; stop it in the end."""
    if lack := missing(name):
        message = f"CLUSTER TESTS NOT RUN: {name} cannot be started here without {lack}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    environment = dict(os.environ)
    system = name.partition("_")[0]
    try:
        script(f"start_{system}.sh", **({"SLURM_DBD": "1"} if name == "slurm_accounting" else {}))
        if system == "htcondor":
            environment["CONDOR_CONFIG"] = str(HTCONDOR_HOME / "condor_config")
            environment["PATH"] = f"{environment['PATH']}:{HTCONDOR_HOME}/prefix/usr/bin"
        ready = Cluster(system, environment)
        assert ready.queue() == []
        yield ready
    finally:
        script(f"stop_{system}.sh")


TOY = """
rule all:
    input: "out/end.txt"
    localrule: True
rule gpu:
    output: "out/gpu.txt"
    log: "out/logs/gpu.log"
    threads: 2
    resources: mem_mb=700, disk_mb=200, runtime=90, gpu=1
    shell: "env > {output} 2> {log}"
rule middle:
    input: "out/gpu.txt"
    output: "out/middle.txt"
    log: "out/logs/middle.log"
    resources: mem_mb=300, runtime=10
    shell: "grep CUDA_VISIBLE_DEVICES {input} > {output} 2> {log}"
rule end:
    input: "out/middle.txt"
    output: "out/end.txt"
    log: "out/logs/end.log"
    resources: mem_mb=300, runtime=10
    shell: "COMMAND"
"""

FINE = "cp {input} {output}"
FAILING = "echo detector is upside down > {log}; exit 65"
ENDLESS = "sleep 600"

SINGLE = """
rule end:
    output: "out/end.txt"
    log: "out/logs/end.log"
    threads: 1
    resources: RESOURCES
    shell: "COMMAND"
"""


def single(command: str, resources: str = "mem_mb=300, runtime=10") -> str:
    """A workflow of one batch job, named ``end``."""
    return SINGLE.replace("RESOURCES", resources).replace("COMMAND", command)


def snakemake(cluster: Cluster, *arguments: str) -> list[str]:
    """Snakemake with the cluster's profile, made impatient."""
    quick = ["--seconds-between-status-checks", "1", "--latency-wait", "10"]
    return [sys.executable, "-m", "snakemake", "--profile", cluster.name, *quick, *arguments]


@dataclass
class Pipelines:
    """Starts Snakemake in the toy folder; what still runs in the end is interrupted."""

    cluster: Cluster
    folder: Path

    def __post_init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []

    def __call__(self, workflow: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a pipeline. ``workflow`` is a Snakefile, or the command of the toy workflow's last rule."""
        self.write(workflow)
        process = subprocess.Popen(
            snakemake(self.cluster, *arguments),
            cwd=self.folder,
            env=self.cluster.environment | variables,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def write(self, workflow: str) -> None:
        """Write the Snakefile."""
        text = workflow if "rule " in workflow else TOY.replace("COMMAND", workflow)
        (self.folder / "Snakefile").write_text(text)

    def finish(self, workflow: str, *arguments: str, timeout: float = 120, **variables: str) -> tuple[int, str]:
        """Run a pipeline to its end: exit code and stderr."""
        process = self(workflow, *arguments, **variables)
        stderr = process.communicate(timeout=timeout)[1]
        return process.returncode, stderr

    def stop(self) -> None:
        """Interrupt the pipelines that still run."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=60)


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60) -> object:
    """What ``condition`` returns, once that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.3)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


def wait_for_last_job(cluster: Cluster) -> str:
    """Id of the toy's last job, once it runs."""
    jobs = wait_for(lambda: cluster.running("end"), "the last job runs", 90)
    return jobs[0]


def ids(stderr: str) -> dict[str, str]:
    """Rule -> id of the submitted job."""
    return dict(re.findall(r"\((\w+)[\w.]*\) submitted to \w+: (\d+)", stderr))


def link_project(folder: Path) -> Path:
    """The project's profiles, templates and site files in a folder for the toy workflow."""
    links: Mapping[str, str] = {"workflow/templates": "workflow/templates", "configs/sites": "configs/sites"}
    for name, target in (*links.items(), ("htcondor", "profiles/htcondor"), ("slurm", "profiles/slurm")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(REPOSITORY / target)
    return folder


QUICK = ("--templated-site", "site.yaml")
"""Options of a pipeline with the limits of the folder's site file, which are reached in seconds."""


def said_of_ends(cluster: Cluster, folder: Path, site: str, workflow: str) -> dict[str, str]:
    """Run a workflow whose jobs end in different ways; what was said about failures, by rule, and all of ``stderr``.

    The submit file of a rule ``missing`` names a program that does not exist.
    """
    (link_project(folder) / "site.yaml").write_text(site)
    (template,) = (folder / "workflow/templates").glob(f"{cluster.name}.*.j2")
    gone = template.read_text().replace("{{ wrapper }}", '{{ wrapper }}{{ ".gone" if name == "missing" }}')
    assert gone != template.read_text()
    (folder / "gone.j2").write_text(gone)
    pipelines = Pipelines(cluster, folder)
    code, stderr = pipelines.finish(workflow, *QUICK, "--templated-template", "gone.j2", timeout=200)
    pipelines.stop()
    assert code == 1, stderr
    said = {"stderr": stderr}
    for rule, text in re.findall(r"(?s)Error in rule (\w+):(.*?)(?=\n\[|\nError in rule|\Z)", stderr):
        said[rule] = said.get(rule, "") + text
    return said


def kill_driver(process: subprocess.Popen[str], toy: Path) -> None:
    """Kill -9, then what the manual says."""
    process.kill()
    process.communicate(timeout=30)
    done = subprocess.run([sys.executable, "-m", "snpoint", "unlock"], cwd=toy, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


# the process dies where its own journal says that the job is submitted
DYING = """
import os, signal, sys
import snpoint.journal
snpoint.journal.Journal.submitted = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sys.argv[0] = "snakemake"
from snakemake.cli import main
main()
"""


def crash_after_submission(cluster: Cluster, toy: Path, workflow: str) -> None:
    """A pipeline that dies when its job is in the queue and its journal does not know."""
    (toy / "Snakefile").write_text(workflow)
    command = [sys.executable, "-c", DYING, "--profile", cluster.name, *QUICK]
    process = subprocess.Popen(command, cwd=toy, env=cluster.environment, stderr=subprocess.PIPE, text=True)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert '"submitted"' not in (toy / ".snakemake/templated/jobs.jsonl").read_text()
    kill_driver(process, toy)


def schedd_queries() -> int:
    """How many queries about jobs the schedd has served, by its own log."""
    return len(
        re.findall(r"Calling .*\(QUERY_JOB_ADS\w*\)", (HTCONDOR_HOME / "log/SchedLog").read_text(errors="replace"))
    )
