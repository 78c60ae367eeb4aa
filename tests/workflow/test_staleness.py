"""What runs again after which edit: `snakemake -n` and `snpoint status` must list exactly this, and the same.

Jobs are written "stage key". The stages write placeholders (stub_snpoint.py): the thing under test is the
configuration, the rules and the records, not the physics.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from expected import (
    AFTER_TRAIN,
    CHUNKS,
    FROM_CLUSTER,
    FROM_RAW,
    FROM_RAW_DATASET,
    FROM_V0,
    FROM_V0_DATASET,
    PAGE,
    RAW,
    V0,
    stages,
)
from workplace import Workplace


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
            "status: active\ncluster: {tick_limit: 4}\n",
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
