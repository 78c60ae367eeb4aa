"""Running the stage `match` on files that are really written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_tpstream as toy
import yaml

from snpoint.data.tables import TP_TABLE, Columns, read_sources, read_table
from snpoint.data.tpstream import Trees, write_tpstream
from snpoint.settings import MatchSettings
from snpoint.stages import match as stage

DEFAULTS = yaml.safe_load((Path(__file__).parents[2] / "configs/samples/_base.yaml").read_text())["match"]
ES_SHA256 = "734c78ee9228da7ffbb6bfe4c4042f2a66f626ba0907a5b77edb7c349d45fd1c"
FAR = 1 << 41
"""Clock ticks: ten hours, as timestamps of a running experiment are larger than 32 bits."""


def matched(
    folder: Path,
    files: list[Path],
    background: list[Path] | None = None,
    tps_per_batch: int = stage.TPS_PER_BATCH,
    **changes: Any,
) -> Columns:
    settings = MatchSettings(**(DEFAULTS | changes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "TPS_PER_BATCH", tps_per_batch)
        stage.run(settings, tpstream=files, tps=folder / "tps.parquet", background=background or [])
    return read_table(folder / "tps.parquet", TP_TABLE)


def sources(folder: Path) -> dict[str, Any]:
    return read_sources(folder / "tps.parquet")


def write(path: Path, *trees: Trees) -> Path:
    write_tpstream(path, toy.joined(*trees))
    return path


def broken(path: Path) -> Path:
    """A file that ends in the middle."""
    write(path, toy.event(99))
    path.write_bytes(path.read_bytes()[:2000])
    return path


def assert_equal(ours: Columns, theirs: Columns) -> None:
    for key, values in ours.items():
        np.testing.assert_array_equal(theirs[key], values, err_msg=key)
