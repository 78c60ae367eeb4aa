"""Parquet tables of TPs: contracts, reading and writing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from snpoint.data.atomic import replacing
from snpoint.data.contracts import FORMAT_VERSION, Array, validate
from snpoint.errors import DataError, InputMissingError

Columns = dict[str, npt.NDArray[Any]]

_T = ("T",)
_COSINE = Array("f4", _T, "component of a unit vector, detector frame", -1.0001, 1.0001, nan=True)
_CM = Array("f4", _T, "cm, detector frame", nan=True)
_MEV = Array("f4", _T, "MeV", 0, nan=True)

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
}
CLUSTER_TABLE: dict[str, Array] = TP_TABLE | {
    "cluster_id": Array("i4", _T, "running number in the file; -1 none", -1),
    "accepted": Array("u1", _T, "1 = cluster passes the energy cut", 0, 1),
    "is_main": Array("u1", _T, "1 = main cluster of its event and plane", 0, 1),
    "link_id": Array("i4", _T, "running number of the link over planes; -1 none", -1),
}


def uid_parts(uid: int) -> tuple[int, int, int]:
    """Run, subrun and event of an ``event_uid``."""
    return int(uid) >> 44, int(uid) >> 32 & 0xFFF, int(uid) & 0xFFFFFFFF


def event_name(uid: int) -> str:
    """What a message calls an event."""
    return "run {}, subrun {}, event {}".format(*uid_parts(uid))


def check_distinct(uids: Sequence[npt.NDArray[np.uint64]], paths: Sequence[Path], remedy: str) -> None:
    """Check that no event is in two files, or twice in one; ``uids`` holds one entry per event of each file.

    Raises
    ------
    DataError
        One is; the message names it, both files, and what to do (``remedy``).
    """
    uid = np.concatenate(list(uids))
    file = np.repeat(np.arange(len(uids)), [len(own) for own in uids])
    order = np.argsort(uid, kind="stable")
    twice = np.flatnonzero(np.diff(uid[order].astype(np.int64)) == 0)
    if len(twice):
        first, second = order[twice[0]], order[twice[0] + 1]
        raise DataError(
            f"{paths[file[second]]}: {len(twice)} events are there twice, such as {event_name(uid[first])}, also in "
            f"{paths[file[first]].name}; {remedy}"
        )


def write_table(path: str | Path, columns: Mapping[str, npt.NDArray[Any]], contract: Mapping[str, Array]) -> None:
    """Write a table, columns in the order of its contract.

    Raises
    ------
    DataError
        The columns break the contract.
    """
    validate(columns, contract, path)
    table = pa.table({key: pa.array(np.ascontiguousarray(columns[key])) for key in contract})
    table = table.replace_schema_metadata({"snpoint": json.dumps({"format_version": FORMAT_VERSION})})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


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
    try:
        with pq.ParquetFile(path) as file:
            found, metadata = file.schema_arrow.names, file.schema_arrow.metadata or {}
            _check_schema(path, found, metadata, contract)
            table = file.read(columns=wanted)
    except pa.ArrowException as error:
        raise DataError(
            f"{path}: not a readable parquet file ({_line(error)}); delete it and run the stage again"
        ) from error
    except OSError as error:
        if not Path(path).is_file():
            raise InputMissingError(f"{path}: no such file; run the stage that makes it") from error
        raise DataError(
            f"{path}: not a readable parquet file ({_line(error)}); delete it and run the stage again"
        ) from error
    arrays = {key: table.column(key).to_numpy() for key in wanted}
    validate(arrays, {key: contract[key] for key in wanted}, path)
    return arrays


def _check_schema(
    path: str | Path, found: list[str], metadata: Mapping[bytes, bytes], contract: Mapping[str, Array]
) -> None:
    missing, unknown = sorted(set(contract) - set(found)), sorted(set(found) - set(contract))
    if missing or unknown:
        raise DataError(
            f"{path}: missing columns {missing}, unknown columns {unknown}; run the stage that makes it again"
        )
    try:
        version = json.loads(metadata[b"snpoint"])["format_version"]
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: carries no format version; run the stage that makes it again") from error
    if version != FORMAT_VERSION:
        raise DataError(f"{path}: format version {version}, this snpoint reads {FORMAT_VERSION}; run its stage again")


def _line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0][:120]
