"""The executor on a real HTCondor pool and a real SLURM cluster: what is the same on both (see toy.py)."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

from toy import ENDLESS, FAILING, FINE, OPT_IN, Cluster, Pipelines, ids, snakemake, wait_for, wait_for_last_job

pytestmark = OPT_IN


def test_workflow_runs_and_its_requests_arrive(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    stderr = start(FINE).communicate(timeout=120)[1]
    assert "4 of 4 steps (100%) done" in stderr, stderr
    assert (toy / "out/end.txt").read_text().startswith("CUDA_VISIBLE_DEVICES=")
    assert "OMP_NUM_THREADS=2" in (toy / "out/gpu.txt").read_text().splitlines()
    assert cluster.requests(ids(stderr)["gpu"]) == {"cpus": 2, "memory_mb": 700, "gpus": 1, "runtime_min": 90}
    assert cluster.requests(ids(stderr)["end"]) == {"cpus": 1, "memory_mb": 300, "gpus": 0, "runtime_min": 10}
    assert cluster.queue() == []


def test_exit_code_and_log_of_a_failing_job_are_shown(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    process = start(FAILING)
    stderr = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "exit code 65" in stderr
    assert "| detector is upside down" in stderr
    assert not (toy / "out/end.txt").exists()


def test_job_removed_from_outside_is_a_failure(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    process = start(ENDLESS)
    cluster.remove(wait_for_last_job(cluster))
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert re.search("removed from the queue: via condor_rm|CANCELLED", stderr), stderr


def test_held_job_is_a_failure_with_its_reason(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    process = start(ENDLESS)
    job = wait_for_last_job(cluster)
    if cluster.name == "htcondor":
        cluster.run("condor_hold", "-reason", "for a look", job)
    else:
        cluster.run("scontrol", "requeuehold", job)
    stderr = process.communicate(timeout=90)[1]
    assert process.returncode == 1
    assert re.search(r"held: for a look .*\(code 1/0\)|job requeued in held state", stderr), stderr
    assert cluster.queue() == []


def test_interrupted_pipeline_leaves_no_job(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    process = start(ENDLESS)
    wait_for_last_job(cluster)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert f"Removed 1 jobs from {cluster.name}" in stderr
    wait_for(lambda: cluster.queue() == [], "the queue is empty", 30)


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
        snakemake(cluster, str(metrics.relative_to(tiny_project))),
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
