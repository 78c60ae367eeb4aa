"""Predictions of a network as the table that is written to disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snpoint.data import contracts
from snpoint.data.shards import Events
from snpoint.models.network import Network
from snpoint.physics import baselines


def predictions_table(network: Network, events: Events, batch_size: int, where: Path) -> dict[str, NDArray[Any]]:
    """Arrays of ``predictions.npz``: what the network says about each image, beside what is true.

    Parameters
    ----------
    network : Network
    events : Events
        N images; truth may be NaN.
    batch_size : int
    where : Path
        File the table is meant for, to be named in errors.

    Returns
    -------
    dict of ndarray
        As `snpoint.data.contracts.PREDICTIONS` demands, one entry per image; ``axis`` is NaN for images that are not
        in the canonical frame.

    Raises
    ------
    NumericError
        The network gave NaN.
    """
    decoded = network.predict(events, batch_size)
    table = {
        "format_version": np.array(contracts.FORMAT_VERSION, np.uint16),
        "event_uid": events.event_uid,
        "split": events.split,
        "direction_true": events.direction,
        "direction_pred": decoded.direction,
        "axis": _axis(events),
        "kappa": decoded.kappa,
        "head_probability": decoded.head_probability,
        "energy_true_mev": events.energy_true_mev,
        "energy_reco_mev": events.energy_reco_mev,
        "interaction": events.interaction,
        "neutrino_direction": events.neutrino_direction,
    }
    contracts.validate(table, contracts.PREDICTIONS, where)
    return table


def _axis(events: Events) -> NDArray[np.float32]:
    if events.orientation != baselines.ORIENTATION:
        return np.full((len(events), 3), np.nan, np.float32)
    return baselines.principal_axis(vars(events), events.detector).astype(np.float32)
