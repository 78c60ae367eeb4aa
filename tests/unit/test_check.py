"""What `snpoint check` asks of tables, logs, submit files and ROOT files; the rest is in test_whole_dag.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import uproot

from snpoint.data.columns import HISTORY, REGISTRY, SKYMAP
from snpoint.data.registry import COLUMNS, write_registry
from snpoint.data.tpstream import BACKTRACKER, SCHEMA, Trees, read_tpstream, write_tpstream
from snpoint.tools.check import checker_of, contract_problems

GOLDEN = Path(__file__).parents[1] / "golden"


def csv(path: Path, *lines: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


HISTORY_HEADER = ",".join(HISTORY)
SKYMAP_HEADER = ",".join(SKYMAP)
PLOT_HEADER = "estimate,low_mev,high_mev,n,containment_68_deg,flipped_fraction"


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("history.csv", [HISTORY_HEADER, "1,-0.5,1.25,88.5,0.002,3.5", "2,-0.7,1.2,80,0.002,3.1"]),
        ("skymap.csv", [SKYMAP_HEADER, "0.6,0.0,0.8,-36.9,0.0,12.5"]),
        ("plots/energy.csv", [PLOT_HEADER, "network,3.0,5.0,107,86.5,0.3", "network,5.0,7.0,0,,"]),
    ],
)
def test_table_of_a_stage_is_accepted(tmp_path: Path, name: str, lines: list[str]) -> None:
    assert contract_problems(csv(tmp_path / name, *lines)) == []


@pytest.mark.parametrize(
    ("name", "lines", "said"),
    [
        ("history.csv", [HISTORY_HEADER], "has 0 rows"),
        ("history.csv", [HISTORY_HEADER, "1.5,1,1,88.5,0.002,3.5"], "'epoch' = '1.5' is no whole number"),
        ("history.csv", [HISTORY_HEADER, "1,1,nan,88.5,0.002,3.5"], "'val_loss' = 'nan' is no finite number"),
        ("history.csv", [HISTORY_HEADER, "1,1,1,181,0.002,3.5"], "above the largest legal value 180"),
        ("history.csv", [HISTORY_HEADER, "1,1,,88.5,0.002,3.5"], "'val_loss' = '' is blank"),
        ("history.csv", [HISTORY_HEADER, "1,1,1"], "row 2 has 3 cells"),
        ("history.csv", ["epoch,loss", "1,2"], "missing columns"),
        ("skymap.csv", [SKYMAP_HEADER, "1.6,0.0,0.8,-36.9,0.0,12.5"], "'direction_x'"),
        ("skymap.csv", [SKYMAP_HEADER, "0.6,0.0,0.8,-36.9,0.0,-1"], "below the smallest legal value 0"),
        ("plots/energy.csv", [PLOT_HEADER], "has 0 rows"),
        ("plots/energy.csv", ["network,3.0,5.0,107,86.5,0.3"], "is no header"),
        ("plots/energy.csv", ["a,a", "1,2"], "is no header"),
        ("plots/energy.csv", [PLOT_HEADER, "network,3.0,5.0,107,inf,0.3"], "'inf' is no finite number"),
        ("plots/energy.csv", [PLOT_HEADER, "network,3.0,5.0,107,86.5,1.3"], "above the largest legal value 1"),
        ("plots/loss.csv", ["low,high", "1,2", "oops,3"], "row 3: 'low' = 'oops' is no finite number"),
        ("plots/loss.csv", ["low,high", "1,2", "1,2,3"], "row 3 has 3 cells"),
        ("plots/loss.csv", ["low,high", '"1,2'], "not a readable table"),
    ],
)
def test_odd_table_is_named_with_the_reason(tmp_path: Path, name: str, lines: list[str], said: str) -> None:
    path = csv(tmp_path / name, *lines)
    (problem,) = contract_problems(path)
    assert str(path) in problem
    assert said in problem


def test_registry_may_have_blanks_where_nothing_was_trained_yet(tmp_path: Path) -> None:
    row = dict.fromkeys(COLUMNS) | dict.fromkeys(("task", "version", "state", "status", "why", "dataset"), "word")
    path = tmp_path / "registry.csv"
    write_registry(path, tmp_path / "registry.json", [row])
    assert contract_problems(path) == []
    write_registry(path, tmp_path / "registry.json", [])
    assert contract_problems(path) == [], "a project without an active version"


@pytest.mark.parametrize("name", [name for name, column in REGISTRY.items() if column.kind != "text"])
def test_registry_holds_no_word_where_a_number_belongs(tmp_path: Path, name: str) -> None:
    row = dict.fromkeys(COLUMNS) | dict.fromkeys(("task", "version", "state", "status", "why", "dataset"), "word")
    write_registry(tmp_path / "registry.csv", tmp_path / "registry.json", [row | {name: "many"}])
    (problem,) = contract_problems(tmp_path / "registry.csv")
    assert f"'{name}' = 'many' is no finite number" in problem


COMMAND = "2026-01-02 03:04:05,678 INFO command: snpoint match x.root"


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        (f"{COMMAND}\n2026-01-02 03:04:06,000 INFO done é\n".encode(), True),
        (b"", False),
        (b"2026-01-02 03:04:06,000 INFO done\n", False),
        (f"{COMMAND}\n".encode() + b"\xff\xfe", False),
    ],
)
def test_log_begins_with_its_command(tmp_path: Path, content: bytes, whole: bool) -> None:
    path = tmp_path / "logs/match.0000.log"
    path.parent.mkdir()
    path.write_bytes(content)
    assert (contract_problems(path) == []) == whole


@pytest.mark.parametrize("name", ["htcondor.sub", "slurm.sbatch"])
def test_submit_file_must_be_whole_and_of_its_system(tmp_path: Path, name: str) -> None:
    path = tmp_path / "jobs" / f"train.1{Path(name).suffix}"
    path.parent.mkdir()
    text = (GOLDEN / name).read_text()
    path.write_text(text)
    assert contract_problems(path) == []
    other = "slurm.sbatch" if name == "htcondor.sub" else "htcondor.sub"
    for broken in ("", text[: len(text) // 2], text.rstrip().rpartition("\n")[0], (GOLDEN / other).read_text()):
        path.write_text(broken)
        (problem,) = contract_problems(path)
        assert "not a whole submit file" in problem


def test_file_of_no_stage_has_no_contract(tmp_path: Path) -> None:
    assert checker_of(tmp_path / "notes.txt") is None


@pytest.fixture
def trees() -> Trees:
    """Two TPs with all their branches."""
    number = {key: np.arange(1, 3).astype(kind) for key, kind in SCHEMA["tps"].items()}
    return {"tps": number}


def write_raw(path: Path, tree: Mapping[str, np.ndarray]) -> None:
    """A TPStream with whatever branches there are."""
    with uproot.recreate(path) as file:
        name = "triggerAnaDumpTPs/TriggerPrimitives/tpmakerTPC__TriggerAnaTree1x2x2"
        file.mktree(name, {key: values.dtype for key, values in tree.items()})
        file[name].extend(dict(tree))


def test_tpstream_with_all_or_without_all_backtracker_branches_is_accepted(tmp_path: Path, trees: Trees) -> None:
    write_tpstream(tmp_path / "0000.root", trees)
    write_tpstream(tmp_path / "0001.root", {"tps": {k: v for k, v in trees["tps"].items() if k not in BACKTRACKER}})
    assert contract_problems(tmp_path / "0000.root") + contract_problems(tmp_path / "0001.root") == []


@pytest.mark.parametrize(("branch", "dtype"), [("adc_peak", "f4"), ("time_start", "i8"), ("bt_edep", "f4")])
def test_branch_of_another_type_is_found_although_it_can_be_read(
    tmp_path: Path, trees: Trees, branch: str, dtype: str
) -> None:
    path = tmp_path / "0000.root"
    write_raw(path, trees["tps"] | {branch: trees["tps"][branch].astype(dtype)})
    (problem,) = contract_problems(path)
    assert f"branch '{branch}' is {dtype}, expected {SCHEMA['tps'][branch]}" in problem


@pytest.mark.parametrize("branch", ["adc_peak", "bt_edep"])
def test_missing_branch_is_found(tmp_path: Path, trees: Trees, branch: str) -> None:
    path = tmp_path / "0000.root"
    write_raw(path, {key: values for key, values in trees["tps"].items() if key != branch})
    (problem,) = contract_problems(path)
    assert branch in problem


def test_unknown_branch_is_found(tmp_path: Path, trees: Trees) -> None:
    path = tmp_path / "0000.root"
    write_raw(path, trees["tps"] | {"surprise": np.zeros(2)})
    assert read_tpstream(path)
    (problem,) = contract_problems(path)
    assert "surprise" in problem


def test_real_file_keeps_the_schema(real_data: Path) -> None:
    assert contract_problems(real_data / "test_es_tpstream.root") == []
