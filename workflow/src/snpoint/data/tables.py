"""Parquet tables of TPs: contracts, reading and writing.

Rows are sorted by (event_uid, time_start, channel), and a row group holds whole events, so that a table of any size
can be worked on piece by piece.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from snpoint.data.atomic import replacing
from snpoint.data.contracts import FORMAT_VERSION, Array, validate
from snpoint.data.events import check_distinct, event_name, uid_parts
from snpoint.errors import DataError, InputMissingError

__all__ = [
    "CLUSTER_TABLE",
    "TP_TABLE",
    "Columns",
    "TableWriter",
    "check_distinct",
    "event_name",
    "iter_table",
    "open_table",
    "read_sources",
    "read_table",
    "uid_parts",
    "write_table",
]

Columns = dict[str, npt.NDArray[Any]]

_T = ("T",)
_COSINE = Array("f4", _T, "component of a unit vector, detector frame", -1.0001, 1.0001, nan=True)
_CM = Array("f4", _T, "cm, detector frame", nan=True)
_MEV = Array("f4", _T, "MeV", 0, nan=True)
_ROWS_PER_GROUP = 1 << 18
_VARIED = ("channel", "time_start", "adc_integral", "adc_peak", "edep_mev", "n_electrons", "x_cm", "y_cm", "z_cm")
"""Columns with too many values for a dictionary of them to be worth its time."""

TP_TABLE: dict[str, Array] = {
    "run": Array("u4", _T, "1"),
    "subrun": Array("u4", _T, "1"),
    "event": Array("u4", _T, "1"),
    "event_uid": Array("u8", _T, "run << 44 | subrun << 32 | event"),
    "apa": Array("u1", _T, "1"),
    "plane": Array("u1", _T, "0 U, 1 V, 2 X", 0, 2),
    "face": Array("i1", _T, "sign of x; 0 on wrapped wires", -1, 1),
    "channel": Array("i4", _T, "global offline channel", 0),
    "time_start": Array("i8", _T, "clock ticks of the file (32 per TPC tick)", 0),
    "samples_over_threshold": Array("u2", _T, "ticks"),
    "samples_to_peak": Array("u2", _T, "ticks from the start"),
    "adc_integral": Array("u4", _T, "ADC ticks"),
    "adc_peak": Array("u2", _T, "ADC"),
    "track_id": Array("i4", _T, "Geant4 track, negative for its electromagnetic daughters; 0 none"),
    "pdg": Array("i4", _T, "PDG code of the particle behind the TP; 0 unknown"),
    "is_signal": Array("u1", _T, "1 = made by the neutrino interaction", 0, 1),
    "edep_mev": _MEV,
    "n_electrons": Array("f4", _T, "1", 0, nan=True),
    "x_cm": _CM,
    "y_cm": _CM,
    "z_cm": _CM,
    "direction_x": _COSINE,
    "direction_y": _COSINE,
    "direction_z": _COSINE,
    "vertex_x_cm": _CM,
    "vertex_y_cm": _CM,
    "vertex_z_cm": _CM,
    "energy_true_mev": _MEV,
    "neutrino_direction_x": _COSINE,
    "neutrino_direction_y": _COSINE,
    "neutrino_direction_z": _COSINE,
    "neutrino_energy_mev": _MEV,
    "interaction": Array("u1", _T, "0 background, 1 ES, 2 CC, 255 unknown", 0, 255),
    "is_overlay": Array("u1", _T, "1 = of the background event laid over", 0, 1),
    "background_uid": Array("u8", _T, "event_uid of the background event laid over this event; 0 none"),
    "background_fingerprint": Array("u8", _T, "content hash of that background event; 0 none"),
}
CLUSTER_TABLE: dict[str, Array] = TP_TABLE | {
    "cluster_id": Array("i4", _T, "running number in the file; -1 none", -1),
    "accepted": Array("u1", _T, "1 = cluster passes the energy cut", 0, 1),
    "is_main": Array("u1", _T, "1 = main cluster of its event and plane", 0, 1),
    "link_id": Array("i4", _T, "running number of the link over planes; -1 none", -1),
    "link_margin": Array("f4", _T, "cost of the best alternative minus that of the link; NaN without one", nan=True),
    "link_planes": Array("u1", _T, "number of planes of the link; 0 in none", 0, 3),
}


_TABLES = {"TPs": TP_TABLE, "clusters": CLUSTER_TABLE}


class TableWriter:
    """Appends whole events to a table that is being written; made by `open_table`."""

    def __init__(self, path: Path, contract: Mapping[str, Array], writer: pq.ParquetWriter) -> None:
        self._path, self._contract, self._writer = path, contract, writer
        self._last = -1

    def append(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """Append rows of events that come after those already written.

        Parameters
        ----------
        columns
            The columns of the contract, rows sorted by event_uid.

        Raises
        ------
        DataError
            The columns break the contract, or the events are not in ascending order.
        """
        validate(columns, self._contract, self._path)
        uid = np.asarray(columns["event_uid"], np.uint64)
        if not len(uid):
            return
        if int(uid[0]) <= self._last or (uid[1:] < uid[:-1]).any():
            raise DataError(
                f"{self._path}: 'event_uid' is not in ascending order, or an event was appended in two parts"
            )
        self._last = int(uid[-1])
        table = pa.table({key: pa.array(np.ascontiguousarray(columns[key])) for key in self._contract})
        for start, stop in _row_groups(uid):
            self._writer.write_table(table.slice(start, stop - start), row_group_size=stop - start)


@contextmanager
def open_table(
    path: str | Path, contract: Mapping[str, Array], sources: Mapping[str, Any] | None = None
) -> Iterator[TableWriter]:
    """Write a table event by event, whole or not at all; memory holds only what is appended at a time.

    Parameters
    ----------
    path
        The parquet file.
    contract
        Its columns, in this order.
    sources
        What the table was made from (see `snpoint.data.sources`). May be filled until the block ends.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    schema = pa.schema([(key, pa.from_numpy_dtype(np.dtype(array.dtype))) for key, array in contract.items()])
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(
            temporary, schema, compression="zstd", use_dictionary=[key for key in contract if key not in _VARIED]
        ) as writer,
    ):
        yield TableWriter(Path(path), contract, writer)
        content = {"format_version": FORMAT_VERSION, "sources": dict(sources or {})}
        writer.add_key_value_metadata({"snpoint": json.dumps(content)})


