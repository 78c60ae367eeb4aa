"""The HTCondor backend alone on a real pool: without the log, with a silent schedd, with another one named."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from toy import REPOSITORY, Cluster, only, schedd_queries, wait_for

pytestmark = only("htcondor")


def answered(cluster: Cluster, folder: Path, script: str, *arguments: object) -> Any:
    """What a script prints as JSON. A process of its own: the bindings read the pool's configuration once."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=folder,
        env=cluster.environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# the backend alone: jobs whose log is not where the backend looks for it
BLIND = """
import json, time, uuid
from pathlib import Path
from snakemake_executor_plugin_templated.backend import Place
from snakemake_executor_plugin_templated.backend_htcondor import HTCondor
place = Place(uuid.uuid4().hex, Path("nowhere.log"), 4.0)
backend = HTCondor(place)
text = '''
universe = vanilla
executable = EXECUTABLE
transfer_executable = False
should_transfer_files = IF_NEEDED
transfer_output_files = ""
request_memory = 100MB
request_cpus = CPUS
log = elsewhere.log
queue
'''
jobs = {name: backend.submit(Path("x.sub"), text.replace("EXECUTABLE", path).replace("CPUS", cpus), name)
        for name, path, cpus in [("good", "/bin/true", "1"), ("bad", "/bin/false", "1"), ("gone", "/no/such", "1"),
                                 ("huge", "/bin/true", "99")]}
ends, polls = {}, 0
while len(ends) < len(jobs) and polls < 60:
    polls += 1
    ends |= backend.poll([job for job in jobs.values() if job not in ends]).outcomes
    time.sleep(0.5)
again = HTCondor(place).find(dict.fromkeys([*jobs, "never"]))
found = {key: [one.id == jobs[key], one.outcome and one.outcome.kind] for key, one in again.items()}
kinds = {name: ends[job].kind for name, job in jobs.items() if job in ends}
print(json.dumps({"polls": polls, "ends": kinds, "found": found}))
"""


def test_without_the_event_log_one_query_per_poll_tells_the_same(cluster: Cluster, tmp_path: Path) -> None:
    before = schedd_queries()
    answer = answered(cluster, tmp_path, BLIND)
    assert answer["ends"] == {"good": "completed", "bad": "failed", "gone": "held", "huge": "never_matched"}
    # one more, when the jobs are looked for again
    assert 0 < schedd_queries() - before <= answer["polls"] + 1
    assert set(answer["found"]) == {"good", "bad", "gone", "huge"}
    assert answer["found"]["good"] == [True, "completed"]
    assert all(same for same, _ in answer["found"].values())


@pytest.mark.nightly
def test_schedd_is_asked_no_more_often_than_the_site_says(cluster: Cluster, tmp_path: Path) -> None:
    slow = BLIND.replace('Path("nowhere.log"), 4.0', 'Path("nowhere.log"), 4.0, query_every_s=5.0')
    assert slow != BLIND
    before, began = schedd_queries(), time.monotonic()
    answer = answered(cluster, tmp_path, slow)
    assert answer["ends"] == {"good": "completed", "bad": "failed", "gone": "held", "huge": "never_matched"}
    polling = schedd_queries() - before - 1
    assert 0 < polling <= 1 + (time.monotonic() - began) / 5
    assert polling < answer["polls"] / 2


# the schedd stops once the log shows one job held and one ended
DEAF = (
    BLIND.split("jobs = ")[0].replace("nowhere.log", "elsewhere.log")
    + """
import os, signal, sys
from snakemake_executor_plugin_templated import schedd as requests
requests.LONG_S = 2
names = {backend.submit(Path("x.sub"), text.replace("EXECUTABLE", path).replace("CPUS", "1"), path): path
         for path in ("/bin/true", "/no/such")}
while not all(life.outcome for life in backend._log.by_key.values()) or len(backend._log.by_key) < 2:
    backend._log.read()
    time.sleep(0.2)
schedd = int(sys.argv[1])
os.kill(schedd, signal.SIGSTOP)
first = backend.poll(list(names)).outcomes
os.kill(schedd, signal.SIGCONT)
second = backend.poll([job for job in names if job not in first]).outcomes
print(json.dumps([{names[job]: end.kind for job, end in ends.items()} for ends in (first, second)]))
"""
)


def test_ends_are_reported_while_the_schedd_does_not_answer(cluster: Cluster, schedd: int, tmp_path: Path) -> None:
    assert answered(cluster, tmp_path, DEAF, schedd) == [{"/bin/true": "completed"}, {"/no/such": "held"}]
    wait_for(lambda: cluster.queue() == [], "the held job is removed")


