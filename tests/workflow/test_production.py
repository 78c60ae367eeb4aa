"""The user's production: found by patterns, frozen in a manifest, laid over with background, or stood in for."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from workplace import Workplace

TARGET = "results/datasets/{}/dataset/card.json"


@pytest.fixture
def production(empty_workplace: Workplace) -> Path:
    """A folder of empty files, named as those of a production: the plan does not open them."""
    folder = empty_workplace.folder / "production"
    for kind, count in (("prod_es", 45), ("prod_cc", 12), ("backgrounds", 30)):
        (folder / kind / "nov11").mkdir(parents=True)
        for number in range(count):
            (folder / kind / "nov11" / f"prodmarley_{number:06d}_tpstream.root").write_text(f"{kind} {number}")
    return folder


def job_counts(text: str) -> dict[str, int]:
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE)}


def test_without_the_production_there_is_a_stand_in_and_a_banner(empty_workplace: Workplace) -> None:
    result = empty_workplace.snakemake("-n", TARGET.format("es_10k"))
    counts = job_counts(result.stdout)
    assert counts["simulate"] == counts["match"] == counts["image"] == 30
    assert (result.stdout + result.stderr).count("'production_es' is SIMULATED (300,000 events") == 1
    said = empty_workplace.run("snpoint", "status", "datasets/es_10k", check=False)
    assert "production_es is simulated (stand-in)" in said.stdout + said.stderr
    settings = match_settings(empty_workplace, "production_es")
    assert settings["production"] == "stand_in:production_es"


def test_a_stand_in_for_the_background_pool_is_announced_too(empty_workplace: Workplace) -> None:
    empty_workplace.append(
        "samples/fdhd_es.yaml", "background: {sample: production_bg, files_per_chunk: 1, part: 0, of: 1}\n"
    )
    (empty_workplace.folder / "data").mkdir()
    (empty_workplace.folder / "data/test_es_tpstream.root").write_text("a placeholder")
    result = empty_workplace.snakemake("-n", "results/samples/fdhd_es/match/0000.parquet")
    assert "'production_bg' is SIMULATED" in result.stdout + result.stderr
    code = "from snpoint import config; print(config.match_settings('fdhd_es', '0000').background_production)"
    assert empty_workplace.run(sys.executable, "-c", code).stdout.strip() == "stand_in:production_bg"


def match_settings(workplace: Workplace, sample: str, **extra: str) -> dict[str, Any]:
    code = f"from snpoint import config; print(config.match_settings({sample!r}, '0001').canonical())"
    return json.loads(workplace.run(sys.executable, "-c", code, **extra).stdout)


def test_with_the_production_its_files_are_read_ten_to_a_job(empty_workplace: Workplace, production: Path) -> None:
    result = empty_workplace.snakemake("-n", TARGET.format("es_200k"), SNPOINT_PRODUCTION=str(production))
    counts = job_counts(result.stdout)
    assert "simulate" not in counts
    assert counts["match"] == counts["cluster"] == counts["image"] == 5
    assert "STAND-IN" not in result.stdout + result.stderr


def test_each_file_of_the_pool_is_laid_over_one_chunk_of_one_sample(
    empty_workplace: Workplace, production: Path
) -> None:
    text = empty_workplace.snakemake("-n", TARGET.format("mt_100k"), SNPOINT_PRODUCTION=str(production)).stdout
    inputs = re.findall(r"^rule match:\n    input: (.*)$", text, re.MULTILINE)
    used = [path for line in inputs for path in line.split(", ") if "backgrounds" in path]
    assert len(inputs) == 7
    assert len(used) == len(set(used)) == 30, "15 of the pool's 30 files for each of the two samples"


def test_too_small_a_pool_is_an_error_unless_allowed(empty_workplace: Workplace, production: Path) -> None:
    empty_workplace.append("samples/production_es_bg.yaml", "cluster: {tot_cut: 3}\n")
    empty_workplace.edit("samples/production_es_bg.yaml", ("shortage: leave", "shortage: error"))
    result = empty_workplace.snakemake("-n", TARGET.format("mt_100k"), check=False, SNPOINT_PRODUCTION=str(production))
    assert result.returncode != 0
    assert "50 files are needed, part 0 of 2 of 'production_bg' has 15" in result.stdout + result.stderr


def test_a_manifest_freezes_list_and_checksums(empty_workplace: Workplace, production: Path) -> None:
    here = {"SNPOINT_PRODUCTION": str(production)}
    empty_workplace.quick = None
    assert "12 files" in empty_workplace.run("snpoint", "freeze", "production_cc", **here).stdout
    manifest = empty_workplace.folder / "configs/manifests/production_cc.csv"
    lines = manifest.read_text().splitlines()
    assert lines[0] == "file,bytes,sha256"
    assert lines[1].startswith("prod_cc/nov11/prodmarley_000000_tpstream.root,9,")
    own = match_settings(empty_workplace, "production_cc", **here)["sha256"]
    names = [f"prod_cc/nov11/prodmarley_{number:06d}_tpstream.root" for number in (10, 11)]
    assert sorted(own) == names, "its chunk's alone, with the folder: names may be equal in two"

    (production / "prod_cc/nov11/a_new_tpstream.root").write_text("new")
    text = empty_workplace.snakemake("-n", "results/samples/production_cc/match/0000.parquet", **here).stdout
    assert "a_new" not in text
    assert (
        "12 files are as they were, 1 are not in it"
        in empty_workplace.run("snpoint", "freeze", "--check", "production_cc", **here).stdout
    )
    empty_workplace.run("snpoint", "freeze", "production_cc", **here)
    assert manifest.read_text().splitlines()[:13] == lines, "old files stay where they are: their chunks stay the same"

    (production / "prod_cc/nov11/prodmarley_000003_tpstream.root").write_text("changed!")
    changed = empty_workplace.run("snpoint", "freeze", "production_cc", check=False, **here)
    assert changed.returncode == 65
    assert "prodmarley_000003_tpstream.root: has changed" in changed.stderr
    (production / "prod_cc/nov11/prodmarley_000003_tpstream.root").unlink()
    gone = empty_workplace.snakemake("-n", "results/samples/production_cc/match/0000.parquet", check=False, **here)
    assert "1 of 13 files are not in" in gone.stdout + gone.stderr


def test_patterns_that_match_nothing_name_the_variable(empty_workplace: Workplace, tmp_path: Path) -> None:
    result = empty_workplace.snakemake("-n", TARGET.format("es_10k"), check=False, SNPOINT_PRODUCTION=str(tmp_path))
    assert result.returncode != 0
    assert "'prod_es/**/*_tpstream.root' matches nothing" in result.stdout + result.stderr
    assert "set SNPOINT_PRODUCTION" in result.stdout + result.stderr


def test_a_calibration_is_made_only_where_it_is_asked_for(empty_workplace: Workplace) -> None:
    jobs = empty_workplace.dry_run("results/datasets/sim_es/dataset/card.json")
    assert "calibrate sim_es" in jobs
    empty_workplace.edit(
        "datasets/_base.yaml", ("adc_per_mev: calibrated", "adc_per_mev: {U: 1000.0, V: 1100.0, X: 4100.0}")
    )
    assert "calibrate sim_es" not in empty_workplace.dry_run("results/datasets/sim_es/dataset/card.json")
    empty_workplace.append("samples/sim_es.yaml", "cluster: {adc_per_mev: calibrated}\n")
    assert "calibrate sim_es" in empty_workplace.dry_run("results/samples/sim_es/cluster/0003.parquet")


def test_freezing_refuses_empty_files_and_copies_until_they_are_excluded(
    empty_workplace: Workplace, production: Path
) -> None:
    here = {"SNPOINT_PRODUCTION": str(production)}
    folder = production / "prod_cc/nov11"
    (folder / "prodmarley_000100_tpstream.root").write_text("")
    (folder / "prodmarley_000101_tpstream.root").write_text("prod_cc 3")
    result = empty_workplace.run("snpoint", "freeze", "production_cc", check=False, **here)
    assert result.returncode == 65
    assert "000100_tpstream.root is empty" in result.stderr
    assert "000101_tpstream.root is a copy of prod_cc/nov11/prodmarley_000003_tpstream.root" in result.stderr
    empty_workplace.append("samples/production_cc.yaml", "exclude: [prodmarley_0001*_tpstream.root]\n")
    assert "12 files" in empty_workplace.run("snpoint", "freeze", "production_cc", **here).stdout


def test_a_forgotten_variable_does_not_replace_the_production(empty_workplace: Workplace, production: Path) -> None:
    target = "results/samples/production_cc/match/0000.parquet"
    empty_workplace.snakemake("--profile", "local", target, SNPOINT_PRODUCTION=str(production))
    result = empty_workplace.snakemake("-n", target, check=False)
    assert result.returncode == 78
    assert "was made from files, and SNPOINT_PRODUCTION is not set now" in result.stdout + result.stderr
