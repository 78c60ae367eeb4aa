"""The executor on a real HTCondor pool: matching, every kind of end, re-attaching, the number of queries, Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from toy import (
    ENDLESS,
    QUICK,
    Cluster,
    Pipelines,
    crash_after_submission,
    ids,
    kill_driver,
    only,
    said_of_ends,
    schedd_queries,
    single,
    wait_for,
    wait_for_last_job,
)
from toy import HTCONDOR_HOME as HOME

pytestmark = only("htcondor")

# a site whose limits are reached in seconds
SITE = """
why: a pool for tests
unmatched_after_min: 0.2
overrun_s: 1
payload: {warn_s: 30}
"""

# each rule ends in another way, all at the same time
ENDINGS = """
rule all:
    input: expand("out/{x}.txt", x=["matched", "grows", "large", "modern", "missing", "stubborn", "obedient"])
rule matched:
    output: "out/matched.txt"
    resources: mem_mb=700, runtime=10, gpu=1, job='{"gpu_capability": 8.0}'
    shell: "env > {output}"
rule grows:
    output: "out/grows.txt"
    resources: mem_mb=100, runtime=10
    shell: '''python3 -c "import time; held = b'x' * 150_000_000; time.sleep(12); open('{output}', 'w').close()"'''
rule large:
    output: "out/large.txt"
    resources: mem_mb=64000, runtime=10
    shell: "touch {output}"
rule modern:
    output: "out/modern.txt"
    resources: mem_mb=300, runtime=10, gpu=1, job='{"gpu_capability": 9.0}'
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


def test_jobs_that_were_given_up_are_not_in_the_queue(endings: tuple[Path, dict[str, str]], cluster: Cluster) -> None:
    assert "missing" in endings[1]
    assert cluster.queue() == []


def test_gpu_of_the_asked_capability_and_memory_are_given(endings: tuple[Path, dict[str, str]]) -> None:
    folder, said = endings
    lines = (folder / "out/matched.txt").read_text().splitlines()
    assert any(line.startswith("CUDA_VISIBLE_DEVICES=GPU-") for line in lines)
    assert "matched" not in said


def test_memory_that_was_not_enough_grows(endings: tuple[Path, dict[str, str]], cluster: Cluster) -> None:
    folder, said = endings
    assert "out of memory" in said["grows"]
    assert "tried again with 150 MB instead of 100 MB" in said["grows"]
    assert (folder / "out/grows.txt").exists()
    jobs = re.findall(r"\(grows\) submitted to htcondor: (\d+)", said["stderr"])
    asked = [cluster.requests(job)["memory_mb"] for job in jobs]
    assert asked == [100, 150, 225]


def test_job_that_no_machine_can_run_is_given_up_with_the_requirement(endings: tuple[Path, dict[str, str]]) -> None:
    said = endings[1]
    assert "request_memory 64000 MB: the largest slot has 8000 MB" in said["large"]
    assert re.search(r"require_gpus Capability >= 9\b.*the pool has A100-SXM4-40GB \(capability 8", said["modern"])


def test_job_that_no_machine_can_run_is_told_of_before_it_is_given_up(endings: tuple[Path, dict[str, str]]) -> None:
    stderr = endings[1]["stderr"]
    early = re.search(r"no machine of the pool can run it: request_memory 64000 MB: .*; given up at \d\d:\d\d", stderr)
    assert early
    assert early.start() < stderr.index("Error in rule large")


def test_missing_executable_is_held_and_explained(endings: tuple[Path, dict[str, str]]) -> None:
    said = endings[1]["missing"]
    assert "No such file or directory" in said
    assert "(code 6/2)" in said
    assert "submit file: " in said


def test_run_time_limit(endings: tuple[Path, dict[str, str]]) -> None:
    """A command that heeds SIGTERM ends before the limit; one that does not is held by HTCondor after it."""
    said = endings[1]
    assert "out of time: the run-time limit was near" in said["obedient"]
    assert "out of time: run time of 1 min is over (code 3/46)" in said["stubborn"]
    assert "runtime_h" in said["stubborn"]