# one submission that is not answered: what the backend says, how long it took, what is in the queue afterwards
UNANSWERED = (
    BLIND.split("jobs = ")[0]
    + """
import os, signal, sys, threading
from snakemake_executor_plugin_templated import backend_htcondor
from snakemake_executor_plugin_templated import schedd as requests
from snakemake_executor_plugin_templated.backend import BackendError
backend_htcondor.LOOK_FOR_S, backend_htcondor.LOOK_EVERY_S, requests.SUBMIT_S = 12, 1, 2
schedd, stopped_for, call = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
if call:
    requests.CALL = Path(call)
go_on = threading.Timer(stopped_for, os.kill, (schedd, signal.SIGCONT))
if stopped_for:
    os.kill(schedd, signal.SIGSTOP)
    go_on.start()
began = time.monotonic()
try:
    said = backend.submit(Path("x.sub"), text.replace("EXECUTABLE", "/bin/true").replace("CPUS", "99"), "one")
except BackendError as error:
    said = f"{type(error).__name__}: {error}"
took = time.monotonic() - began
if stopped_for:
    go_on.join()
time.sleep(2)
queue = list(backend._queue())
backend.cancel(queue)
print(json.dumps({"said": said, "took": took, "queue": queue}))
"""
)


@pytest.mark.nightly
@pytest.mark.parametrize("stopped_for", [5, 18])
def test_unanswered_submission_is_not_made_or_unclear(
    cluster: Cluster, schedd: int, tmp_path: Path, stopped_for: int
) -> None:
    answer = answered(cluster, tmp_path, UNANSWERED, schedd, stopped_for, "")
    assert answer["took"] < 16
    assert answer["queue"] == []
    if stopped_for < 12:
        assert re.match("BusyError: .* the job did not appear in the queue", answer["said"])
    else:
        assert re.match("UnclearError: .* it is not known whether the job is in the queue of", answer["said"])


def test_submission_whose_answer_is_lost_is_found_in_the_queue(cluster: Cluster, schedd: int, tmp_path: Path) -> None:
    call = REPOSITORY / "workflow/src/snakemake_executor_plugin_templated/schedd_call.py"
    line = "json.dump(answer, sys.stdout)"
    text = call.read_text()
    assert line in text
    late = tmp_path / "late.py"
    # the process is ended between the schedd's answer and its own
    late.write_text(text.replace(line, f"'job' in str(answer) and __import__('time').sleep(60); {line}"))
    answer = answered(cluster, tmp_path, UNANSWERED, schedd, 0, late)
    assert answer["queue"] == [answer["said"]]


# the schedd by its name, where the machine's configuration names another one
ELSEWHERE = """
import sys
from pathlib import Path
from snakemake_executor_plugin_templated.backend import BackendError, Place
from snakemake_executor_plugin_templated.backend_htcondor import HTCondor
try:
    backend = HTCondor(Place("token", Path("events.log"), queue=sys.argv[1]))
    print(backend.queue_name, backend.find({}), backend.removal_command, sep="\\n")
except BackendError as error:
    print(error)
"""


@pytest.mark.nightly
def test_jobs_stay_with_the_schedd_that_has_them(cluster: Cluster, tmp_path: Path) -> None:
    def ask(queue: str, **variables: str) -> list[str]:
        command = [sys.executable, "-c", ELSEWHERE, queue]
        return subprocess.run(
            command, cwd=tmp_path, env=cluster.environment | variables, check=True, capture_output=True, text=True
        ).stdout.splitlines()

    name, found, command = ask("")
    assert name == cluster.run("condor_status", "-schedd", "-af", "Name")
    assert command == """condor_rm -constraint 'SnpointWorkdir == "token"'"""
    assert ask(name) == [name, found, command]
    # a login node that names another schedd than yesterday's
    elsewhere = {"_CONDOR_SCHEDD_HOST": "schedd.elsewhere"}
    name_there, found, command = ask(name, **elsewhere)
    assert (name_there, found) == (name, "{}")
    assert command == f"""condor_rm -name {name} -constraint 'SnpointWorkdir == "token"'"""
    constraint = command.replace("condor_rm", "condor_q").replace("'", "").split(" -constraint ")
    cluster.run(*constraint[0].split(), "-constraint", constraint[1])
    (gone,) = ask("schedd.gone")
    assert re.search("queue of the schedd schedd.gone, which is not found .*jobs.jsonl away", gone)
