"""``snpoint validate events``: table, figure and verdict."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from snpoint.physics.validation import elastic as es_checks
from snpoint.tools.validate_events import command


def test_everything_agrees(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["-o", str(tmp_path / "new"), "--events", "1000"])
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "new/events.csv")
    assert table["ok"].all() and set(table["quantity"]) > {"all electrons", "from nuebar", "T 30 to 50 MeV"}
    assert "MISSED" not in result.output and "from nuebar" in result.output
    assert table["quantity"].str.contains("CC").any()
    for name in ("events.png", "events_cc.png"):
        assert (tmp_path / "new" / name).read_bytes().startswith(b"\x89PNG")


def test_a_wrong_rate_fails_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(es_checks.BY_KIND, "nuebar", 113.0)
    result = CliRunner().invoke(command, ["-o", str(tmp_path), "--events", "1000"])
    assert result.exit_code == 1
    assert "missed: from nuebar\n" in result.output
    table = pd.read_csv(tmp_path / "events.csv")  # written all the same
    assert table["quantity"][~table["ok"]].tolist() == ["from nuebar"]


def test_a_wrong_cross_section_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    couplings = es_checks.cross_section_cm2.__globals__["COUPLINGS"]
    monkeypatch.setitem(couplings, "nue", couplings["nuebar"])
    result = CliRunner().invoke(command, ["-o", str(tmp_path), "--events", "1000"])
    assert result.exit_code == 1
    assert "from nue" in result.output and "angle of 50%, T 7 to 10" in result.output.split("missed:")[1]
