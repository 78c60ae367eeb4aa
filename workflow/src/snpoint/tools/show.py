"""``snpoint show``: a picture of one event, from whatever file of the data chain holds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from snpoint.errors import DataError, InputMissingError, UsageError

_INTERACTIONS = {0: "background", 1: "ES", 2: "CC"}
_SIMIDE = {"before_ticks": 0.0, "after_ticks": 0.0, "offset_ticks": {"U": -8.0, "V": -4.0, "X": 3.0}}


@click.command("show")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--event", "number", type=click.IntRange(min=0), required=True, help="Number of the event.")
@click.option("--run", "run_number", type=click.IntRange(min=0), help="Its run, where the number is there twice.")
@click.option("--image", type=click.IntRange(min=0), default=0, show_default=True, help="Which image of the event.")
@click.option("--detector", default="fdhd_1x2x2", show_default=True, help="Layout; shards know theirs.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Picture (default: <file>_event<N>.png here).")
def command(file: Path, number: int, run_number: int | None, image: int, detector: str, output: Path | None) -> None:
    """Draw one event of FILE: three planes, clusters in color, the main cluster marked, the true electron.

    FILE is a TPStream (.root), a table of TPs or of clusters (.parquet), or a shard of images (.npz).
    """
    from snpoint.plots.canvas import write_figure

    if not file.is_file():
        raise InputMissingError(f"{file}: no such file")
    kinds: dict[str, Callable[[], Any]] = {
        ".root": lambda: _table_picture(file, _of_root(file, number, run_number, detector), number, detector),
        ".parquet": lambda: _table_picture(file, _of_parquet(file, number, run_number), number, detector),
        ".npz": lambda: _shard_picture(file, number, run_number, image),
    }
    if file.suffix not in kinds:
        raise UsageError(f"{file}: cannot be shown; expected a file that ends with {', '.join(kinds)}")
    target = output or Path(f"{file.stem}_event{number}.png")
    write_figure(kinds[file.suffix](), target)
    click.echo(f"{target}")


def _table_picture(file: Path, table: dict[str, Any], number: int, detector_name: str) -> Any:
    from snpoint.physics.eventview import close, whole
    from snpoint.physics.geometry import load_detector
    from snpoint.plots.event import event

    detector = load_detector(detector_name)
    if table["channel"].max() >= detector.n_channels:
        raise UsageError(
            f"{file}: event {number} has channel {table['channel'].max()}, but {detector_name} only "
            f"{detector.n_channels}; give --detector"
        )
    try:
        view = close(table, detector)
    except ValueError as error:
        raise DataError(f"{file}: event {number} has {error}; nothing to center the picture on") from error
    signal = int((table["is_signal"] == 1).sum())
    made = f"{len(table['channel'])} TPs, {signal} of the neutrino"
    if "cluster_id" in table:
        made += f", {len(set(table['cluster_id'].tolist()) - {-1})} clusters"
    return event(_title(table, 0), f"{file.name}: {made}", view, whole(table, detector))


def _shard_picture(file: Path, number: int, run_number: int | None, image: int) -> Any:
    import numpy as np

    from snpoint.data.shards import frame, read_shard
    from snpoint.physics.eventview import image_panels
    from snpoint.physics.geometry import load_detector
    from snpoint.plots.event import event

    shard = read_shard(file)
    rows = _rows(file, shard, number, run_number)
    rows = rows[np.argsort(-shard["is_main"][rows].astype(int), kind="stable")]
    if image >= len(rows):
        raise UsageError(f"{file}: event {number} has {len(rows)} images, counted from 0; --image {image} is none")
    made, row = frame(shard), int(rows[image])
    view = image_panels(shard, row, load_detector(made["detector"]), made["orientation"] == "canonical")
    energy = shard["energy_reco_mev"][row]
    main = "main cluster" if shard["is_main"][row] else "not the main cluster"
    subtitle = f"{file.name}: image {image} of {len(rows)}, {main}, {made['orientation']} frame, reconstructed"
    return event(
        _title(shard, row), f"{subtitle} {energy[0]:.1f}, {energy[1]:.1f}, {energy[2]:.1f} MeV (A, B, X)", view
    )


def _of_root(file: Path, number: int, run_number: int | None, detector_name: str) -> dict[str, Any]:
    """TPs of the event, with the truth that the file has."""
    from snpoint.data.tpstream import read_tpstream
    from snpoint.physics.geometry import load_detector
    from snpoint.physics.matching import has_truth_for, match
    from snpoint.settings import MatchSettings

    trees = read_tpstream(file, ("tps", "mctruths", "mcparticles", "simides"))
    columns = {key.lower(): values for key, values in trees["tps"].items() if key in ("Run", "Event")}
    run = int(columns["run"][_rows(file, columns, number, run_number)[0]])
    kept = {}
    for tree, content in trees.items():
        own = (content["Event"] == number) & (content["Run"] == run)
        kept[tree] = {key: values[own] for key, values in content.items()}
    method = next((name for name in ("backtracker", "simide") if has_truth_for(name, kept)), "none")
    values: dict[str, Any] = {"detector": detector_name, "truth": method, "interaction": "truth", "margin_ticks": 10}
    values |= {"simide": _SIMIDE | {"min_fraction": 0.3}, "compare": False, "production": None, "quarantine": False}
    values |= {"tps_per_batch": 1, "overlay": {"seed": 0, "noise": "drop", "shortage": "leave"}, "sha256": {}}
    return match(kept, load_detector(detector_name), settings=MatchSettings(**values))


def _of_parquet(file: Path, number: int, run_number: int | None) -> dict[str, Any]:
    """Rows of the event; clusters, if the table has them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from snpoint.data.tables import CLUSTER_TABLE, TP_TABLE, read_table

    try:
        names = pq.read_schema(file).names
    except (pa.ArrowException, OSError):
        names = []  # what is wrong with the file, read_table says best
    contract = CLUSTER_TABLE if "cluster_id" in names else TP_TABLE
    keys = read_table(file, contract, ("run", "event"))
    rows = _rows(file, keys, number, run_number)
    table = read_table(file, contract)
    return {key: values[rows] for key, values in table.items()}


def _rows(file: Path, table: dict[str, Any], number: int, run_number: int | None) -> Any:
    """Rows of an event; an error that helps, where there are none or too many."""
    import numpy as np

    own = table["event"] == number
    runs = np.unique(table["run"][own]).tolist()
    if run_number is not None:
        own &= table["run"] == run_number
    elif len(runs) > 1:
        raise UsageError(f"{file}: event {number} is there in the runs {runs}; give --run")
    if not own.any():
        known = np.unique(table["event"])
        some = f"from {known[0]} to {known[-1]}" if len(known) else "none at all"
        where = "" if run_number is None else f" of run {run_number}"
        raise UsageError(f"{file}: no event {number}{where}; its {len(known)} events are {some}")
    return np.flatnonzero(own)


def _title(table: dict[str, Any], row: int) -> str:
    """Number, interaction and energies of an event."""
    import numpy as np

    text = f"run {table['run'][row]}, event {table['event'][row]}"
    interaction = _INTERACTIONS.get(int(table["interaction"][row]))
    if interaction:
        text += f", {interaction}"
    for key, what in (
        ("energy_true_mev", "electron {:.1f} MeV (kinetic)"),
        ("neutrino_energy_mev", "neutrino {:.1f} MeV"),
    ):
        if np.isfinite(table[key][row]):
            text += ", " + what.format(float(table[key][row]))
    return text
