"""Why a job never matches: the requirement that excludes the machines, as if all of them were free."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("CONDOR_CONFIG", "ONLY_ENV")

import classad2

from snakemake_executor_plugin_templated.unmatched import examine, examine_all, split

A100 = '[Id="GPU-1"; Capability=8.0; DeviceName="A100-SXM4-40GB"; GlobalMemoryMb=40000]'


def slot(**attributes: str) -> classad2.ClassAd:
    """A free partitionable slot of 8 cores, 8000 MB and an A100."""
    content = {
        "Name": '"slot1@node1"',
        "Machine": '"node1"',
        "OpSysAndVer": '"AlmaLinux9"',
        "SlotType": '"Partitionable"',
        "PartitionableSlot": "true",
        "Start": "true",
        "Cpus": "8",
        "TotalSlotCpus": "8",
        "Memory": "8000",
        "TotalSlotMemory": "8000",
        "Disk": "1000000",
        "TotalSlotDisk": "1000000",
        "GPUs": "1",
        "TotalSlotGPUs": "1",
        "GPUs_GPU_1": A100,
        "AvailableGPUs": "{GPUs_GPU_1}",
    } | attributes
    return classad2.ClassAd("[" + "; ".join(f"{key} = {value}" for key, value in content.items()) + "]")


def busy(**attributes: str) -> classad2.ClassAd:
    """The same slot with everything given away."""
    return slot(**({"Cpus": "0", "Memory": "0", "GPUs": "0", "AvailableGPUs": "{}"} | attributes))


def job(requirements: str = "true", **requests: str) -> classad2.ClassAd:
    """A job's ad, with the clauses that condor_submit adds."""
    clauses = [f"({requirements})", "(TARGET.Memory >= RequestMemory)", "(TARGET.Disk >= RequestDisk)"]
    if "RequireGPUs" in requests:
        clauses.append("(countMatches(MY.RequireGPUs,TARGET.AvailableGPUs) >= RequestGPUs)")
    content = {"RequestCpus": "1", "RequestMemory": "100", "RequestDisk": "1000"} | requests
    content["Requirements"] = " && ".join(clauses)
    return classad2.ClassAd("[" + "; ".join(f"{key} = {value}" for key, value in content.items()) + "]")


@pytest.mark.parametrize(
    ("requirements", "clauses"),
    [
        ("a", ["a"]),
        ("a && b", ["a", "b"]),
        ("((a) && (b)) && (c >= 3)", ["a", "b", "c >= 3"]),
        ("a || b && c", ["a || b && c"]),
        ("(a || b) && c", ["a || b", "c"]),
        ("a && b ? c : d", ["a && b ? c : d"]),
        ('x =?= "p && q" && f(a && b, {c && d})', ['x =?= "p && q"', "f(a && b, {c && d})"]),
        (r'x == "say \"&&\"" && y', [r'x == "say \"&&\""', "y"]),
        ("(a) && (b)", ["a", "b"]),
    ],
)
def test_requirements_fall_apart_at_the_outer_and(requirements: str, clauses: list[str]) -> None:
    assert split(requirements) == clauses


def test_busy_slot_that_is_large_enough_is_waited_for() -> None:
    verdict = examine(job(RequestCpus="8", RequestGPUs="1", RequireGPUs="Capability >= 8.0"), [busy()])
    assert not verdict.never
    assert verdict.reason == "waiting: 1 of 1 slots fit, and all of them are busy or not offered to you yet"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (job(RequestMemory="64000"), "request_memory 64000 MB: the largest slot has 8000 MB (slots excluded: 2 of 2)"),
        (job(RequestCpus="16"), "request_cpus 16: the largest slot has 8"),
        (job(RequestDisk="2000000"), "request_disk 2000000 KB: the largest slot has 1000000 KB"),
        (job(RequestGPUs="2", RequireGPUs="true"), "request_gpus 2: the largest slot has 1"),
        (
            job(RequestGPUs="1", RequireGPUs="Capability >= 9.0"),
            "request_gpus 1 with require_gpus Capability >= 9: the pool has A100-SXM4-40GB (capability 8.0, 40000 MB)",
        ),
        (
            job(RequestGPUs="1", RequireGPUs="GlobalMemoryMb >= GPUsMinMemory", GPUsMinMemory="80000"),
            "require_gpus GlobalMemoryMb >= 80000: the pool has A100",
        ),
        (job('OpSysAndVer =?= "CentOS7"'), 'requirements OpSysAndVer is "CentOS7": OpSysAndVer is AlmaLinux9'),
        (job("HasAvx1024"), "requirements HasAvx1024: HasAvx1024 is not set"),
    ],
)
def test_what_excludes_every_slot_is_named_with_the_best_there_is(asked: classad2.ClassAd, words: str) -> None:
    verdict = examine(asked, [slot(), busy()])
    assert verdict.never
    assert words in verdict.reason
    assert verdict.reason.count("excluded") == 1, "once, although condor_submit repeats requests in the requirements"


def test_requirements_that_no_slot_fulfils_together() -> None:
    large = slot(OpSysAndVer='"CentOS7"', Memory="64000", TotalSlotMemory="64000")
    verdict = examine(job('OpSysAndVer =?= "AlmaLinux9"', RequestMemory="32000"), [slot(), slot(), large])
    assert verdict.never
    assert verdict.reason.startswith("no slot satisfies all requirements together: ")
    assert "request_memory 32000 MB: the largest slot has 64000 MB (slots excluded: 2 of 3)" in verdict.reason
    assert "(slots excluded: 1 of 3)" in verdict.reason


def test_excluded_machine_is_a_requirement() -> None:
    verdict = examine(job('TARGET.Machine =!= "node1"'), [slot()])
    assert verdict.never
    assert "Machine is node1" in verdict.reason


def test_parts_of_a_slot_are_not_counted() -> None:
    part = slot(SlotType='"Dynamic"', PartitionableSlot="false")
    assert "1 of 1 slots fit" in examine(job(), [busy(), part]).reason


def test_static_slot_is_as_large_as_it_is() -> None:
    static = slot(SlotType='"Static"', PartitionableSlot="false", Memory="2000", TotalSlotMemory="2000")
    assert examine(job(RequestMemory="4000"), [static]).never


def test_machine_that_takes_no_jobs_for_now_is_waited_for() -> None:
    verdict = examine(job(), [slot(Start="false")])
    assert not verdict.never
    assert "policy (START) refuses the job for now: false" in verdict.reason


def test_empty_pool_is_not_the_jobs_fault() -> None:
    assert not examine(job(), []).never


def test_jobs_that_ask_for_the_same_share_a_verdict_and_others_do_not() -> None:
    gpu = {"RequestGPUs": "1", "RequireGPUs": "Capability >= Floor"}
    jobs = {
        "small": job(),
        "alike": job(),
        "large": job(RequestMemory="64000"),
        "own": job("Memory >= Floor", Floor="100"),
        "own large": job("Memory >= Floor", Floor="64000"),
        "old": job(**gpu, Floor="7.0"),
        "modern": job(**gpu, Floor="9.0"),
    }
    verdicts = examine_all(jobs, lambda *_: [slot()])
    assert verdicts["small"] is verdicts["alike"]
    assert {name for name, verdict in verdicts.items() if verdict.never} == {"large", "own large", "modern"}
