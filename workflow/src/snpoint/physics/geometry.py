"""Geometry of a detector layout: readout volumes, wires, drift, and the canonical frame.

A layout is a data file of the package (``geometry/<name>.yaml``); another detector is another file. Detector
frame: x along the drift, y up, z along the beam; lengths in cm, times in ticks.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from snpoint import yamlfile
from snpoint.errors import ConfigError

PLANES = ("U", "V", "X")
"""Names of the planes 0, 1, 2."""

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Range = tuple[float, float]
_T = TypeVar("_T")


@dataclass(frozen=True)
class WirePlane:
    """Wires of one plane as one volume sees them.

    The APA-local channel of a point is ``dch_dy * y + dch_dz * z + offset``; where the wires are wrapped around
    the APA (``modulus`` is set), modulo that, counted from ``first_channel``.
    """

    first_channel: int
    n_channels: int
    dch_dy: float
    dch_dz: float
    offset: float
    modulus: int | None

    def channel(self, y_cm: npt.ArrayLike, z_cm: npt.ArrayLike) -> FloatArray:
        """APA-local channel of points, as a real number (an integer is the middle of a wire).

        Wrapped planes give values in [first_channel, first_channel + modulus); others may leave their range.
        """
        value = self.dch_dy * np.asarray(y_cm, np.float64) + self.dch_dz * np.asarray(z_cm, np.float64) + self.offset
        if self.modulus is not None:
            value = self.first_channel + np.mod(value - self.first_channel, self.modulus)
        return np.asarray(value, np.float64)


@dataclass(frozen=True)
class Volume:
    """A drift volume: one face of one APA (of one CRP, in a vertical-drift detector).

    ``face`` is the side of the APA, +1 towards +x: in FD-HD, where the APAs stand at x = 0, the sign of x.
    ``time_sign`` is +1 where time grows towards +x. Drift distances count from ``anode_cm``.
    """

    apa: int
    face: int
    time_sign: int
    x_range_cm: Range
    y_range_cm: Range
    z_range_cm: Range
    wires: tuple[WirePlane, WirePlane, WirePlane]
    anode_cm: float = 0.0

    def channel(self, plane: int, y_cm: npt.ArrayLike, z_cm: npt.ArrayLike) -> FloatArray:
        """APA-local channel of points in ``plane`` (0 U, 1 V, 2 X), real-valued, wrapped where the wires are."""
        return self.wires[plane].channel(y_cm, z_cm)


@dataclass(frozen=True)
class Canonical:
    """How one volume maps onto the frame that all volumes share.

    ``planes`` holds, in the order A, B, X, the plane (0 U, 1 V, 2 X) and whether its channel axis is flipped.
    A measures (+y, +z), B (+y, -z), X (+z); with ``flip_time`` applied, time grows towards +x.
    """

    planes: tuple[tuple[int, bool], tuple[int, bool], tuple[int, bool]]
    flip_time: bool


@dataclass(frozen=True)
class Detector:
    """A detector layout. Plane numbers are 0 U, 1 V, 2 X; channels are global offline channels.

    ``verified`` says which of its numbers were checked against data, and which were not.
    """

    name: str
    description: str
    channels_per_apa: int
    n_ticks: int
    tick_us: float
    clock_per_tick: int
    ticks_per_cm: float
    tick_at_anode: float
    time_offsets_ticks: tuple[float, float, float]
    threshold_adc: tuple[float, float, float]
    verified: str
    volumes: tuple[Volume, ...]

    @property
    def cm_per_tick(self) -> float:
        """Drift distance in one tick [cm]."""
        return 1.0 / self.ticks_per_cm

    @property
    def n_apas(self) -> int:
        """Number of APAs."""
        return 1 + max(volume.apa for volume in self.volumes)

    @property
    def n_channels(self) -> int:
        """Number of channels of all APAs."""
        return self.n_apas * self.channels_per_apa

    @property
    def plane_thresholds_adc(self) -> tuple[float, float, float]:
        """Thresholds of the planes of an image, A, B, X; A and B are U in some volumes and V in others [ADC]."""
        u, v, x = self.threshold_adc
        return 0.5 * (u + v), 0.5 * (u + v), x

    def drift_tick(self, volume: Volume, x_cm: npt.ArrayLike) -> FloatArray:
        """Tick at which charge of a volume arrives, without the planes' offsets."""
        distance = volume.time_sign * (np.asarray(x_cm, np.float64) - volume.anode_cm)
        return np.asarray(self.ticks_per_cm * distance + self.tick_at_anode, np.float64)

    def apa(self, channel: npt.ArrayLike) -> IntArray:
        """APA of global channels."""
        return np.asarray(channel, np.int64) // self.channels_per_apa

    def local(self, channel: npt.ArrayLike) -> IntArray:
        """Channel inside its APA."""
        return np.asarray(channel, np.int64) % self.channels_per_apa

    def plane(self, channel: npt.ArrayLike) -> IntArray:
        """Plane of global channels: 0 U, 1 V, 2 X."""
        return _plane_and_face(self)[0][np.asarray(channel, np.int64) % self.n_channels]

    def face(self, channel: npt.ArrayLike) -> IntArray:
        """Side of the APA of global channels; 0 where a channel serves both sides (wrapped wires)."""
        return _plane_and_face(self)[1][np.asarray(channel, np.int64) % self.n_channels]

    def volume(self, apa: int, face: int) -> Volume:
        """The drift volume on one face (-1, +1) of an APA.

        Raises
        ------
        KeyError
            The detector has no such volume.
        """
        for volume in self.volumes:
            if (volume.apa, volume.face) == (apa, face):
                return volume
        raise KeyError(f"{self.name} has no volume with APA {apa} and face {face}")

    def canonical(self, apa: int, face: int) -> Canonical:
        """Map of one volume onto the shared frame, from the directions its wires measure.

        A wire plane measures the gradient of its channel number, (dch_dy, dch_dz). A and B are the two planes
        with a y component, told apart by whether y and z grow together; X is the one without.
        """
        volume = self.volume(apa, face)
        found: dict[str, tuple[int, bool]] = {}
        for plane, wires in enumerate(volume.wires):
            if wires.dch_dy == 0.0:
                found["X"] = (plane, wires.dch_dz < 0)
            else:
                found["A" if wires.dch_dy * wires.dch_dz > 0 else "B"] = (plane, wires.dch_dy < 0)
        return Canonical((found["A"], found["B"], found["X"]), volume.time_sign < 0)