def test_vacated_job_runs_again_and_ends_well(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    process = start(single("sleep 8; touch {output}"), *QUICK)
    job = wait_for_last_job(cluster)
    time.sleep(2)
    cluster.run("condor_vacate_job", job)
    stderr = process.communicate(timeout=120)[1]
    assert process.returncode == 0, stderr
    assert re.search("evicted, (waits to run again|runs again)", stderr), stderr
    assert cluster.run("condor_history", job, "-limit", "1", "-af", "NumJobStarts") == "2"
    assert list(ids(stderr).values()) == [job]


def token(toy: Path) -> str:
    return (toy / ".snakemake/templated/token").read_text().strip()


def submissions(cluster: Cluster, toy: Path) -> set[str]:
    """Ids of all jobs that the schedd has ever had of this folder, ended or not."""
    mine = ["-constraint", f'SnpointWorkdir == "{token(toy)}"', "-af", "ClusterId"]
    return {*cluster.run("condor_q", "-allusers", *mine).split(), *cluster.run("condor_history", *mine).split()}


def test_killed_driver_finds_its_running_job_again(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    workflow = single("sleep 15; touch {output}")
    process = start(workflow, *QUICK)
    job = wait_for_last_job(cluster)
    kill_driver(process, toy)
    code, stderr = start.finish(workflow, *QUICK)
    assert code == 0, stderr
    assert "is in the queue of htcondor since" in stderr
    assert submissions(cluster, toy) == {job}


def test_job_that_ended_while_nobody_looked_is_not_repeated(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    workflow = single("sleep 4; date +%N > {output}")
    process = start(workflow, *QUICK)
    job = wait_for_last_job(cluster)
    kill_driver(process, toy)
    wait_for(lambda: cluster.queue() == [], "the job has ended")
    made = (toy / "out/end.txt").read_text()
    # the queue's history is enough: an event log may be lost
    (toy / ".snakemake/templated/events.log").unlink()
    code, stderr = start.finish(workflow, *QUICK)
    assert code == 0, stderr
    assert "has ended while nobody looked" in stderr
    assert (toy / "out/end.txt").read_text() == made
    assert submissions(cluster, toy) == {job}


def test_crash_between_submission_and_record_is_found(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    workflow = single("sleep 10; touch {output}")
    crash_after_submission(cluster, toy, workflow)
    code, stderr = start.finish(workflow, *QUICK)
    assert code == 0, stderr
    assert len(submissions(cluster, toy)) == 1


def test_changed_command_replaces_the_job_in_the_queue(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    process = start(single("sleep 600; touch {output}"), *QUICK)
    old = wait_for_last_job(cluster)
    kill_driver(process, toy)
    code, stderr = start.finish(single("touch {output}"), *QUICK)
    assert code == 0, stderr
    assert "is removed first" in stderr
    assert len(submissions(cluster, toy) - {old}) == 1
    assert cluster.queue() == []


def test_two_hundred_jobs_cost_at_most_one_query_per_poll(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    workflow = """
rule all:
    input: expand("out/{n}.txt", n=range(200))
rule one:
    output: "out/{n}.txt"
    resources: mem_mb=30, runtime=10
    shell: "touch {output}"
"""
    before = schedd_queries()
    code, stderr = start.finish(workflow, *QUICK, "--verbose", timeout=240)
    served = schedd_queries() - before
    assert code == 0, stderr[-5000:]
    assert len(list((toy / "out").glob("*.txt"))) == 200
    polls, own = map(int, re.search(r"htcondor: (\d+) polls, (\d+) queries", stderr).groups())
    assert polls > 0
    assert own <= polls
    assert served <= polls, "the schedd's own count"
    before = schedd_queries()
    assert len(submissions(cluster, toy)) == 200
    assert schedd_queries() == before + 1, "a query is counted"


def test_requirement_that_is_no_expression_is_refused_by_its_name(
    cluster: Cluster, toy: Path, start: Pipelines
) -> None:
    resources = """mem_mb=300, runtime=10, job='{"requirements": "Arch =="}'"""
    code, stderr = start.finish(single("touch {output}", resources), *QUICK)
    assert code == 1
    assert "requirements = (Arch ==) is not a ClassAd expression" in stderr
    assert submissions(cluster, toy) == set()


def test_job_that_waits_for_busy_machines_is_not_given_up(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    workflow = """
rule all:
    input: expand("out/{n}.txt", n=range(2))
rule one:
    output: "out/{n}.txt"
    resources: mem_mb=5000, runtime=10
    shell: "sleep 9; touch {output}"
"""
    code, stderr = start.finish(workflow, *QUICK)
    assert code == 0, stderr
    assert "waiting: 1 of 1 slots fit, and all of them are busy" in stderr


def test_second_interrupt_leaves_at_once_and_says_how_to_remove_the_jobs(
    cluster: Cluster, toy: Path, start: Pipelines, schedd: int
) -> None:
    process = start(single(ENDLESS), *QUICK)
    job = wait_for_last_job(cluster)
    os.kill(schedd, signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    time.sleep(3)
    assert process.poll() is None, "it waits for the schedd"
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=5)[1]
    assert process.returncode == 130
    command = re.search(r"condor_rm -constraint '(.*)'", stderr)
    assert command, stderr
    os.kill(schedd, signal.SIGCONT)
    # what is printed means this job; it may have gone already, because the first Ctrl-C reaches the schedd after all
    assert job in cluster.run("condor_q", "-allusers", "-constraint", command[1], "-af", "ClusterId") + cluster.run(
        "condor_history", "-constraint", command[1], "-af", "ClusterId"
    )
    subprocess.run(["condor_rm", "-constraint", command[1]], env=cluster.environment, check=False, timeout=60)
    wait_for(lambda: cluster.queue() == [], "the queue is empty", 30)


def test_interrupt_is_heard_while_the_schedd_is_asked_about_earlier_jobs(
    cluster: Cluster, toy: Path, start: Pipelines, schedd: int
) -> None:
    workflow = single(ENDLESS)
    process = start(workflow, *QUICK)
    job = wait_for_last_job(cluster)
    kill_driver(process, toy)
    os.kill(schedd, signal.SIGSTOP)
    process = start(workflow, *QUICK)
    asking = ["pgrep", "-P", str(process.pid), "-f", "schedd_call.py"]
    # finding the schedd needs no answer of its own
    wait_for(lambda: subprocess.run(asking, check=False, capture_output=True).returncode == 0, "the schedd is asked")
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=8)
    assert process.returncode
    os.kill(schedd, signal.SIGCONT)
    cluster.remove(job)
    wait_for(lambda: cluster.queue() == [], "the queue is empty", 30)


@contextmanager
def configured(cluster: Cluster, *lines: str) -> Iterator[None]:
    """The pool with other settings."""
    config = HOME / "condor_config"
    before = config.read_text()
    reconfigure = str(HOME / "prefix/usr/sbin/condor_reconfig")
    config.write_text("\n".join([before, *lines, ""]))
    try:
        cluster.run(reconfigure)
        yield
    finally:
        config.write_text(before)
        cluster.run(reconfigure)


@pytest.mark.nightly
def test_limit_on_jobs_is_waited_for(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    workflow = """
rule all:
    input: expand("out/{n}.txt", n=range(3))
rule one:
    output: "out/{n}.txt"
    resources: mem_mb=300, runtime=10
    shell: "sleep 3; touch {output}"
"""
    with configured(cluster, "MAX_JOBS_PER_OWNER = 1"):
        code, stderr = start.finish(workflow, *QUICK)
    assert code == 0, stderr
    assert "takes no job for now" in stderr
    assert "Schedd says -3" in stderr
    assert len(submissions(cluster, toy)) == 3


@pytest.mark.nightly
def test_requirement_of_the_schedd_is_final_and_told(cluster: Cluster, toy: Path, start: Pipelines) -> None:
    rule = ("SUBMIT_REQUIREMENT_NAMES = Big", "SUBMIT_REQUIREMENT_Big = RequestMemory > 1000")
    with configured(cluster, *rule, 'SUBMIT_REQUIREMENT_Big_REASON = "jobs here are large"'):
        code, stderr = start.finish(single("touch {output}"), *QUICK)
    assert code == 1
    assert "not submitted: HTCondor refused" in stderr
    assert "jobs here are large" in stderr
