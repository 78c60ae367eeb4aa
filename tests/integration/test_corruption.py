"""Every kind of result is damaged once: `snpoint check` must notice by the file's contract, without its checksum."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from snpoint.data.tpstream import read_tpstream
from snpoint.tools.check import contract_problems

Damage = Callable[[Path], None]


def cut(path: Path) -> None:
    """Lose the second half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def change_json(path: Path) -> None:
    """Another format version."""
    path.write_text(json.dumps(read(path) | {"format_version": 99}))


def drop_json_key(path: Path) -> None:
    content = read(path)
    del content[list(content)[-1]]
    path.write_text(json.dumps(content))


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def arrays(**changes: Callable[[np.ndarray], np.ndarray]) -> Damage:
    """Change some arrays of an NPZ file."""

    def damage(path: Path) -> None:
        with np.load(path) as file:
            content = {key: file[key] for key in file.files}
        np.savez(path, **(content | {key: change(content[key]) for key, change in changes.items()}))

    return damage


OTHER_VERSION = arrays(format_version=lambda values: np.array(99, "u2"))


def rows(change: Callable[[list[list[str]]], list[list[str]]]) -> Damage:
    """Change the cells of a table, which stays well-formed."""

    def damage(path: Path) -> None:
        with path.open(encoding="utf-8", newline="") as stream:
            cells = list(csv.reader(stream))
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows(change(cells))

    return damage


LACKING_A_COLUMN = rows(lambda cells: [row[:-1] for row in cells])
ONE_SHORT_ROW = rows(lambda cells: [*cells[:-1], cells[-1][:-1]])
NOT_A_NUMBER = rows(lambda cells: [*cells[:-1], [*cells[-1][:-1], "nan"]])
HEADER_ONLY = rows(lambda cells: cells[:1])