@lru_cache(maxsize=8)
def _plane_and_face(detector: Detector) -> tuple[IntArray, IntArray]:
    """Plane and face of every global channel; -1 and 0 for a channel without wires."""
    plane = np.full(detector.n_channels, -1, np.int64)
    face = np.zeros(detector.n_channels, np.int64)
    for volume in detector.volumes:
        for number, wires in enumerate(volume.wires):
            first = volume.apa * detector.channels_per_apa + wires.first_channel
            own = slice(first, first + wires.n_channels)
            plane[own] = number
            face[own] = 0 if wires.modulus is not None else volume.face
    return plane, face


def known_detectors() -> list[str]:
    """Names of the layouts that come with the package."""
    folder = resources.files("snpoint") / "geometry"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


@lru_cache(maxsize=8)
def load_detector(name: str) -> Detector:
    """Read a detector layout of the package.

    Raises
    ------
    ConfigError
        There is no layout of that name, or its file lacks something.
    """
    known = known_detectors()
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise ConfigError(f"detector: unknown layout '{name}', known are {', '.join(known)}{hint}")
    raw = yamlfile.read(Path(str(resources.files("snpoint"))) / "geometry" / f"{name}.yaml")
    try:
        return _detector(raw)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"geometry/{name}.yaml: not a complete layout ({error!r}); compare fdhd_1x2x2.yaml"
        ) from error


def _detector(raw: Mapping[str, Any]) -> Detector:
    return Detector(
        name=str(raw["name"]),
        description=str(raw["description"]),
        channels_per_apa=int(raw["channels_per_apa"]),
        n_ticks=int(raw["n_ticks"]),
        tick_us=float(raw["tick_us"]),
        clock_per_tick=int(raw["clock_per_tick"]),
        ticks_per_cm=float(raw["ticks_per_cm"]),
        tick_at_anode=float(raw["tick_at_anode"]),
        time_offsets_ticks=_per_plane(raw["time_offsets_ticks"], float),
        threshold_adc=_per_plane(raw["threshold_adc"], float),
        verified=str(raw["verified"]),
        volumes=tuple(_volume(item) for item in raw["volumes"]),
    )


def _volume(raw: Mapping[str, Any]) -> Volume:
    return Volume(
        apa=int(raw["apa"]),
        face=int(raw["face"]),
        time_sign=int(raw["time_sign"]),
        x_range_cm=_range(raw["x_cm"]),
        y_range_cm=_range(raw["y_cm"]),
        z_range_cm=_range(raw["z_cm"]),
        wires=_per_plane(raw, _wires),
        anode_cm=float(raw.get("anode_cm", 0.0)),
    )


def _wires(raw: Mapping[str, Any]) -> WirePlane:
    return WirePlane(
        first_channel=int(raw["first"]),
        n_channels=int(raw["n"]),
        dch_dy=float(raw["dch_dy"]),
        dch_dz=float(raw["dch_dz"]),
        offset=float(raw["offset"]),
        modulus=int(raw["n"]) if raw["wrapped"] else None,
    )


def _range(raw: list[float]) -> Range:
    low, high = raw
    return float(low), float(high)


def _per_plane(raw: Mapping[str, Any], convert: Callable[[Any], _T]) -> tuple[_T, _T, _T]:
    return convert(raw["U"]), convert(raw["V"]), convert(raw["X"])
