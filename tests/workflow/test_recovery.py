"""After a failure, a crash, a lost memory or a changed file: what runs again, and what `snpoint repair` sets right."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from expected import FROM_CLUSTER, FROM_RAW, PAGE, RAW, V0, stages
from workplace import Workplace


def contents(workplace: Workplace) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (workplace.folder / "results").rglob("*") if path.is_file()}


@pytest.mark.parametrize(("variable", "why"), [("STUB_FAIL", "became NaN"), ("STUB_KILL", "killed")])
def test_a_failed_job_is_not_forgotten(workplace: Workplace, variable: str, why: str) -> None:
    """Snakemake alone takes the old evaluation for up to date once the training failed after an edit."""
    workplace.append("electron_direction/v0_raw.yaml", "train: {learning_rate: 0.0005}\n")
    result = workplace.snakemake("--profile", "local", check=False, **{variable: "train"})
    assert result.returncode == 1
    assert not (workplace.folder / f"results/{RAW}/train/model.keras").exists()
    assert workplace.agreed("all") == FROM_RAW
    assert workplace.dry_run(f"results/{RAW}/evaluate/metrics.json") == stages(("train", "evaluate"), RAW)
    status = workplace.status("v0_raw")["stages"]
    train = next(item for item in status if item["stage"] == "train")
    assert train["state"] == "failed"
    assert why in train["why"]
    if variable == "STUB_FAIL":
        workplace.snakemake("--profile", "local")
        assert workplace.agreed("all") == set()


def test_a_job_that_never_started_is_not_forgotten(workplace: Workplace) -> None:
    """Snakemake removes the old outputs when it submits; a job removed from the queue leaves the old record."""
    workplace.append("electron_direction/v0_raw.yaml", "train: {learning_rate: 0.0005}\n")
    command = workplace.folder / "bin/snpoint"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    command.chmod(0o755)
    path = f"{command.parent}{os.pathsep}{workplace.environment['PATH']}"
    assert workplace.snakemake("--profile", "local", check=False, PATH=path).returncode == 1
    assert workplace.agreed("all") == FROM_RAW


def test_what_was_removed_to_save_space_is_not_made_again(workplace: Workplace) -> None:
    (workplace.folder / "results/samples/sim_es/simulate/0000.root").unlink()
    assert workplace.dry_run("all", "real_data") == set()
    item = next(item for item in workplace.status()["stages"] if item["key"] == "sim_es/0000")
    assert (item["state"], item["runs"]) == ("missing", False)
    assert "not needed" in item["why"]
    workplace.append("samples/sim_es.yaml", "match: {truth: none}\n")
    matches = {"match sim_es/0000", "match sim_es/0001"}
    needed = {"simulate sim_es/0000", "cluster sim_es/0000", "cluster sim_es/0001", "calibrate sim_es"}
    assert workplace.agreed() == matches | needed | FROM_CLUSTER


def test_lost_memory_is_noticed_and_repaired(workplace: Workplace) -> None:
    workplace.append("electron_direction/v0_raw.yaml", "train: {learning_rate: 0.0005}\n")
    shutil.rmtree(workplace.folder / ".snakemake")
    assert workplace.dry_run() == set(), "the dry run sees more than it can: is this test still needed?"
    status = workplace.status()
    assert {f"{item['stage']} {item['key']}" for item in status["stages"] if item["runs"]} == FROM_RAW
    assert len(status["without_snakemake_record"]) > 50
    assert "snpoint repair" in status["notices"][0]

    before = contents(workplace)
    text = workplace.run("snpoint", "repair").stdout
    assert f"train {RAW}: stale (settings: train.learning_rate 0.002 -> 0.0005)" in text
    assert contents(workplace) == before
    assert workplace.agreed() == FROM_RAW

    workplace.edit("electron_direction/v0_raw.yaml", ("train: {learning_rate: 0.0005}\n", ""))
    assert workplace.agreed() == set(), "after the edit is taken back nothing is stale"


def test_repair_of_an_intact_memory_changes_nothing(workplace: Workplace) -> None:
    workplace.append("electron_direction/v0_raw.yaml", "evaluate: {bootstrap_samples: 30}\n")
    expected = workplace.agreed()
    workplace.run("snpoint", "repair")
    assert workplace.agreed() == expected


def test_repair_is_not_fooled_by_times(workplace: Workplace) -> None:
    """A fresh clone with results copied into it: times are those of the copy, in the order of the copy."""
    shutil.rmtree(workplace.folder / ".snakemake")
    files = sorted(path for path in (workplace.folder / "results").rglob("*") if path.is_file())
    for second, path in enumerate(files):
        os.utime(path, (2_000_000_000 - 10 * second,) * 2)
    small = ("--max-checksum-file-size", "0")  # as if all files were larger than what Snakemake computes checksums of
    assert workplace.dry_run(options=small) != set()
    assert any("newer" in notice for notice in workplace.status()["notices"])
    workplace.run("snpoint", "repair")
    assert workplace.dry_run("all", "real_data", options=small) == set()
    assert workplace.agreed() == set()


def test_a_result_changed_by_hand_is_made_again(workplace: Workplace) -> None:
    model = workplace.folder / f"results/{RAW}/train/model.keras"
    made = model.stat()
    model.write_bytes(b"x" * made.st_size)
    os.utime(model, ns=(made.st_atime_ns, made.st_mtime_ns))
    assert workplace.dry_run() == set(), "size and time are the same"
    workplace.run("snpoint", "repair")
    assert workplace.dry_run() == FROM_RAW

    os.utime(model)
    assert workplace.agreed() == FROM_RAW
    train = next(item for item in workplace.status("v0_raw")["stages"] if item["stage"] == "train")
    assert "changed since it was written" in train["why"]


def test_repair_waits_for_snakemake(workplace: Workplace) -> None:
    locks = workplace.folder / ".snakemake/locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.input.lock").write_text("", encoding="utf-8")
    result = workplace.run("snpoint", "repair", check=False)
    assert result.returncode == 64
    assert "Snakemake is at work" in result.stderr


def test_repair_remembers_the_rules_too(workplace: Workplace) -> None:
    """A changed shell command is seen by Snakemake alone; also after a repair."""
    shutil.rmtree(workplace.folder / ".snakemake")
    workplace.run("snpoint", "repair")
    rules = workplace.folder / "workflow"
    rules.unlink()
    shutil.copytree(Path(__file__).parents[2] / "workflow/rules", rules / "rules")
    file = rules / "rules/interpret.smk"
    file.write_text(
        file.read_text(encoding="utf-8").replace("snpoint interpret ", "snpoint  interpret "), encoding="utf-8"
    )
    assert workplace.dry_run() == {f"interpret {V0}", f"interpret {RAW}", PAGE}


def test_one_pipeline_at_a_time_and_after_a_crash(workplace: Workplace) -> None:
    workplace.append("electron_direction/v0_raw.yaml", "train: {learning_rate: 0.0005}\n")
    first = subprocess.Popen(
        ["snakemake", "--profile", "local"],
        cwd=workplace.folder,
        env=workplace.environment | {"STUB_WAIT": "train"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while workplace.states("v0_raw")[f"train {RAW}"] != "running":
            assert time.monotonic() < deadline
            assert first.poll() is None
            time.sleep(0.3)
        second = workplace.snakemake("--profile", "local", check=False)
        assert second.returncode != 0
        assert "cannot be locked" in second.stdout + second.stderr
        assert workplace.run("snpoint", "repair", check=False).returncode == 64
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        record = json.loads((workplace.folder / f"results/{RAW}/train/provenance.json").read_text(encoding="utf-8"))
        # the stage may outlive its driver, or have gone down with it
        if record["state"] == "running":
            with contextlib.suppress(ProcessLookupError):
                os.kill(record["pid"], signal.SIGKILL)
    assert workplace.agreed("all") == FROM_RAW
    assert workplace.states("v0_raw")[f"train {RAW}"] == "failed"
    workplace.snakemake("--unlock")
    workplace.snakemake("--profile", "local")
    assert workplace.agreed("all") == set()
