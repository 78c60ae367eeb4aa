"""What follows from the end of a job: retries by cause, and only by cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from snakemake_executor_plugin_templated.outcome import Outcome, ended, refined
from snakemake_executor_plugin_templated.retries import (
    decide,
    excluded_nodes,
    for_a_reason_of_its_own,
    memory_to_ask,
)
from snpoint.errors import ConfigError
from snpoint.journal import Entry

MEMORY = Outcome("out_of_memory", "held")
VANISHED = Outcome("vanished", "node failure")


def past(*ends: Outcome, request_mb: int = 1000, mem_mb: int = 1000, hours_ago: float = 0.0) -> list[Entry]:
    """Submissions of the same work that ended like this, the latest last."""
    time = (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat()
    shared: dict[str, Any] = {"target": "t", "name": "n", "system": "slurm", "digest": "d", "ended": time}
    shared |= {"request_mb": request_mb, "mem_mb": mem_mb}
    return [Entry(key=str(number), outcome=end.as_json(), **shared) for number, end in enumerate(ends)]


def again(*ends: Outcome, **options: Any) -> bool:
    return decide(ends[-1], past(*ends), **options).again


@pytest.mark.parametrize("code", [1, 2, 64, 65, 66, 70, 73, 76, 77, 78, 127, 130, 143])
def test_what_ends_by_its_own_fault_is_not_tried_again(code: int) -> None:
    assert not again(ended(code))


@pytest.mark.parametrize("kind", ["held", "removed", "out_of_time", "never_matched"])
def test_what_somebody_has_decided_is_not_tried_again(kind: Any) -> None:
    assert not again(Outcome(kind, "reason"))


@pytest.mark.parametrize("code", [1, 2, 64, 65, 66, 70, 76, 77, 78, 127])
def test_guarded_are_the_ends_that_would_come_again(code: int) -> None:
    assert for_a_reason_of_its_own(ended(code).as_json())


@pytest.mark.parametrize(
    "end", [ended(69), ended(73), ended(74), ended(75), ended(137), ended(143), ended(0, 9), MEMORY, VANISHED]
)
def test_not_guarded_are_the_ends_that_say_nothing_about_the_work(end: Outcome) -> None:
    assert not for_a_reason_of_its_own(end.as_json())


def test_transient_ends_are_tried_twice_more() -> None:
    for end in (ended(74), VANISHED):
        assert again(end)
        assert again(end, end)
        assert not again(end, end, end)
    assert again(ended(74), ended(74), MEMORY, ended(74))
    refused = Outcome("removed", "by the pipeline: not submitted: too many jobs")
    assert not again(ended(74), refused, ended(74), refused, ended(74))


def test_checkpointed_job_goes_on_without_using_up_anything_but_segments() -> None:
    assert again(*[ended(75)] * 9)
    assert not again(*[ended(75)] * 10)
    assert not again(*[ended(75)] * 2, max_segments=2)
    assert "max_segments" in decide(ended(75), past(*[ended(75)] * 10)).why


def test_broken_machine_is_left_out_when_it_shows_at_once() -> None:
    broken = replace(ended(69, node="gpu07"), seconds=12.0)
    late = replace(broken, seconds=3600.0)
    assert again(broken)
    assert again(ended(69, node="gpu07")), "nobody knows how long it ran"
    assert "gpu07" in decide(broken, past(broken)).why
    assert not again(late)
    assert not again(*[broken] * 4)
    assert excluded_nodes(past(late)) == ()
    assert excluded_nodes(past(broken, ended(69, node="gpu08"), ended(78, node="gpu09"))) == ("gpu07", "gpu08")
    assert excluded_nodes(past(broken, hours_ago=30)) == ()


def test_memory_grows_by_half_up_to_the_ceiling() -> None:
    entries = past(MEMORY)
    assert memory_to_ask(1000, entries) == 1500
    entries += past(MEMORY, mem_mb=1500)
    assert memory_to_ask(1000, entries) == 2250
    assert memory_to_ask(1000, entries, ceiling_mb=2000) == 2000
    entries += past(MEMORY, mem_mb=2000)
    with pytest.raises(ConfigError, match="2000 MB were not enough"):
        memory_to_ask(1000, entries, ceiling_mb=2000)
    assert not decide(MEMORY, entries, ceiling_mb=2000).again
    assert "1500 MB instead of 1000 MB" in decide(MEMORY, past(MEMORY)).why


def test_memory_of_a_success_stays_and_a_changed_request_starts_over() -> None:
    entries = past(MEMORY) + past(ended(0), mem_mb=1500)
    assert memory_to_ask(1000, entries) == 1500
    assert memory_to_ask(1200, entries) == 1200
    assert memory_to_ask(1000, past(ended(1), VANISHED)) == 1000


def test_job_without_a_memory_request_is_not_tried_again_with_the_same() -> None:
    assert not decide(MEMORY, past(MEMORY, request_mb=0, mem_mb=0)).again


@given(request=some.integers(1, 10**6), times=some.integers(1, 12), ceiling=some.integers(1, 10**7))
def test_escalation_never_asks_less_and_never_more_than_the_ceiling(request: int, times: int, ceiling: int) -> None:
    """It ends, too: at the ceiling nothing is left to ask for."""
    entries: list[Entry] = []
    memory = request
    for _ in range(times):
        entries += past(MEMORY, request_mb=request, mem_mb=memory)
        try:
            more = memory_to_ask(request, entries, max(ceiling, request))
        except ConfigError:
            assert memory == max(ceiling, request)
            return
        assert memory < more <= max(ceiling, request)
        memory = more


def test_outcome_survives_the_journal() -> None:
    end = Outcome("held", "why", hold_code=34, hold_subcode=0, node="b7")
    content: Mapping[str, Any] = end.as_json() | {"later": 1}
    assert Outcome.from_json(content) == end


def test_killed_command_of_a_surviving_supervisor_had_no_memory() -> None:
    """The kernel takes the process that holds the most; whoever kills a job on purpose kills all of it."""
    record = {"state": "ended", "cause": "", "seconds": 9.0}
    killed = Outcome("failed", "killed by signal 9", signal=9)
    assert refined(killed, record).kind == "out_of_memory"
    assert refined(ended(137), record).kind == "out_of_memory"
    assert refined(killed, record | {"cause": "no progress"}).kind == "failed"
    assert refined(Outcome("failed", signal=11), record).kind == "failed"
    assert refined(killed, {"state": "running"}).kind == "failed"


def test_time_limit_is_known_by_the_record_unless_the_state_was_saved() -> None:
    record = {"state": "ended", "cause": "time limit", "seconds": 3540.0}
    assert refined(Outcome("failed", signal=15), record).kind == "out_of_time"
    assert refined(ended(75), record).exit_code == 75
    assert refined(ended(75), record).kind == "failed"


def test_forgotten_job_ended_as_it_says_itself() -> None:
    lost = Outcome("vanished", "lost")
    assert refined(lost, {"state": "ended", "exit_code": 0, "node": "n1"}).ok
    assert refined(lost, {"state": "ended", "exit_code": 78}).exit_code == 78
    assert refined(lost, {"state": "running"}) == lost
    assert refined(lost, {"state": "ended", "signal": 15, "cause": "terminated"}).kind == "vanished"
