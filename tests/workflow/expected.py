"""Jobs of the tiny project, written "stage key", and which of them follow from which."""

from __future__ import annotations

from collections.abc import Iterable

V0, RAW = "electron_direction/v0", "electron_direction/v0_raw"
PAGE, REAL_PAGE = "report index", "report real_data"
CHUNKS = ("sim_es_0000", "sim_es_0001")
REAL_V0 = {f"predict {V0}/fdhd_es", f"predict {V0}/fdhd_cc", "point fdhd_es", REAL_PAGE}
"""What the real files get from v0: not built by `snakemake`, but by `snakemake real_data`."""


def stages(names: Iterable[str], key: str) -> set[str]:
    return {f"{name} {key}" for name in names}


AFTER_TRAIN = ("train", "evaluate", "likelihood", "interpret")
FROM_RAW = stages(AFTER_TRAIN, RAW) | {"point demo_burst_raw", PAGE}
FROM_V0 = stages(AFTER_TRAIN, V0) | {"point demo_burst", PAGE} | REAL_V0
FROM_RAW_DATASET = {"dataset sim_es_raw"} | FROM_RAW
FROM_V0_DATASET = {"dataset sim_es"} | FROM_V0
FROM_CLUSTER = (
    {f"image {dataset}/{chunk}" for dataset in ("sim_es", "sim_es_raw") for chunk in CHUNKS}
    | FROM_V0_DATASET
    | FROM_RAW_DATASET
)
