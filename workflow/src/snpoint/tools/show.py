"""``snpoint show``: a picture of one event, from whatever file of the data chain holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from snpoint import config
from snpoint.errors import DataError, InputMissingError, UsageError
from snpoint.physics.constants import BACKGROUND, CC, ES, UNKNOWN, X

_INTERACTIONS = {BACKGROUND: "background", ES: "ES", CC: "CC"}
_PICTURES = (".png", ".pdf", ".svg", ".jpg", ".jpeg")
_MOST_NAMED = 5
"""Events that an error lists."""


@dataclass(frozen=True)
class _Wanted:
    """The event asked for; run and subrun where they were given."""

    event: int
    run: int | None
    subrun: int | None

    def __str__(self) -> str:
        given = (("run", self.run), ("subrun", self.subrun), ("event", self.event))
        return ", ".join(f"{name} {number}" for name, number in given if number is not None)


@click.command("show")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--event", "number", type=click.IntRange(min=0), required=True, help="Number of the event.")
@click.option("--run", type=click.IntRange(min=0), help="Its run, where the number is there twice.")
@click.option("--subrun", type=click.IntRange(min=0), help="Its subrun, likewise.")
@click.option(
    "--image", type=click.IntRange(min=0), help="Which image of the event, of a shard (default: 0, the main)."
)
@click.option("--detector", default="fdhd_1x2x2", show_default=True, help="Layout; shards know theirs.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Picture (default: <file>_event<N>.png here).")
def command(
    file: Path,
    number: int,
    run: int | None,
    subrun: int | None,
    image: int | None,
    detector: str,
    output: Path | None,
) -> None:
    """Draw one event of FILE: three planes, clusters in color, the main cluster marked, the true electron.

    FILE is a TPStream (.root), a table of TPs or of clusters (.parquet), or a shard of images (.npz).
    """
    from snpoint.plots.canvas import write_figure

    if not file.is_file():
        raise InputMissingError(f"{file}: no such file")
    wanted = _Wanted(number, run, subrun)
    kinds: dict[str, Callable[[], Any]] = {
        ".root": lambda: _table_picture(file, _of_root(file, wanted, detector), detector),
        ".parquet": lambda: _table_picture(file, _of_parquet(file, wanted), detector),
        ".npz": lambda: _shard_picture(file, wanted, image or 0),
    }
    if file.suffix not in kinds:
        raise UsageError(f"{file}: cannot be shown; expected a file that ends with {', '.join(kinds)}")
    if image is not None and file.suffix != ".npz":
        raise UsageError(f"{file}: --image chooses among the images of a shard (.npz); leave it out")
    target = output or Path(f"{file.stem}_event{number}.png")
    _check_target(target)
    write_figure(kinds[file.suffix](), target)
    click.echo(f"{target}")


def _check_target(target: Path) -> None:
    if target.is_dir():
        raise UsageError(f"{target}: is a folder; -o is the name of the picture, such as {target / 'event.png'}")
    if target.suffix not in _PICTURES:
        raise UsageError(f"{target}: no kind of picture; -o must end with one of {', '.join(_PICTURES)}")


def _called(file: Path) -> str:
    """Name of a file; in the project's results with that of its sample or dataset, whose chunks have equal names."""
    parts = file.absolute().parts[:-1]
    for kind in ("samples", "datasets"):
        for k in range(len(parts) - 2):
            if parts[k : k + 2] == ("results", kind):
                return f"{kind[:-1]} {parts[k + 2]}, {'/'.join((*parts[k + 3 :], file.name))}"
    return file.name


def _table_picture(file: Path, table: dict[str, Any], detector_name: str) -> Any:
    from snpoint.physics.eventview import close, whole
    from snpoint.physics.geometry import load_detector
    from snpoint.plots.event import event

    detector, number = load_detector(detector_name), table["event"][0]
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
    made = f"{len(table['channel'])} TPs, "
    made += "no truth" if not signal and (table["interaction"] == UNKNOWN).all() else f"{signal} of the neutrino"
    if table["is_overlay"].any():
        made += f", {int((table['is_overlay'] == 1).sum())} laid over"
    if "cluster_id" in table:
        made += f", {len(set(table['cluster_id'].tolist()) - {-1})} clusters"
        main = (table["is_main"] == 1) & (table["plane"] == X)
        own, over = (table["adc_integral"][main & (table[key] == 1)].sum() for key in ("is_signal", "is_overlay"))
        made += ", the main one of the background laid over" if over > own else ""
    return event(_title(table, 0), f"{_called(file)}: {made}", view, whole(table, detector))


