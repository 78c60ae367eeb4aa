"""The executor on a real SLURM cluster: every kind of end, re-attaching, the number of queries, Ctrl-C.

SLURM comes with and without an accounting database: what depends on it is tested on both.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from toy import (
    ENDLESS,
    OPT_IN,
    QUICK,
    Cluster,
    Pipelines,
    crash_after_submission,
    ids,
    kill_driver,
    said_of_ends,
    single,
    wait_for,
    wait_for_last_job,
)

pytestmark = OPT_IN

ALONE = pytest.mark.parametrize("cluster", ["slurm"], indirect=True)
BOTH = pytest.mark.parametrize("cluster", ["slurm", "slurm_accounting"], indirect=True)
HOME = Path(os.environ.get("SLURM_HOME", "/var/tmp/snpoint-test-slurm"))  # noqa: S108

# a site whose limits are reached in seconds
SITE = """
why: a cluster for tests
unmatched_after_min: 0.1
payload: {warn_s: 30}
"""

# each rule ends in another way, all at the same time
ENDINGS = """
rule all:
    input: expand("out/{x}.txt", x=["gpu", "grows", "long", "large", "missing", "stubborn", "obedient"])
rule gpu:
    output: "out/gpu.txt"
    resources: mem_mb=300, runtime=10, gpu=1, gpu_model="a100"
    shell: "env > {output}"
rule grows:
    output: "out/grows.txt"
    resources: mem_mb=100, runtime=10
    shell: '''python3 -c "import time; held = b'x' * 150_000_000; time.sleep(6); open('{output}', 'w').close()"'''
rule long:
    output: "out/long.txt"
    resources: mem_mb=300, runtime=3000
    shell: "touch {output}"
rule large:
    output: "out/large.txt"
    resources: mem_mb=64000, runtime=10
    shell: "touch {output}"
rule missing:
    output: "out/missing.txt"
    resources: mem_mb=300, runtime=10
    shell: "touch {output}"
rule stubborn:
    output: "out/stubborn.txt"
    resources: mem_mb=300, runtime=1
    shell: "trap '' TERM; sleep 300"
rule obedient:
    output: "out/obedient.txt"
    resources: mem_mb=300, runtime=1
    shell: "sleep 300"
