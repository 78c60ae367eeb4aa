"""The command line: quick help, honest errors, and options that are the parameters of the stages."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from snpoint.cli import cli
from snpoint.commands import COMMANDS
from snpoint.settings import STAGES

REPOSITORY = Path(__file__).parents[2]


def snpoint(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "snpoint", *arguments], cwd=cwd, capture_output=True, text=True, timeout=120
    )


def test_stages_have_one_name_everywhere() -> None:
    assert list(COMMANDS) == list(STAGES)
    rules = {path.stem for path in (Path(__file__).parents[2] / "workflow/rules").glob("*.smk")} - {"common", "smoke"}
    assert rules == set(STAGES)


@pytest.mark.parametrize("stage", COMMANDS)
def test_options_are_the_parameters_of_run(stage: str) -> None:
    parameters = inspect.signature(importlib.import_module(f"snpoint.stages.{stage}").run).parameters
    assert next(iter(parameters)) == "settings"
    assert set(parameters) - {"settings"} == {option.name for option in COMMANDS[stage].options}
    for option in COMMANDS[stage].options:
        assert (parameters[option.name].default is inspect.Parameter.empty) == option.required


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, contextlib, io\n"
        "from snpoint.cli import cli\n"
        "for arguments in (['--help'], ['train', '--help']):\n"
        "    with contextlib.redirect_stdout(io.StringIO()):\n"
        "        cli(arguments, standalone_mode=False)\n"
        "print([name for name in ('numpy', 'pandas', 'keras', 'tensorflow', 'snakemake') if name in sys.modules])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_missing_input_is_one_line_with_its_code(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    result = snpoint("match", str(tmp_path / "absent.root"), "--tps", str(out), "--settings", match_settings())
    assert result.returncode == 66
    assert "absent.root does not exist" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not out.exists()


def test_truncated_root_file_leaves_nothing_behind(tmp_path: Path, real_data: Path) -> None:
    whole = (real_data / "test_es_tpstream.root").read_bytes()
    cut = tmp_path / "cut.root"
    cut.write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "out" / "0000.parquet"
    result = snpoint("match", str(cut), "--tps", str(out), "--settings", match_settings())
    assert result.returncode == 65
    assert "cut.root" in result.stderr.splitlines()[-1]
    record = json.loads((tmp_path / "out" / "0000.provenance.json").read_text())
    assert (record["state"], record["exit_code"]) == ("failed", 65)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["0000.provenance.json"]


def test_unknown_setting_is_named_with_the_nearest(tmp_path: Path, project: Path) -> None:
    result = snpoint("match", "x.root", "--tps", "y.parquet", "--set", "trut=none", cwd=project)
    assert result.returncode == 78
    assert "did you mean 'truth'" in result.stderr


def test_wrong_checksum_is_an_error(tmp_path: Path, real_data: Path) -> None:
    settings = json.loads(match_settings()) | {"sha256": {"test_es_tpstream.root": "0" * 64}}
    source = real_data / "test_es_tpstream.root"
    result = snpoint("match", str(source), "--tps", str(tmp_path / "o.parquet"), "--settings", json.dumps(settings))
    assert result.returncode == 65
    assert "sha256" in result.stderr
    assert "test_es_tpstream.root" in result.stderr


def test_a_list_of_files_follows_its_option(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}
    monkeypatch.setattr("snpoint.cli.run_stage", lambda stage, command, settings, values: given.update(values))
    monkeypatch.setattr("snpoint.cli.start_logging", lambda name, file: None)
    common = ["--settings", match_settings()]
    cli(
        ["match", "a.root", "b.root", "--background", "c.root", "d.root", "-o", "o.parquet", *common],
        standalone_mode=False,
    )
    assert given["tpstream"] == (Path("a.root"), Path("b.root"))
    assert given["background"] == (Path("c.root"), Path("d.root"))
    assert given["tps"] == Path("o.parquet")
    cli(["match", "a.root", "--background=c.root", "d.root", "-o", "o.parquet", *common], standalone_mode=False)
    assert given["background"] == (Path("c.root"), Path("d.root"))
    cli(["match", "a.root", "--background", *common, "-o", "o.parquet"], standalone_mode=False)
    assert given["background"] == ()


def test_an_empty_path_is_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules write `--calibration=` where a stage does without one."""
    given: dict[str, object] = {}
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr("snpoint.cli.run_stage", lambda stage, command, settings, values: given.update(values))
    monkeypatch.setattr("snpoint.cli.start_logging", lambda name, file: None)
    cli(["cluster", "--calibration=", "-o", "clusters.parquet", "tps.parquet"], standalone_mode=False)
    assert given == {"tps": Path("tps.parquet"), "calibration": None, "clusters": Path("clusters.parquet")}


def match_settings() -> str:
    """Settings of `match` as a rule would give them."""
    base = yaml.safe_load((REPOSITORY / "configs/samples/_base.yaml").read_text(encoding="utf-8"))
    return json.dumps(base["match"])