def branches(change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> Damage:
    """Write the TPs of a ROOT file anew, with other branches."""

    def damage(path: Path) -> None:
        tree = change(read_tpstream(path, ["tps"])["tps"])
        with uproot.recreate(path) as file:
            name = "triggerAnaDumpTPs/TriggerPrimitives/tpmakerTPC__TriggerAnaTree1x2x2"
            file.mktree(name, {key: values.dtype for key, values in tree.items()})
            file[name].extend(tree)

    return damage


WRONG_DTYPE = branches(lambda tree: tree | {"adc_integral": tree["adc_integral"].astype("f4")})
MISSING_BRANCH = branches(lambda tree: {key: values for key, values in tree.items() if key != "samples_to_peak"})


def events_in_pieces(path: Path) -> None:
    """Row groups that cut through events."""
    table = pq.read_table(path)
    pq.write_table(table, path, row_group_size=7)


V0 = "electron_direction/v0"
DAMAGES: list[tuple[str, Damage]] = [
    ("samples/sim_es/simulate/0000.root", cut),
    ("samples/sim_es/simulate/0000.root", WRONG_DTYPE),
    ("samples/sim_es/simulate/0000.root", MISSING_BRANCH),
    ("samples/sim_es/match/0000.parquet", cut),
    ("samples/sim_es/cluster/0000.parquet", cut),
    ("samples/sim_es/match/0000.parquet", events_in_pieces),
    ("samples/sim_es/calibrate/calibration.json", drop_json_key),
    ("samples/sim_es/calibrate/report.pdf", cut),
    ("datasets/sim_es/image/shard_sim_es_0000.npz", cut),
    ("datasets/sim_es/image/shard_sim_es_0000.npz", OTHER_VERSION),
    ("datasets/sim_es/image/shard_sim_es_0000.npz", arrays(tick=lambda values: values.astype("i4"))),
    ("datasets/sim_es/image/shard_sim_es_0000.npz", arrays(direction=lambda values: values * 1.5)),
    ("datasets/sim_es/dataset/split.npz", arrays(split=lambda values: values + 7)),
    ("datasets/sim_es/dataset/split.npz", arrays(row=lambda values: values[:-1])),
    ("datasets/sim_es/dataset/card.json", drop_json_key),
    ("datasets/sim_es/dataset/card.html", cut),
    (f"{V0}/config.yaml", lambda path: path.write_text(path.read_text() + "surprise: 1\n")),
    (f"{V0}/train/model.keras", cut),
    (f"{V0}/train/training.json", change_json),
    (f"{V0}/train/history.csv", ONE_SHORT_ROW),
    (f"{V0}/train/history.csv", LACKING_A_COLUMN),
    (f"{V0}/train/provenance.json", cut),
    (f"{V0}/evaluate/predictions.npz", OTHER_VERSION),
    (f"{V0}/evaluate/metrics.json", lambda path: path.write_text('{"containment_68_deg": NaN}')),
    (f"{V0}/evaluate/report.pdf", cut),
    (f"{V0}/evaluate/plots/energy.png", cut),
    (f"{V0}/evaluate/plots/energy.csv", ONE_SHORT_ROW),
    (f"{V0}/evaluate/plots/components.csv", NOT_A_NUMBER),
    (f"{V0}/evaluate/plots/cosine.csv", HEADER_ONLY),
    (f"{V0}/likelihood/likelihood.npz", arrays(pdf=lambda values: values * 1.1)),
    (f"{V0}/likelihood/validation.json", change_json),
    (f"{V0}/interpret/attributions.npz", cut),
    (f"{V0}/interpret/interpretation.json", drop_json_key),
    (f"{V0}/logs/train.log", empty),
    ("point/demo_burst/sky.fits", cut),
    ("point/demo_burst/pointing.json", drop_json_key),
    (
        "point/demo_burst/pointing.json",
        lambda path: path.write_text(path.read_text().replace('"nside": 16', '"nside": 0')),
    ),
    ("point/demo_burst/skymap.png", cut),
    ("point/demo_burst/skymap.csv", LACKING_A_COLUMN),
    ("point/demo_burst/skymap.csv", NOT_A_NUMBER),
    ("registry.json", change_json),
    ("registry.csv", empty),
    ("registry.csv", LACKING_A_COLUMN),
    ("report/index.html", cut),
]
REAL_DAMAGES: list[tuple[str, Damage]] = [
    (f"{V0}/predict/fdhd_es/predictions.npz", cut),
    (f"{V0}/predict/fdhd_es/predictions.npz", OTHER_VERSION),
    (f"{V0}/predict/fdhd_es/predictions.npz", arrays(direction_pred=lambda values: values.astype("f8"))),
    ("samples/fdhd_es/match/0000.parquet", cut),
    ("report/real_data.html", cut),
]


def names(damages: list[tuple[str, Damage]]) -> list[str]:
    return [f"{number}-{name}" for number, (name, _) in enumerate(damages)]


def problems_after(path: Path, damage: Damage) -> list[str]:
    """What the contract alone says about a damaged file, which is whole again afterwards."""
    assert contract_problems(path) == []
    whole = path.read_bytes()
    try:
        damage(path)
        return contract_problems(path)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize(("name", "damage"), DAMAGES, ids=names(DAMAGES))
def test_check_finds_damage(finished: Path, name: str, damage: Damage) -> None:
    path = finished / "results" / name
    (problem,) = problems_after(path, damage)
    assert path.name in problem


@pytest.mark.parametrize(("name", "damage"), REAL_DAMAGES, ids=names(REAL_DAMAGES))
def test_check_finds_damage_in_results_of_real_files(finished_with_real_data: Path, name: str, damage: Damage) -> None:
    path = finished_with_real_data / "results" / name
    (problem,) = problems_after(path, damage)
    assert path.name in problem


def test_every_kind_of_result_is_damaged_once(finished: Path) -> None:
    """A new result needs a line above; all plots count as one, as do logs, pages and records."""
    kinds = {kind_of(path.relative_to(finished / "results")) for path in visible(finished / "results")}
    damaged = {kind_of(Path(name)) for name, _ in DAMAGES}
    assert kinds - damaged == set()


def visible(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]


def kind_of(path: Path) -> str:
    if path.name.endswith("provenance.json"):
        return "record"
    if path.parent.name in ("plots", "logs", "report"):
        return f"{path.parent.name}/*{path.suffix}"
    if path.parts[0] == "samples" or path.parent.name == "image":
        return f"{path.parent.name}/*{path.suffix}"
    return path.name


def test_check_finds_a_silent_change_by_its_checksum(finished: Path) -> None:
    path = finished / f"results/{V0}/train/history.csv"
    whole = path.read_text()
    try:
        path.write_text(whole.replace("1", "2", 1))
        result = subprocess.run(
            ["snpoint", "check", f"results/{V0}"], cwd=finished, capture_output=True, text=True, timeout=120
        )
    finally:
        path.write_text(whole)
    assert result.returncode == 65
    assert "checksum" in result.stderr
