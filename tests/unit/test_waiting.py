"""Waiting jobs: told of early when no machine can run them, given up only after the site's patience."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise

import pytest

os.environ.setdefault("CONDOR_CONFIG", "ONLY_ENV")

import classad2
from test_unmatched import job, slot

from snakemake_executor_plugin_templated.backend import BackendError
from snakemake_executor_plugin_templated.waiting import Waiting

HOUR = 3600.0
START = 1_000_000.0


class Pool:
    """A collector that counts how often it is asked."""

    def __init__(self, *slots: classad2.ClassAd) -> None:
        self.slots = list(slots)
        self.asked = 0
        self.silent = False

    def __call__(self, constraint: str, attributes: Sequence[str]) -> list[classad2.ClassAd]:
        self.asked += 1
        if self.silent:
            raise BackendError("the collector does not answer")
        return self.slots


def idle(memory: int) -> classad2.ClassAd:
    return job(RequestMemory=str(memory), JobStatus="1")


def looks(waiting: Waiting, pool: Pool, jobs: dict[str, tuple[float, int]], until: float) -> dict[str, list[str]]:
    """Poll every 15 s: by job, what was said, with the minute."""
    said: dict[str, list[str]] = {}
    now = START
    while now < START + until:
        here = {name: since for name, (since, _) in jobs.items() if since <= now and "end" not in str(said.get(name))}
        due = waiting.due(here, now)
        ads = {name: idle(jobs[name][1]) for name in here}
        ends, notes = waiting.look(due, ads, pool, now)
        for name, text in [*notes, *((name, f"end: {end.kind}") for name, end in ends.items())]:
            said.setdefault(name, []).append(f"{(now - START) / 60:g} {text}")
        now += 15
    return said


def test_job_that_outgrew_the_pool_is_told_of_after_two_minutes_and_given_up_after_an_hour() -> None:
    said = looks(Waiting(HOUR), Pool(slot()), {"large": (START, 64000)}, 2 * HOUR)
    early, end = said["large"]
    assert early.startswith(
        "2.25 no machine of the pool can run it: request_memory 64000 MB: the largest slot has 8000"
    )
    assert "; given up at " in early
    assert early.endswith(" unless one comes")
    assert end == "60.25 end: never_matched"


def test_job_is_not_given_up_when_a_machine_has_come() -> None:
    waiting, pool, jobs = Waiting(HOUR), Pool(slot()), {"large": (START, 64000)}
    assert len(looks(waiting, pool, jobs, 0.5 * HOUR)["large"]) == 1
    pool.slots.append(slot(Memory="64000", TotalSlotMemory="64000"))
    (note,) = looks(waiting, pool, jobs, 3 * HOUR)["large"]
    assert "waiting: 1 of 2 slots fit" in note


def test_early_looks_are_ten_minutes_apart_over_all_jobs() -> None:
    pool = Pool(slot())
    jobs = {str(n): (START + 60 * n, 100) for n in range(40)}
    said = looks(Waiting(HOUR), pool, jobs, 0.75 * HOUR)
    assert said.keys() == jobs.keys()
    assert pool.asked == 5
    minutes = sorted({float(note.split()[0]) for notes in said.values() for note in notes})
    assert all(after - before >= 10 for before, after in pairwise(minutes))


def test_successor_with_more_memory_is_looked_at_as_soon() -> None:
    jobs = {"first": (START, 8000), "second": (START + 1800, 12000)}
    said = looks(Waiting(HOUR), Pool(slot()), jobs, 0.75 * HOUR)
    assert said["second"][0].startswith("32.25 no machine of the pool can run it: request_memory 12000 MB")


def test_collector_that_does_not_answer_is_asked_again_before_another_hour() -> None:
    waiting, pool, jobs = Waiting(HOUR), Pool(slot()), {"large": (START - HOUR - 60, 64000)}
    pool.silent = True
    with pytest.raises(BackendError):
        looks(waiting, pool, jobs, 60)
    pool.silent = False
    (end,) = looks(waiting, pool, jobs, HOUR)["large"]
    assert end == "10.25 end: never_matched"
    assert pool.asked == 2


def test_job_that_runs_after_all_is_not_asked_about_at_every_poll() -> None:
    waiting, pool = Waiting(HOUR), Pool(slot())
    since = {"running": START}
    due = waiting.due(since, START + 130)
    assert due == ["running"]
    assert waiting.look(due, {"running": job(JobStatus="2", NumJobStarts="1")}, pool, START + 130) == ({}, [])
    assert waiting.due(since, START + 1500) == []
