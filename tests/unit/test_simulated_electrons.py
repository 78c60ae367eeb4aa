"""The ten electrons of the real ES file, simulated again: same energy, vertex and direction, then the same stages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import toy_simulation
from toy_clusters import ADC_PER_MEV, cluster_settings
from toy_matching import match_settings

from snpoint.data.tables import CLUSTER_TABLE, TP_TABLE, read_table, write_table
from snpoint.data.tpstream import read_tpstream, write_tpstream
from snpoint.physics.geometry import load_detector
from snpoint.physics.imaging import build_images
from snpoint.physics.simulation import chunk as simulation
from snpoint.physics.simulation import truthtables
from snpoint.physics.simulation.events import ELECTRON, Block, Event, Neutrino, particles
from snpoint.stages import cluster, match

DETECTOR = load_detector("fdhd_1x2x2")
TIMES = 20


def clustered(folder: Path, tpstream: Path) -> dict[str, np.ndarray]:
    """The cluster table of a file, with signal TPs alone."""
    match.run(match_settings(), tpstream=[tpstream], tps=folder / "tps.parquet")
    tps = read_table(folder / "tps.parquet", TP_TABLE)
    signal = tps["is_signal"] == 1
    write_table(folder / "signal.parquet", {key: values[signal] for key, values in tps.items()}, TP_TABLE)
    cluster.run(cluster_settings(), tps=folder / "signal.parquet", clusters=folder / "clusters.parquet")
    return read_table(folder / "clusters.parquet", CLUSTER_TABLE)


def simulated(real: dict[str, np.ndarray], path: Path) -> None:
    """Write `TIMES` simulations of each real electron, one after the other."""
    first = np.unique(real["event_uid"], return_index=True)[1]
    rows = np.tile(first, TIMES)
    simulator = simulation.Simulator(toy_simulation.settings(), "again", 0)
    rng = np.random.default_rng(6)
    records = [
        simulator.simulate(scattering(real, row), rng.integers(1, 2**63, 4, dtype=np.uint64)) for row in rows.tolist()
    ]
    where = (simulation.FIRST_RUN, 0, np.arange(len(rows)) + 1)
    write_tpstream(path, truthtables.trees(records, DETECTOR, where))


def scattering(real: dict[str, np.ndarray], row: int) -> Event:
    """The event of a row of the cluster table: its electron, and the neutrino before the scattering."""

    def vector(name: str) -> np.ndarray:
        return np.array([real[name.format(axis)][row] for axis in "xyz"], float)

    unit = [vector(name) / np.linalg.norm(vector(name)) for name in ("direction_{}", "neutrino_direction_{}")]
    electron = particles([ELECTRON], float(real["energy_true_mev"][row]), vector("vertex_{}_cm"), unit[0])
    neutrino = Neutrino(12, float(real["neutrino_energy_mev"][row]), unit[1])
    return Event((Block("marley", electron, neutrino, ELECTRON),))


def window_counts(table: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """TPs of each event's 512 x 128 window: in the main cluster, and off it."""
    images = build_images(
        table,
        DETECTOR,
        **{
            "anchors": "main",
            "context": "window",
            "orientation": "canonical",
            "window_ticks": 512,
            "window_channels": 128,
        },
        **{"tot_cut": 1, "adc_per_mev": ADC_PER_MEV},
    )
    image = np.repeat(np.arange(len(images["event_uid"])), np.diff(images["offsets"][::3]))
    main = images["in_main"] == 1
    return tuple(np.bincount(image[own], minlength=len(images["event_uid"])) for own in (main, ~main))


def test_windows_hold_as_many_tps_as_the_real_ones(real_data: Path, tmp_path: Path) -> None:
    real = clustered(tmp_path, real_data / "test_es_tpstream.root")
    simulated(real, tmp_path / "again.root")
    (main,), (off,) = ((counts.reshape(-1, 10).sum(axis=1),) for counts in window_counts(real))
    again = [
        counts.reshape(TIMES, 10).sum(axis=1) for counts in window_counts(clustered(tmp_path, tmp_path / "again.root"))
    ]
    assert (main.tolist(), off.tolist()) == ([153], [61])
    # 172 in the main clusters and 50 off them, give or take 16 and 10 from one set of ten events to the next.
    for found, expected, tolerance in ((again[0], 153, 0.2), (again[1], 61, 0.4)):
        assert found.mean() == pytest.approx(expected, rel=tolerance)
        assert abs(found.mean() - expected) < 2.5 * found.std()


def charge_yield(ides: dict[str, np.ndarray], low_mev: float, high_mev: float) -> float:
    """Electrons per MeV of what daughters of electrons leave on one collection wire, by its energy."""
    own = (ides["trackID"] < 0) & (DETECTOR.plane(ides["channel"]) == 2)
    wire = ides["Event"][own].astype(np.int64) << 16 | ides["channel"][own]
    _, number = np.unique(wire, return_inverse=True)
    mev, electrons = (np.bincount(number, ides[key][own]) for key in ("energy", "numelectrons"))
    chosen = (mev > low_mev) & (mev <= high_mev)
    return float(electrons[chosen].sum() / mev[chosen].sum())


def test_small_deposits_give_less_charge_as_in_the_real_files(real_data: Path) -> None:
    real = read_tpstream(real_data / "test_cc_tpstream.root", ["simides"])["simides"]
    mine = simulation.simulate_chunk(toy_simulation.settings(events_per_chunk=200), "yield", 0)["simides"]
    for low_mev, high_mev, tolerance in ((0.5, 5.0, 0.1), (0.1, 0.3, 0.2), (0.02, 0.1, 0.4)):
        found, expected = (charge_yield(ides, low_mev, high_mev) for ides in (mine, real))
        assert found == pytest.approx(expected, rel=tolerance), (low_mev, high_mev)
    assert charge_yield(mine, 0.02, 0.1) < 0.7 * charge_yield(mine, 0.5, 5.0)
