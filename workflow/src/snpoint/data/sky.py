"""The sky map on disk: a HEALPix binary table (FITS) with the log-likelihood and the probability of each pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snpoint.data.atomic import replacing
from snpoint.data.contracts import FORMAT_VERSION
from snpoint.errors import DataError, InputMissingError

COLUMNS = ("PROB", "LOG_LIKELIHOOD")
_COMMENTS = (
    "Pixels are directions of flight of the neutrinos; the supernova is opposite.",
    "Detector frame: x along the drift, y up, z along the beam.",
    "Latitude = asin(y), longitude = atan2(x, z).",
)


def write_sky(path: str | Path, log_likelihood: NDArray[np.float64], probability: NDArray[np.float64]) -> None:
    """Write maps (12 nside^2,) in RING order, in the table form that healpy, ligo.skymap and Aladin read."""
    from astropy.io import fits  # slow to import, and only needed here

    columns = fits.ColDefs(
        [
            fits.Column(name="PROB", format="D", unit="pix-1", array=probability),
            fits.Column(name="LOG_LIKELIHOOD", format="D", array=log_likelihood),
        ]
    )
    table = fits.BinTableHDU.from_columns(columns, name="SKY")
    pixels = len(probability)
    cards = [
        ("PIXTYPE", "HEALPIX", "pixelization"),
        ("ORDERING", "RING", "order of the pixels"),
        ("NSIDE", int(np.sqrt(pixels / 12)), "resolution of the map"),
        ("FIRSTPIX", 0, "first pixel"),
        ("LASTPIX", pixels - 1, "last pixel"),
        ("INDXSCHM", "IMPLICIT", "row number = pixel number"),
        ("OBJECT", "FULLSKY", "extent of the map"),
        ("COORDSYS", "DETECTOR", "frame of the detector, see COMMENT"),
        ("FORMATV", FORMAT_VERSION, "version of this format"),
    ]
    table.header.extend(cards)
    for line in _COMMENTS:
        table.header.add_comment(line)
    with replacing(path) as temporary:
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(temporary, overwrite=True)


def read_sky(path: str | Path) -> dict[str, Any]:
    """Read and check a sky map: ``nside``, ``probability`` and ``log_likelihood`` (12 nside^2,), RING order.

    Raises
    ------
    InputMissingError
        The file does not exist.
    DataError
        It is no sky map, is truncated, or its probability is not one.
    """
    from astropy.io import fits

    if not Path(path).is_file():
        raise InputMissingError(f"{path}: cannot be read; run `snpoint point` to make it")
    try:
        with fits.open(path, memmap=False) as file:
            header, table = file["SKY"].header, file["SKY"].data
            version, nside, ordering = header["FORMATV"], int(header["NSIDE"]), header["ORDERING"]
            maps = {name: np.asarray(table[name], np.float64) for name in COLUMNS}
    except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
        raise DataError(f"{path}: not a readable sky map ({error}); delete it and run its stage again") from error
    _check(path, version, nside, ordering, maps)
    return {"nside": nside, "probability": maps["PROB"], "log_likelihood": maps["LOG_LIKELIHOOD"]}


def _check(path: object, version: int, nside: int, ordering: str, maps: dict[str, NDArray[np.float64]]) -> None:
    if version != FORMAT_VERSION:
        raise DataError(f"{path}: FORMATV is {version}, expected {FORMAT_VERSION}; run its stage again")
    if ordering != "RING":
        raise DataError(f"{path}: ORDERING is {ordering}, expected RING; run its stage again")
    for name, values in maps.items():
        if values.shape != (12 * nside * nside,) or not np.isfinite(values).all():
            raise DataError(f"{path}: column {name} has shape {values.shape} or holds NaN; NSIDE is {nside}")
    probability = maps["PROB"]
    if probability.min() < 0 or abs(probability.sum() - 1) > 1e-6:
        raise DataError(
            f"{path}: column PROB adds up to {probability.sum():.6g} (min {probability.min():.3g}), expected 1"
        )