"""


@pytest.fixture
def toy(toy: Path) -> Path:
    """The toy folder with the quick site."""
    (toy / "site.yaml").write_text(SITE)
    return toy


@pytest.fixture(scope="module")
def endings(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """One pipeline of jobs that end in different ways: folder, and by rule what was said about its failures."""
    folder = tmp_path_factory.mktemp("endings")
    yield folder, said_of_ends(cluster, folder, SITE, ENDINGS)
    assert cluster.queue() == [], "jobs that were given up are not in the queue"


@ALONE
def test_gpu_is_given(endings: tuple[Path, dict[str, str]]) -> None:
    folder, said = endings
    lines = (folder / "out/gpu.txt").read_text().splitlines()
    assert "CUDA_VISIBLE_DEVICES=0" in lines
    assert "gpu" not in said


@ALONE
def test_memory_that_was_not_enough_grows(endings: tuple[Path, dict[str, str]], cluster: Cluster) -> None:
    folder, said = endings
    assert "out of memory" in said["grows"]
    assert "tried again with 150 MB instead of 100 MB" in said["grows"]
    assert (folder / "out/grows.txt").exists()
    jobs = re.findall(r"\(grows\) submitted to slurm: (\d+)", said["stderr"])
    assert [cluster.requests(job)["memory_mb"] for job in jobs] == [100, 150, 225]


@ALONE
def test_job_that_waits_in_vain_is_given_up_with_the_reason(endings: tuple[Path, dict[str, str]]) -> None:
    said = endings[1]
    assert "PartitionTimeLimit: the run time is above the limit of the partition" in said["long"]
    assert "runtime_h" in said["long"]
    assert "Memory specification can not be satisfied" in said["large"]


@ALONE
def test_missing_executable_is_explained(endings: tuple[Path, dict[str, str]]) -> None:
    said = endings[1]["missing"]
    assert "exit code 127" in said
    assert "No such file or directory" in said
    assert "submit file: " in said


@ALONE
def test_run_time_limit(endings: tuple[Path, dict[str, str]]) -> None:
    """A command that heeds SIGTERM ends before the limit; one that does not is ended at it by SLURM."""
    said = endings[1]
    assert "out of time: the run-time limit was near" in said["obedient"]
    assert "out of time: TIMEOUT, it ran longer than it had asked for" in said["stubborn"]
    assert "runtime_h" in said["stubborn"]


@ALONE
def test_requeued_job_runs_again_and_ends_well(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    process = start(single("sleep 8; touch {output}"), *QUICK)
    job = wait_for_last_job(cluster)
    time.sleep(2)
    cluster.run("scontrol", "requeue", job)
    stderr = process.communicate(timeout=120)[1]
    assert process.returncode == 0, stderr
    assert re.search(r"requeued, (waits to run again|runs again) \(start 2\)", stderr), stderr
    assert list(ids(stderr).values()) == [job]


def submissions(cluster: Cluster, toy: Path) -> set[str]:
    """Ids of all jobs that SLURM has ever had of this folder, ended or not (it keeps them longer than a test lasts)."""
    token = (toy / ".snakemake/templated/token").read_text().strip()
    rows = cluster.run("squeue", "--states=all", "--noheader", "--Format=JobID:24,Comment:80").splitlines()
    return {row.split()[0] for row in rows if f"snpoint:{token}:" in row}


def shims(toy: Path) -> str:
    """PATH on which squeue and sacct note each call before the real ones run; a file ``forget`` makes squeue forgetful.

    Forgetful is what it is about ended jobs after MinJobAge, which cannot be made shorter than a minute.
    """
    folder = toy / "shims"
    folder.mkdir()
    for name in ("squeue", "sacct"):
        lines = [
            "#!/bin/bash",
            f"echo {name} >> {folder}/calls",
            f'[ ! -e {folder}/forget ] || set -- "${{@/--states=all/--states=PENDING,RUNNING,COMPLETING}}"',
            f'exec {shutil.which(name)} "$@"',
        ]
        (folder / name).write_text("\n".join(lines) + "\n")
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@ALONE
def test_killed_driver_finds_its_running_job_again(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    workflow = single("sleep 15; touch {output}")
    process = start(workflow, *QUICK)
    job = wait_for_last_job(cluster)
    kill_driver(process, toy)
    code, stderr = start.finish(workflow, *QUICK)
    assert code == 0, stderr
    assert "is in the queue of slurm since" in stderr
    assert submissions(cluster, toy) == {job}


@BOTH
@pytest.mark.parametrize("forgotten", [False, True])
def test_job_that_ended_while_nobody_looked_is_not_repeated(
    cluster: Cluster, toy: Path, start: Pipelines, forgotten: bool
) -> None:
    path = shims(toy)
    workflow = single("sleep 4; date +%N > {output}")
    process = start(workflow, *QUICK, PATH=path)
    job = wait_for_last_job(cluster)
    kill_driver(process, toy)
    wait_for(lambda: cluster.queue() == [], "the job has ended")
    made = (toy / "out/end.txt").read_text()
    if forgotten:
        (toy / "shims/forget").touch()
        if accounting(cluster):
            # sacct is enough: what the job wrote about itself may be lost
            wait_for(lambda: "COMPLETED" in cluster.run("sacct", "-X", "-j", job), "sacct knows the job's end")
            next((toy / ".snakemake/templated").glob("*/*.job.json")).unlink()
    code, stderr = start.finish(workflow, *QUICK, PATH=path)
    assert code == 0, stderr
    assert "has ended while nobody looked" in stderr
    assert (toy / "out/end.txt").read_text() == made
    assert submissions(cluster, toy) == {job}


def accounting(cluster: Cluster) -> bool:
    return subprocess.run(["sacct", "-X"], env=cluster.environment, check=False, capture_output=True).returncode == 0


@BOTH
def test_ends_are_told_by_sacct_when_squeue_forgets(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    """With a database the end of a forgotten job is known; without one its absence is no end yet."""
    path = shims(toy)
    (toy / "shims/forget").touch()
    process = start(single("echo much > {log}; exit 65"), *QUICK, PATH=path)
    if accounting(cluster):
        stderr = process.communicate(timeout=90)[1]
        assert process.returncode == 1
        assert "exit code 65" in stderr
        return
    wait_for(lambda: (toy / "shims/calls").exists() and cluster.queue() == [], "the job has ended")
    time.sleep(5)
    assert process.poll() is None, "the job is still waited for"
    asked = (toy / "shims/calls").read_text().split()
    assert asked.count("sacct") == 1, "that there is no database is found out once"


@ALONE
def test_crash_between_submission_and_record_is_found(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    workflow = single("sleep 8; touch {output}")
    crash_after_submission(cluster, toy, workflow)
    code, stderr = start.finish(workflow, *QUICK)
    assert code == 0, stderr
    assert "is in the queue of slurm since" in stderr
    assert len(submissions(cluster, toy)) == 1


@BOTH
def test_end_of_an_unrecorded_job_is_remembered_by_sacct_alone(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    """Where nobody remembers it, the work is done again."""
    path = shims(toy)
    workflow = single("sleep 2; exit 65")
    crash_after_submission(cluster, toy, workflow)
    wait_for(lambda: cluster.queue() == [], "the job has ended")
    next((toy / ".snakemake/templated").glob("*/*.job.json")).unlink()
    (toy / "shims/forget").touch()
    if accounting(cluster):
        wait_for(lambda: "65:0" in cluster.run("sacct", "-X", "--format=ExitCode"), "sacct knows the job's end")
        stderr = start.finish(workflow, *QUICK, PATH=path)[1]
        assert "has ended while nobody looked" in stderr
        assert "exit code 65" in stderr
        assert len(submissions(cluster, toy)) == 1
        return
    process = start(workflow, *QUICK, PATH=path)
    # a submission without an id may be a minute late
    wait_for(lambda: len(submissions(cluster, toy)) == 2, "it is submitted again", 120)
    assert process.poll() is None


@ALONE
def test_changed_command_replaces_the_job_in_the_queue(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    process = start(single("sleep 600; touch {output}"), *QUICK)
    old = wait_for_last_job(cluster)
    kill_driver(process, toy)
    code, stderr = start.finish(single("touch {output}"), *QUICK)
    assert code == 0, stderr
    assert "is removed first" in stderr
    assert len(submissions(cluster, toy) - {old}) == 1
    assert cluster.queue() == []


@ALONE
def test_hundred_jobs_cost_one_query_per_poll(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    workflow = """
rule all:
    input: expand("out/{n}.txt", n=range(100))
