"""The executor on a real HTCondor pool and a real SLURM cluster, both started here on loopback.

Opt-in, because it installs packages and needs root: ``SNPOINT_TEST_CLUSTERS=1 pytest tests/clusters``. Once asked for,
nothing is skipped: a cluster that does not start is a failure.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        os.environ.get("SNPOINT_TEST_CLUSTERS") != "1", reason="SNPOINT_TEST_CLUSTERS=1 starts clusters"
    ),
]


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


def script(name: str) -> None:
    """Run one of the start and stop scripts."""
    # a file and not a pipe: the daemons keep what they inherit open
    log = Path("/var/tmp") / f"snpoint-{name}.log"  # noqa: S108
    with log.open("w") as output:
        done = subprocess.run(["bash", str(HERE / name)], check=False, stdout=output, stderr=output, timeout=400)
    assert done.returncode == 0, log.read_text()[-3000:]


@pytest.fixture(scope="module", params=["htcondor", "slurm"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Each batch system in turn, with an empty queue."""
    name = request.param
    environment = dict(os.environ)
    try:
        script(f"start_{name}.sh")
        if name == "htcondor":
            home = Path(os.environ.get("HTC_HOME", "/var/tmp/snpoint-test-htcondor"))  # noqa: S108
            environment["CONDOR_CONFIG"] = str(home / "condor_config")
            environment["PATH"] = f"{environment['PATH']}:{home}/prefix/usr/bin"
        ready = Cluster(name, environment)
        assert ready.queue() == []
        yield ready
    finally:
        script(f"stop_{name}.sh")


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
Start = Callable[[str], subprocess.Popen[str]]

FINE = "cp {input} {output}"
FAILING = "echo detector is upside down > {log}; exit 65"
ENDLESS = "sleep 600"


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Folder for the toy workflow, with the project's profiles and templates."""
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow/templates").symlink_to(REPOSITORY / "workflow/templates")
    for name in ("htcondor", "slurm"):
        (tmp_path / name).symlink_to(REPOSITORY / "profiles" / name)
    return tmp_path


def command(cluster: Cluster, *arguments: str) -> list[str]:
    """Snakemake with the cluster's profile, made impatient."""
    quick = ["--seconds-between-status-checks", "1", "--latency-wait", "10"]
    return [sys.executable, "-m", "snakemake", "--profile", cluster.name, *quick, *arguments]


@pytest.fixture
def start(cluster: Cluster, toy: Path) -> Iterator[Start]:
    """Starts the toy workflow with a command in its last rule; a pipeline that still runs in the end is interrupted."""
    processes = []

    def started(last: str) -> subprocess.Popen[str]:
        (toy / "Snakefile").write_text(TOY.replace("COMMAND", last))
        processes.append(
            subprocess.Popen(
                command(cluster),
                cwd=toy,
                env=cluster.environment,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return processes[-1]

    yield started
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


def wait_for_last_job(cluster: Cluster) -> str:
    """Id of the toy's last job, once it runs."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if jobs := cluster.running("end"):
            return jobs[0]
        time.sleep(0.3)
    raise AssertionError("the last job did not start")


def ids(stderr: str) -> dict[str, str]:
    """Rule -> id of the submitted job."""
    return dict(re.findall(r"\((\w+)[\w.]*\) submitted to \w+: (\d+)", stderr))


def test_workflow_runs_and_its_requests_arrive(cluster: Cluster, toy: Path, start: Start) -> None:
    stderr = start(FINE).communicate(timeout=120)[1]
    assert "4 of 4 steps (100%) done" in stderr, stderr
    assert (toy / "out/end.txt").read_text().startswith("CUDA_VISIBLE_DEVICES=")
    assert "OMP_NUM_THREADS=2" in (toy / "out/gpu.txt").read_text().splitlines()
    assert cluster.requests(ids(stderr)["gpu"]) == {"cpus": 2, "memory_mb": 700, "gpus": 1, "runtime_min": 90}
    assert cluster.requests(ids(stderr)["end"]) == {"cpus": 1, "memory_mb": 300, "gpus": 0, "runtime_min": 10}
    assert cluster.queue() == []


def test_exit_code_and_log_of_a_failing_job_are_shown(cluster: Cluster, toy: Path, start: Start) -> None:
    process = start(FAILING)
    stderr = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "exit code 65" in stderr
    assert "| detector is upside down" in stderr
    assert not (toy / "out/end.txt").exists()


def test_job_removed_from_outside_is_a_failure(cluster: Cluster, toy: Path, start: Start) -> None:
    process = start(ENDLESS)
    cluster.remove(wait_for_last_job(cluster))
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert re.search("removed from the queue: via condor_rm|CANCELLED", stderr), stderr


def test_held_job_is_a_failure_with_its_reason(cluster: Cluster, toy: Path, start: Start) -> None:
    process = start(ENDLESS)
    job = wait_for_last_job(cluster)
    if cluster.name == "htcondor":
        cluster.run("condor_hold", "-reason", "for a look", job)
    else:
        cluster.run("scontrol", "requeuehold", job)
    stderr = process.communicate(timeout=90)[1]
    assert process.returncode == 1
    assert re.search(
        r"held by HTCondor \(code 1/0\): for a look|held by SLURM \(job requeued in held state\)", stderr
    ), stderr
    assert cluster.queue() == []


def test_interrupted_pipeline_leaves_no_job(cluster: Cluster, toy: Path, start: Start) -> None:
    process = start(ENDLESS)
    wait_for_last_job(cluster)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert f"Removed 1 jobs from {cluster.name}" in stderr
    deadline = time.monotonic() + 30
    while cluster.queue() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert cluster.queue() == []


def test_demo_version_is_trained_by_batch_jobs(cluster: Cluster, tiny_project: Path) -> None:
    """Every stage from the simulation to the metrics, each in its own job; the training asks for a GPU."""
    version = tiny_project / "configs/electron_direction/v0.yaml"
    text, replaced = re.subn(
        r"(?m)^job: .*", "job: {cpus: 2, memory_gb: 6.0, runtime_h: 1.0, gpus: 1}", version.read_text()
    )
    assert replaced == 1
    version.write_text(text)
    metrics = tiny_project / "results/electron_direction/v0/evaluate/metrics.json"
    done = subprocess.run(
        command(cluster, str(metrics.relative_to(tiny_project))),
        cwd=tiny_project,
        env=cluster.environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert json.loads(metrics.read_text())["n"] > 0
    asked = {"cpus": 2, "memory_mb": 6000, "gpus": 1, "runtime_min": 60}
    assert cluster.requests(ids(done.stderr)["train"]) == asked
    suffix = {"htcondor": "sub", "slurm": "sbatch"}[cluster.name]
    assert (tiny_project / f"results/electron_direction/v0/jobs/train.1.{suffix}").is_file()
    assert cluster.queue() == []
