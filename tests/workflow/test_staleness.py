"""What runs again after which edit: `snakemake -n` and `snpoint status` must list exactly this, and the same.

Jobs are written "stage key". The stages write placeholders (stub_snpoint.py): the thing under test is the
configuration, the rules and the records, not the physics.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from workplace import Workplace

V0, RAW = "electron_direction/v0", "electron_direction/v0_raw"
PAGE, REAL_PAGE = "report index", "report real_data"
CHUNKS = ("sim_es_0000", "sim_es_0001")
REAL_V0 = {f"predict {V0}/fdhd_es", f"predict {V0}/fdhd_cc", "point fdhd_es", REAL_PAGE}
"""What the real files get from v0: not built by `snakemake`, but by `snakemake real_data`."""


def stages(names: Iterable[str], key: str) -> set[str]:
    return {f"{name} {key}" for name in names}


AFTER_TRAIN = ("train", "evaluate", "likelihood", "interpret")
FROM_RAW = stages(AFTER_TRAIN, RAW) | {"point demo_burst_raw", PAGE}
FROM_V0 = stages(AFTER_TRAIN, V0) | {"point demo_burst", PAGE} | REAL_V0
FROM_RAW_DATASET = {"dataset sim_es_raw"} | FROM_RAW
FROM_V0_DATASET = {"dataset sim_es"} | FROM_V0
FROM_CLUSTER = (
    {f"image {dataset}/{chunk}" for dataset in ("sim_es", "sim_es_raw") for chunk in CHUNKS}
    | FROM_V0_DATASET
    | FROM_RAW_DATASET
)


def test_nothing_is_to_be_done_after_a_complete_run(workplace: Workplace) -> None:
    workplace.quick = None  # the commands as they are typed
    assert "Nothing to be done" in workplace.snakemake("-n").stdout
    assert workplace.agreed() == set()


def test_learning_rate_of_one_version_reruns_its_training_and_what_follows(workplace: Workplace) -> None:
    workplace.append("electron_direction/v0_raw.yaml", "train: {learning_rate: 0.0005}\n")
    assert workplace.dry_run() == FROM_RAW
    assert workplace.agreed() == FROM_RAW
    train = next(item for item in workplace.status()["stages"] if (item["stage"], item["key"]) == ("train", RAW))
    assert train["why"] == "settings: train.learning_rate 0.002 -> 0.0005"


def test_where_and_with_what_and_words_rerun_nothing(workplace: Workplace) -> None:
    workplace.edit("electron_direction/v0.yaml", ("memory_gb: 4.0", "memory_gb: 7.0"), ("why: the demo", "why: a demo"))
    workplace.append("electron_direction/v0_raw.yaml", "# a comment\nlesson: the frame is worth 40 degrees\n")
    workplace.append("electron_direction/v0_raw.yaml", "job: {gpus: 1, gpu_model: h100, runtime_h: 9.0}\n")
    workplace.edit("electron_direction/_base.yaml", ("cpus: 2", "cpus: 4"))
    workplace.append("datasets/sim_es.yaml", "lesson: small\njob: {cpus: 2}\n")
    workplace.append("samples/sim_es.yaml", "job: {memory_gb: 9.0}\n")
    workplace.edit("samples/_base.yaml", ("source: simulated ", "source:   simulated   "))
    workplace.append("pointing/demo_burst.yaml", "lesson: a hundred events do\n")
    assert workplace.agreed() == set()


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        pytest.param(
            "electron_direction/v0_raw.yaml",
            "status: active\n",
            "status: active\nevaluate: {bootstrap_samples: 30}\n",
            FROM_RAW - stages(("train", "interpret"), RAW),
            id="evaluate of one version",
        ),
        pytest.param(
            "electron_direction/v0_raw.yaml",
            "status: active\n",
            "status: active\ninterpret: {max_events: 100}\n",
            {f"interpret {RAW}", PAGE},
            id="interpret of one version",
        ),
        pytest.param(
            "electron_direction/_base.yaml",
            "early_stopping: {patience: 50}",
            "early_stopping: {patience: 40}",
            FROM_V0 | FROM_RAW,
            id="default of all versions",
        ),
        pytest.param(
            "datasets/sim_es_raw.yaml",
            "context: cluster",
            "context: cluster, tot_cut: 2",
            {f"image sim_es_raw/{chunk}" for chunk in CHUNKS} | FROM_RAW_DATASET,
            id="images of one dataset",
        ),
        pytest.param(
            "datasets/sim_es_raw.yaml",
            "status: active\n",
            "status: active\ndataset: {seed: 2}\n",
            FROM_RAW_DATASET,
            id="split of one dataset",
        ),
        pytest.param(
            "samples/sim_es.yaml",
            "status: active\n",
            "status: active\ncluster: {tick_gap: 4}\n",
            {"cluster sim_es/0000", "cluster sim_es/0001"} | FROM_CLUSTER,
            id="clusters of one sample",
        ),
        pytest.param(
            "samples/sim_es.yaml",
            "chunks: 2",
            "chunks: 3",
            stages(("simulate", "match", "cluster"), "sim_es/0002")
            | {"image sim_es/sim_es_0002", "image sim_es_raw/sim_es_0002"}
            | FROM_V0_DATASET
            | FROM_RAW_DATASET,
            id="one more chunk",
        ),
        pytest.param("pointing/demo_burst.yaml", "status: active\n", "status: active\npoint: {n_events: 11}\n",
                     {"point demo_burst", PAGE}, id="one pointing"),
        pytest.param("electron_direction/v0_raw.yaml", "status: active", "status: archived", {PAGE}, id="archived"),
    ],
)  # fmt: skip
def test_an_edit_reruns_exactly(workplace: Workplace, file: str, old: str, new: str, expected: set[str]) -> None:
    workplace.edit(file, (old, new))
    assert workplace.agreed() == expected


def test_a_new_version_adds_itself_and_the_page(workplace: Workplace) -> None:
    (workplace.folder / "configs/electron_direction/v1.yaml").write_text(
        "why: to see what a new version adds\nstatus: active\nextends: v0\napply_to: []\n", encoding="utf-8"
    )
    assert workplace.agreed() == stages(AFTER_TRAIN, "electron_direction/v1") | {PAGE}


def test_a_draft_is_built_only_by_name(workplace: Workplace) -> None:
    workplace.edit("electron_direction/v0_30k.yaml", ("dataset: sim_es_50k", "dataset: sim_es"))
    assert workplace.agreed() == set()
    metrics = "results/electron_direction/v0_30k/evaluate/metrics.json"
    assert workplace.dry_run(metrics) == stages(("train", "evaluate"), "electron_direction/v0_30k")
    assert set(workplace.states("v0_30k").values()) == {"missing"}


def test_a_new_code_number_reruns_its_stage_everywhere(workplace: Workplace, tmp_path: Path) -> None:
    package = Path(__file__).parents[2] / "workflow/src/snpoint"
    shutil.copytree(package, tmp_path / "src/snpoint", ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "src/snpoint/settings.py"
    before, name, after = file.read_text(encoding="utf-8").partition("class InterpretSettings")
    file.write_text(before + name + after.replace("code: Literal[1] = 1", "code: Literal[2] = 2", 1), encoding="utf-8")
    workplace.quick = None
    workplace.environment = workplace.environment | {"PYTHONPATH": str(tmp_path / "src")}
    assert workplace.agreed() == {f"interpret {V0}", f"interpret {RAW}", PAGE}


def test_asking_for_one_file_lists_only_what_it_needs(workplace: Workplace) -> None:
    metrics = f"results/{V0}/evaluate/metrics.json"
    assert workplace.dry_run(metrics) == set()
    workplace.edit("electron_direction/v0.yaml", ("learning_rate: 0.002", "learning_rate: 0.003"))
    assert workplace.dry_run(metrics) == stages(("train", "evaluate"), V0)


def test_a_run_that_stopped_half_way_goes_on(workplace: Workplace) -> None:
    workplace.append("electron_direction/v0_raw.yaml", "train: {learning_rate: 0.0005}\n")
    workplace.snakemake("--profile", "local", f"results/{RAW}/train/model.keras")
    assert workplace.agreed() == FROM_RAW - {f"train {RAW}"}


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
    needed = {"simulate sim_es/0000", "cluster sim_es/0000", "cluster sim_es/0001"}
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
        if record["state"] == "running":  # the stage outlives its driver
            os.kill(record["pid"], signal.SIGKILL)
    assert workplace.agreed("all") == FROM_RAW
    assert workplace.states("v0_raw")[f"train {RAW}"] == "failed"
    workplace.snakemake("--unlock")
    workplace.snakemake("--profile", "local")
    assert workplace.agreed("all") == set()


def test_settings_arrive_unharmed(workplace: Workplace) -> None:
    """Quotes, braces, dollars and blanks in a value reach the stage as they are, and nothing is executed."""
    name = 'it\'s {a} "file" $HOME $(touch INJECTED) `touch INJECTED`; touch INJECTED\\n %s é'
    workplace.append("samples/fdhd_es.yaml", f"cluster: {{}}\n# {name}\n")
    workplace.edit("samples/fdhd_es.yaml", ("sha256: {", f"sha256: {{{json.dumps(name)}: abc, "))
    workplace.snakemake("--profile", "local", "results/samples/fdhd_es/match/0000.parquet")
    record = json.loads((workplace.folder / "results/samples/fdhd_es/match/0000.provenance.json").read_text())
    assert record["settings"]["sha256"][name] == "abc"
    assert not list(workplace.folder.rglob("INJECTED"))
    assert "match fdhd_es/0000" not in workplace.dry_run("real_data")


def contents(workplace: Workplace) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (workplace.folder / "results").rglob("*") if path.is_file()}
