"""HTCondor's user log as it is written: what became of each job."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("CONDOR_CONFIG", "ONLY_ENV")

from snakemake_executor_plugin_templated.ends import hold, outcome_of, removal
from snakemake_executor_plugin_templated.eventlog import EventLog, Life

HOST = "<10.0.0.7:9618?addrs=10.0.0.7-9618&alias=node7.site&noUDP&sock=startd_1>"


def event(number: int, job: int, headline: str, *lines: str, at: str = "2026-11-20 09:31:22") -> str:
    body = "".join(f"\t{line}\n" for line in lines)
    return f"{number:03} ({job:03}.000.000) {at} {headline}\n{body}...\n"


def submitted(job: int, key: str) -> str:
    return event(0, job, "Job submitted from host: <10.0.0.1:9618>").replace("...\n", f"    {key}\n...\n")


def started(job: int, slot: str = "\tSlotName: slot1_2@node7.site") -> str:
    return event(1, job, f"Job executing on host: {HOST}").replace("...\n", f"{slot}\n...\n" if slot else "...\n")


def returned(job: int, code: int) -> str:
    return event(5, job, "Job terminated.", f"(1) Normal termination (return value {code})", *USAGE)


def killed(job: int, signal: int) -> str:
    return event(5, job, "Job terminated.", f"(0) Abnormal termination (signal {signal})", "(0) No core file", *USAGE)


def evicted(job: int) -> str:
    return event(4, job, "Job was evicted.", "(0) CPU times", *USAGE[:2], *USAGE[4:6])


def held(job: int, code: int, subcode: int, reason: str) -> str:
    return event(12, job, "Job was held.", reason, f"Code {code} Subcode {subcode}")


def removed(job: int, reason: str) -> str:
    return event(9, job, "Job was aborted.", reason)


def released(job: int) -> str:
    return event(13, job, "Job was released.", "via condor_release")


USAGE = (
    "\tUsr 0 00:00:00, Sys 0 00:00:00  -  Run Remote Usage",
    "\tUsr 0 00:00:00, Sys 0 00:00:00  -  Run Local Usage",
    "\tUsr 0 00:00:00, Sys 0 00:00:00  -  Total Remote Usage",
    "\tUsr 0 00:00:00, Sys 0 00:00:00  -  Total Local Usage",
    "0  -  Run Bytes Sent By Job",
    "0  -  Run Bytes Received By Job",
    "0  -  Total Bytes Sent By Job",
    "0  -  Total Bytes Received By Job",
)


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return EventLog(tmp_path / "events.log")


def grow(log: EventLog, *texts: str) -> None:
    """Append to the log and read it."""
    with log.path.open("a") as stream:
        stream.write("".join(texts))
    assert log.read()


def only(log: EventLog) -> Life:
    (life,) = log.by_key.values()
    return life


@pytest.mark.parametrize(
    ("end", "kind", "exit_code", "signal"),
    [(returned(7, 0), "completed", 0, None), (returned(7, 65), "failed", 65, None), (killed(7, 9), "failed", None, 9)],
)
def test_end_of_a_command_arrives_with_its_code_and_node(log, end, kind, exit_code, signal) -> None:
    grow(log, submitted(7, "abc"), started(7), end)
    outcome = only(log).outcome
    assert (outcome.kind, outcome.exit_code, outcome.signal, outcome.node) == (kind, exit_code, signal, "node7.site")
    assert not only(log).queued


def test_node_is_known_where_the_log_names_no_slot(log: EventLog) -> None:
    grow(log, submitted(7, "abc"), started(7, slot=""))
    assert only(log).node == "node7.site"


def test_log_is_read_as_it_grows(log: EventLog) -> None:
    grow(log, submitted(7, "abc"))
    assert (only(log).running, only(log).starts, only(log).outcome) == (False, 0, None)
    grow(log, started(7))
    assert (only(log).running, only(log).starts) == (True, 1)
    whole = returned(7, 0)
    grow(log, whole[:40])
    assert only(log).outcome is None, "half an event is not an event"
    grow(log, whole[40:])
    assert only(log).outcome.ok


def test_evicted_job_waits_and_runs_again(log: EventLog) -> None:
    grow(log, submitted(7, "abc"), started(7), evicted(7))
    assert (only(log).running, only(log).evictions, only(log).outcome) == (False, 1, None)
    grow(log, started(7), returned(7, 0))
    assert (only(log).starts, only(log).outcome.kind) == (2, "completed")


def test_held_job_is_in_the_queue_until_it_is_removed_and_keeps_its_reason(log: EventLog) -> None:
    grow(log, submitted(7, "abc"), started(7), held(7, 6, 2, "Failed to execute '/x': No such file or directory"))
    assert only(log).queued
    grow(log, removed(7, "removed by the pipeline (by user me)"))
    outcome = only(log).outcome
    assert (outcome.kind, outcome.hold_code, outcome.hold_subcode) == ("held", 6, 2)
    assert outcome.reason == "Failed to execute '/x': No such file or directory"
    assert not only(log).queued


def test_released_job_goes_on(log: EventLog) -> None:
    grow(log, submitted(7, "abc"), held(7, 1, 0, "for a look"), released(7), started(7), returned(7, 0))
    assert only(log).outcome.ok


def test_id_of_a_new_pool_is_not_the_old_job(log: EventLog) -> None:
    grow(log, submitted(7, "old"), started(7), returned(7, 65))
    assert log.life("7", "new") is None, "submitted, but the log does not show it yet"
    assert log.life("7", "old").outcome.exit_code == 65
    grow(log, submitted(7, "new"), started(7))
    assert log.life("7", "new").outcome is None
    grow(log, returned(7, 0))
    assert log.life("7", "new").outcome.ok
    assert log.life("7", "old").outcome.exit_code == 65


def test_missing_log_is_no_error_but_unreadable(log: EventLog) -> None:
    assert not log.read()
    grow(log, submitted(7, "abc"))
    assert only(log).id == "7"


def test_log_that_was_lost_keeps_what_was_read_and_a_new_one_is_read(log: EventLog) -> None:
    grow(log, submitted(7, "abc"), started(7), returned(7, 0))
    log.path.unlink()
    assert not log.read()
    assert log.life("7", "abc").outcome.ok
    grow(log, submitted(8, "def"))
    assert log.life("8", "def").outcome is None


def test_shortened_log_is_read_anew(log: EventLog) -> None:
    grow(log, submitted(7, "abc"), started(7), returned(7, 0))
    log.path.write_text("")
    grow(log, submitted(8, "def"))
    assert list(log.by_key) == ["def"]


# as on a pool whose one policy guards memory and run time
CERN = (
    "The system macro SYSTEM_PERIODIC_REMOVE expression '(JobUniverse == 5 && MemoryUsage > 1.5 * RequestMemory) ||"
    " (JobStatus == 2 && (CurrentTime - JobCurrentStartDate) > MaxRuntime)' evaluated to TRUE"
)


@pytest.mark.parametrize(
    ("code", "subcode", "reason", "kind"),
    [
        (6, 2, "Failed to execute", "held"),
        (1, 0, "memory test (by user me)", "held"),
        (34, 0, "Job has gone over cgroup memory limit of 3000 megabytes", "out_of_memory"),
        (26, 34, "memory usage 200 MB over request_memory 100 MB", "out_of_memory"),
        (3, 0, "PeriodicHold expression 'MemoryUsage > RequestMemory' evaluated to TRUE", "out_of_memory"),
        (3, 46, "run time of 1 min is over", "out_of_time"),
        (47, 0, "The job exceeded allowed execute duration of 0+00:01:00", "out_of_time"),
        (46, 0, "The job exceeded allowed job duration", "out_of_time"),
        (26, 0, "wall time exceeded", "out_of_time"),
        (13, 2, "Transfer input files failure", "held"),
        (26, 0, CERN.replace("REMOVE", "HOLD"), "held"),
        (
            3,
            0,
            "The job attribute PeriodicHold expression '(RemoteWallClockTime > 3600)' evaluated to TRUE",
            "out_of_time",
        ),
    ],
)
def test_holds_are_told_apart(code: int, subcode: int, reason: str, kind: str) -> None:
    outcome = hold(code, subcode, reason)
    assert (outcome.kind, outcome.hold_code, outcome.hold_subcode, outcome.reason) == (kind, code, subcode, reason)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("via condor_rm (by user me)", "removed"),
        ("uses too much memory (by user admin)", "removed"),
        ("Job removed by SYSTEM_PERIODIC_REMOVE due to wall time exceeded allowed max.", "out_of_time"),
        ("SYSTEM_PERIODIC_REMOVE: MemoryUsage over RequestMemory", "out_of_memory"),
        ("The system macro SYSTEM_PERIODIC_REMOVE expression 'NumJobStarts > 10' evaluated to TRUE", "removed"),
        # an expression with limits of both kinds tells nothing; the words around it may
        (CERN, "removed"),
        (f"{CERN}: wall time over MaxRuntime", "out_of_time"),
        (f"{CERN}: memory over the request", "out_of_memory"),
        (f"The system macro SYSTEM_PERIODIC_REMOVE_MEMORY {CERN.partition('REMOVE ')[2]}", "out_of_memory"),
        (
            "The system macro SYSTEM_PERIODIC_REMOVE expression '(JobStatus == 2 && ResidentSetSize > 1024 *"
            " RequestMemory) || (RemoteWallClockTime > MaxRuntime)' evaluated to TRUE",
            "removed",
        ),
        (
            "The system macro SYSTEM_PERIODIC_REMOVE expression '(JobStatus == 2 &&\n  MemoryUsage > 3000)'"
            " evaluated to TRUE",
            "out_of_memory",
        ),
        (
            "The job attribute PeriodicRemove expression '(JobStatus == 2) && (time() - JobCurrentStartDate > 7200)'"
            " evaluated to TRUE",
            "out_of_time",
        ),
    ],
)
def test_removals_are_told_apart(reason: str, kind: str) -> None:
    assert removal(reason).kind == kind


@pytest.mark.parametrize(
    ("ad", "kind"),
    [
        ({"JobStatus": 1}, None),
        ({"JobStatus": 2}, None),
        ({"JobStatus": 4, "ExitCode": 0, "ExitBySignal": False}, "completed"),
        ({"JobStatus": 4, "ExitSignal": 11, "ExitBySignal": True}, "failed"),
        ({"JobStatus": 3, "RemoveReason": "via condor_rm"}, "removed"),
        ({"JobStatus": 5, "HoldReasonCode": 13, "HoldReasonSubCode": 2, "HoldReason": "no"}, "held"),
        ({"JobStatus": 5, "HoldReasonCode": 16, "HoldReason": "Spooling input data files"}, None),
    ],
)
def test_job_ads_tell_the_same(ad: dict[str, object], kind: str | None) -> None:
    outcome = outcome_of(ad)
    assert (outcome and outcome.kind) == kind