rule one:
    output: "out/{n}.txt"
    resources: mem_mb=100, runtime=10
    shell: "touch {output}"
"""
    code, stderr = start.finish(workflow, *QUICK, "--verbose", timeout=200, PATH=shims(toy))
    assert code == 0, stderr[-5000:]
    assert len(list((toy / "out").glob("*.txt"))) == 100
    polls, own = map(int, re.search(r"slurm: (\d+) polls, (\d+) queries", stderr).groups())
    asked = (toy / "shims/calls").read_text().split()
    assert polls > 0
    assert len(asked) == own <= polls
    assert len(submissions(cluster, toy)) == 100


@pytest.fixture
def controller(cluster: Cluster) -> Iterator[int]:
    """Process of slurmctld, which a test may stop; it goes on in the end."""
    pid = int((HOME / "run/slurmctld.pid").read_text())
    yield pid
    os.kill(pid, signal.SIGCONT)


@pytest.mark.nightly
@ALONE
def test_submission_that_gets_no_answer_is_made_once(
    cluster: Cluster, toy: Path, start: Pipelines, controller: int
) -> None:
    """The controller carries it out when nobody waits for the answer any more."""
    os.kill(controller, signal.SIGSTOP)
    path = shims(toy)
    process = start(single("touch {output}"), *QUICK, PATH=path)
    calls = toy / "shims/calls"
    wait_for(lambda: calls.exists() and "squeue" in calls.read_text(), "sbatch has given up, the queue is looked at")
    os.kill(controller, signal.SIGCONT)
    stderr = process.communicate(timeout=120)[1]
    assert process.returncode == 0, stderr
    assert len(submissions(cluster, toy)) == 1


PAIR = """
rule all:
    input: "out/1.txt", "out/2.txt"
rule one:
    output: "out/{n}.txt"
    resources: mem_mb=100, runtime=10
    shell: "sleep 3; touch {output}"
"""


@pytest.fixture
def one_job_per_user(cluster: Cluster) -> Iterator[None]:
    """A QOS that lets each user have one job."""
    cluster.run("sacctmgr", "--immediate", "modify", "qos", "normal", "set", "MaxSubmitJobsPerUser=1")
    yield
    cluster.run("sacctmgr", "--immediate", "modify", "qos", "normal", "set", "MaxSubmitJobsPerUser=-1")


@pytest.mark.nightly
@pytest.mark.usefixtures("one_job_per_user")
@pytest.mark.parametrize("cluster", ["slurm_accounting"], indirect=True)
def test_limit_on_the_number_of_jobs_is_waited_for(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    code, stderr = start.finish(PAIR, *QUICK)
    assert code == 0, stderr
    assert "slurm takes no job for now" in stderr
    assert "QOSMaxSubmitJobPerUserLimit" in stderr
    assert len(submissions(cluster, toy)) == 2


@ALONE
def test_second_interrupt_leaves_at_once_and_says_how_to_remove_the_jobs(
    cluster: Cluster, toy: Path, start: Pipelines, controller: int
) -> None:
    process = start(single(ENDLESS), *QUICK)
    wait_for_last_job(cluster)
    os.kill(controller, signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    time.sleep(3)
    assert process.poll() is None, "it waits for the controller"
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=5)[1]
    assert process.returncode == 130
    os.kill(controller, signal.SIGCONT)
    command = re.search(r"To remove the jobs: (squeue .*scancel); then", stderr)
    assert command, stderr
    cluster.run("bash", "-c", command[1])
    wait_for(lambda: cluster.queue() == [], "the queue is empty", 30)


@ALONE
def test_removal_command_spares_the_jobs_of_others(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    process = start(single(ENDLESS), *QUICK)
    mine = wait_for_last_job(cluster)
    other = cluster.run(
        "sbatch", "--parsable", "--comment=snpoint:elsewhere:1", f"--output={toy}/other.out", "--wrap", "sleep 60"
    )
    token = (toy / ".snakemake/templated/token").read_text().strip()
    from snakemake_executor_plugin_templated.backend import Place
    from snakemake_executor_plugin_templated.backend_slurm import Slurm

    backend = Slurm(Place(token, toy / "events.log"))
    cluster.run("bash", "-c", backend.removal_command)
    wait_for(lambda: mine not in cluster.queue(), "our job is gone")
    assert other in cluster.queue()
    cluster.run("scancel", other)
    assert "CANCELLED" in process.communicate(timeout=60)[1]
    wait_for(lambda: cluster.queue() == [], "the queue is empty", 30)