def write_table(
    path: str | Path,
    columns: Mapping[str, npt.NDArray[Any]],
    contract: Mapping[str, Array],
    sources: Mapping[str, Any] | None = None,
) -> None:
    """Write a table at once; as `open_table`.

    Raises
    ------
    DataError
        The columns break the contract, or the events are not in ascending order.
    """
    with open_table(path, contract, sources) as table:
        table.append(columns)


def read_table(path: str | Path, contract: Mapping[str, Array], columns: Iterable[str] | None = None) -> Columns:
    """Read a table, or some of its columns, and check it against its contract.

    Raises
    ------
    InputMissingError
        The file does not exist or cannot be opened.
    DataError
        It is no parquet file, of another format version, or breaks the contract.
    """
    wanted = list(contract if columns is None else columns)
    with _opened(path, contract) as file:
        return _checked(path, file.read(columns=wanted), wanted, contract)


def iter_table(
    path: str | Path, contract: Mapping[str, Array], columns: Iterable[str] | None = None
) -> Iterator[Columns]:
    """Read a table piece by piece: each piece holds whole events, in the order of the file; none if it is empty.

    Raises
    ------
    InputMissingError, DataError
        As `read_table`, or an event lies in two pieces.
    """
    wanted = list(contract if columns is None else columns)
    last = -1
    with _opened(path, contract) as file:
        for group in range(file.num_row_groups):
            read = file.read_row_group(group, columns=list(dict.fromkeys([*wanted, "event_uid"])))
            uid = read.column("event_uid").to_numpy()
            if len(uid) and int(uid[0]) <= last:
                raise DataError(f"{path}: {event_name(uid[0])} is not in one piece; run the stage that makes it again")
            last = int(uid[-1]) if len(uid) else last
            yield _checked(path, read, wanted, contract)