def _shard_picture(file: Path, wanted: _Wanted, image: int) -> Any:
    import numpy as np

    from snpoint.data.shards import frame, read_shard
    from snpoint.physics.geometry import load_detector
    from snpoint.physics.imageview import image_panels
    from snpoint.plots.event import event

    shard = read_shard(file)
    rows = np.flatnonzero(shard["event_uid"] == _chosen(file, shard["event_uid"], wanted))
    rows = rows[np.argsort(-shard["is_main"][rows].astype(int), kind="stable")]
    if image >= len(rows):
        raise UsageError(f"{file}: {wanted} has {len(rows)} images, counted from 0; --image {image} is none")
    made, row = frame(shard), int(rows[image])
    view = image_panels(shard, row, load_detector(made["detector"]), made["orientation"] == "canonical")
    energy = shard["energy_reco_mev"][row]
    main = "main cluster" if shard["is_main"][row] else "not the main cluster"
    subtitle = f"{_called(file)}: image {image} of {len(rows)}, {main}"
    if np.isfinite(shard["signal_fraction"][row]):
        subtitle += f", {shard['signal_fraction'][row]:.0%} of its charge of the neutrino"
    planes = ", ".join(panel.name for panel in view.panels)
    subtitle += f"\n{made['orientation']} frame, reconstructed"
    return event(
        _title(shard, row), f"{subtitle} {energy[0]:.1f}, {energy[1]:.1f}, {energy[2]:.1f} MeV ({planes})", view
    )


def _of_root(file: Path, wanted: _Wanted, detector: str) -> dict[str, Any]:
    """TPs of the event, with the truth that the file has; nothing else of the file is read."""
    from snpoint.data.contracts import validate
    from snpoint.data.tables import TP_TABLE
    from snpoint.data.tpstream import TpStream
    from snpoint.data.tpstream_events import EventFile
    from snpoint.data.truthneeds import best_truth, needed_columns
    from snpoint.physics.geometry import load_detector
    from snpoint.physics.matching import UnmatchableError, match
    from snpoint.settings import MatchSettings

    with TpStream(file) as stream:
        truth = best_truth(stream)
        events = EventFile(stream, needed_columns(truth, compare=False))
        place = events.uid.tolist().index(_chosen(file, events.uid, wanted))
        trees = events.read(place, place + 1)
    settings = config.parse_settings("match", None, [f"detector={detector}", f"truth={truth}"])
    assert isinstance(settings, MatchSettings)  # noqa: S101 -- for the type checker
    try:
        table = match(trees, load_detector(detector), settings=settings)
    except UnmatchableError as error:
        raise DataError(f"{file}: {error}".replace("'match.detector'", "--detector")) from error
    validate(table, TP_TABLE, file)
    return table


def _of_parquet(file: Path, wanted: _Wanted) -> dict[str, Any]:
    """Rows of the event; clusters, if the table has them."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from snpoint.data.tables import CLUSTER_TABLE, TP_TABLE, iter_table
    from snpoint.physics.eventview import CLUSTERS_NEEDED, NEEDED

    try:
        names = pq.read_schema(file).names
    except (pa.ArrowException, OSError):
        names = []  # what is wrong with the file, reading it says best
    contract, needed = (CLUSTER_TABLE, CLUSTERS_NEEDED) if "cluster_id" in names else (TP_TABLE, NEEDED)
    known = [np.unique(part["event_uid"]) for part in iter_table(file, contract, ("event_uid",))]
    uid = _chosen(file, np.concatenate([np.zeros(0, np.uint64), *known]), wanted)
    for part in iter_table(file, contract, needed):
        own = part["event_uid"] == uid
        if own.any():
            return {key: values[own] for key, values in part.items()}
    raise DataError(f"{file}: changed while it was read; try again")


def _chosen(file: Path, uids: Iterable[Any], wanted: _Wanted) -> int:
    """``event_uid`` of the event that is meant; an error that helps, where there is none or more than one."""
    from snpoint.data.events import uid_parts

    known = sorted({uid_parts(uid): int(uid) for uid in uids}.items())
    found = [
        (parts, uid)
        for parts, uid in known
        if parts[2] == wanted.event and wanted.run in (None, parts[0]) and wanted.subrun in (None, parts[1])
    ]
    if len(found) > 1:
        pairs = _listed([str(parts[:2]) for parts, _ in found])
        raise UsageError(
            f"{file}: {wanted} is there {len(found)} times, as (run, subrun) {pairs}; give --run, --subrun"
        )
    if not found:
        raise UsageError(f"{file}: no {wanted}; {_nearest([parts for parts, _ in known], wanted)}")
    return found[0][1]


def _nearest(known: list[tuple[int, int, int]], wanted: _Wanted) -> str:
    """The events that one may have meant."""
    if not known:
        return "it holds no events"
    same = [parts for parts in known if parts[2] == wanted.event]
    if same:
        return f"event {wanted.event} is there as (run, subrun) {_listed([str(parts[:2]) for parts in same])}"
    numbers = sorted({parts[2] for parts in known}, key=lambda number: (abs(number - wanted.event), number))
    nearest = ", ".join(str(number) for number in sorted(numbers[:_MOST_NAMED]))
    return f"of its {len(known)} events the nearest are {nearest}" if len(numbers) > 1 else f"it holds event {nearest}"


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _title(table: dict[str, Any], row: int) -> str:
    """Number, interaction and energies of an event."""
    import numpy as np

    from snpoint.data.events import event_name

    text = event_name(table["event_uid"][row])
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