def read_sources(path: str | Path) -> dict[str, Any]:
    """What a table was made from, as its writer recorded it (see `snpoint.data.sources`).

    Raises
    ------
    InputMissingError, DataError
        As `read_table`.
    """
    with _opened(path, None) as file:
        found = json.loads(file.metadata.metadata[b"snpoint"]).get("sources")
        if not isinstance(found, dict):
            raise DataError(f"{path}: does not say what it was made from; run the stage that makes it again")
        return found


def _row_groups(uid: npt.NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Row ranges of whole events, of about `_ROWS_PER_GROUP` rows each."""
    ends = np.append(np.flatnonzero(uid[1:] != uid[:-1]) + 1, len(uid))
    start = 0
    while start < len(uid):
        # the last end within reach, or the first one of an event that is larger than that
        place = max(
            int(np.searchsorted(ends, start + _ROWS_PER_GROUP, side="right")) - 1,
            int(np.searchsorted(ends, start, side="right")),
        )
        yield start, int(ends[place])
        start = int(ends[place])


@contextmanager
def _opened(path: str | Path, contract: Mapping[str, Array] | None) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            _check_schema(path, file.schema_arrow.names, file.metadata.metadata or {}, contract)
            yield file
    except pa.ArrowMemoryError:
        raise
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and not Path(path).is_file():
            raise InputMissingError(f"{path}: no such file; run the stage that makes it") from error
        # Only the system gives a number: the file may be good. EINVAL comes of offsets that a broken file names.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise InputMissingError(
                f"{path}: cannot be read ({os.strerror(error.errno)}); check the file system and permissions"
            ) from error
        raise DataError(f"{path}: {_what_it_is(Path(path), error, contract)}") from error


def _checked(path: str | Path, table: pa.Table, wanted: list[str], contract: Mapping[str, Array]) -> Columns:
    arrays = {key: table.column(key).to_numpy() for key in wanted}
    validate(arrays, {key: contract[key] for key in wanted}, path)
    return arrays


def _check_schema(
    path: str | Path, found: list[str], metadata: Mapping[bytes, bytes], contract: Mapping[str, Array] | None
) -> None:
    try:
        version = json.loads(metadata[b"snpoint"])["format_version"]
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: carries no format version; run the stage that makes it again") from error
    if version != FORMAT_VERSION:
        raise DataError(f"{path}: format version {version}, this snpoint reads {FORMAT_VERSION}; run its stage again")
    if contract is None:
        return
    missing, unknown = sorted(set(contract) - set(found)), sorted(set(found) - set(contract))
    own, wanted = (_name_of(columns) for columns in (found, contract))
    if own and wanted and own != wanted:
        raise DataError(f"{path}: this is a table of {own}; {_wanted(contract)}")
    if missing or unknown:
        raise DataError(
            f"{path}: missing columns {missing}, unknown columns {unknown}; run the stage that makes it again"
        )


def _wanted(contract: Mapping[str, Array] | None) -> str:
    """Which table is asked for, and what makes it."""
    stages = {"TPs": "match", "clusters": "cluster"}
    known = _name_of(contract or ())
    return "give the table " + " or ".join(
        f"of {own} that `snpoint {stages[own]}` makes" for own in ([known] if known else stages)
    )


def _name_of(columns: Iterable[str]) -> str | None:
    """What a table with these columns holds; None if it is neither of the two."""
    names = set(columns)
    return next((own for own, table in _TABLES.items() if names == set(table)), None)


def _what_it_is(path: Path, error: BaseException, contract: Mapping[str, Array] | None) -> str:
    """Why a file cannot be read as parquet, by its first bytes, and what to do."""
    with path.open("rb") as stream:
        begin = stream.read(512)
    if begin.startswith(b"PAR1"):
        return f"not a readable parquet file (damaged or cut off: {_line(error)}); run the stage that makes it again"
    kinds = {b"root": "a ROOT file", b"PK\x03\x04": "a ZIP archive, as NPZ files are", b"\x89HDF": "an HDF5 file"}
    for magic, kind in kinds.items():
        if begin.startswith(magic):
            return f"is {kind}; {_wanted(contract)}"
    is_text = not set(begin) - set(b"\t\n\r\f") - set(range(32, 256))
    kind = ("text" if is_text else "of an unknown kind") if begin else "empty"
    return f"not a readable parquet file ({kind}); {_wanted(contract)}"


def _line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0][:120]
