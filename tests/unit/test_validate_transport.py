"""The transport beside Geant4, the criterion, and `snpoint validate transport`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.spatial import cKDTree
from toy_transport import one, random_state

from snpoint.errors import UsageError
from snpoint.physics.simulation.events import ELECTRON
from snpoint.physics.simulation.transport import Shower, Transport
from snpoint.physics.validation import transport as acceptance
from snpoint.physics.validation.transport import QUANTITIES, Comparison, Estimate, compare, geant4_table, simulate
from snpoint.tools import validate
from snpoint.tools.validate_transport import command

ENERGIES = (3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0)
NAMES = [quantity.name for quantity in QUANTITIES]
JUDGED = ["path", "extent", "forward", "blips", "axis"]


def missed(energy: float, events: int) -> list[str]:
    """What fails the criterion at an energy."""
    parts = [simulate(energy, acceptance.CHUNK, chunk) for chunk in range(events // acceptance.CHUNK)]
    rows = compare({energy: np.concatenate(parts)})
    assert [row.quantity.name for row in rows if row.quantity.judged] == JUDGED
    return [f"{row.quantity.name} {row.ratio:.3f}" for row in rows if not row.check.ok]


@pytest.mark.parametrize("energy", ENERGIES)
def test_electrons_are_those_of_geant4(energy: float) -> None:
    assert missed(energy, events=1500) == []


@pytest.mark.nightly
@pytest.mark.parametrize("energy", ENERGIES)
def test_electrons_are_those_of_geant4_in_full(energy: float) -> None:
    assert missed(energy, events=20_000) == []


# --- the criterion -------------------------------------------------------------------------------------------------


def compared(ours: float, geant4: float = 1.0, energy: float = 10.0, error: float = 0.0) -> Comparison:
    return Comparison(energy, QUANTITIES[0], Estimate(ours, error), Estimate(geant4, error))


def test_ten_percent_are_allowed_twenty_at_3_mev_and_two_standard_errors() -> None:
    assert compared(1.099).check.ok and not compared(1.101).check.ok
    assert compared(0.901).check.ok and not compared(0.899).check.ok
    assert compared(1.199, energy=3.0).check.ok and not compared(1.201, energy=3.0).check.ok
    # sqrt(0.03^2 + 0.03^2) * 2 = 0.085
    assert compared(1.184, error=0.03).check.ok and not compared(1.186, error=0.03).check.ok


def test_only_what_is_judged_can_be_missed() -> None:
    far = compared(2.0)
    assert far.check.verdict == "MISSED"
    assert replace(far, quantity=replace(far.quantity, judged=False)).check.verdict == "shown"


@pytest.mark.parametrize("quantity", QUANTITIES, ids=NAMES)
def test_standard_errors_are_the_spread_of_repeated_samples(quantity: acceptance.Quantity) -> None:
    rng = np.random.default_rng(1)
    estimates = [acceptance.estimate(rng.gamma(3.0, 1.0, 2000), quantity) for _ in range(300)]
    spread = np.std([each.value for each in estimates])
    assert np.mean([each.error for each in estimates]) == pytest.approx(spread, rel=0.2)


def test_the_table_has_every_quantity_at_every_energy() -> None:
    table = geant4_table()
    assert tuple(table) == ENERGIES
    for numbers in table.values():
        assert sorted(numbers) == sorted(NAMES)
        assert all(each.value > 0 and each.error >= 0 for each in numbers.values())
    # range in the continuous slowing down approximation: 0.4261 to 14.614 cm at 1 and 50 MeV, 4.356 at 10
    assert table[10.0]["path"].value == pytest.approx(4.356, rel=0.02)
    assert table[10.0]["axis"].error == pytest.approx(0.66, rel=0.1)


# --- the quantities ------------------------------------------------------------------------------------------------


def test_quantities_of_a_shower_made_by_hand() -> None:
    """A track of 4 cm along x, a delta ray on it, and photons' descendants 0.5 and 3 cm beside it."""
    rows = [[x, 0, 0, 1.0, 2.0] for x in (0.0, 1.0, 2.0, 3.0, 4.0)]
    rows += [[2.0, 0.0, 0.0, 0.5, 2.0], [4.0, 0.5, 0.0, 0.25, 2.0], [4.0, 0.0, 3.0, 0.75, 2.0]]
    shower = Shower(
        np.array(rows), np.array([0, 0, 0, 0, 0, 1, 2, 2]), np.zeros(8, np.int64), np.array([4.2]),
        np.array([[4.0, 0.0, 0.0]]),
    )  # fmt: skip
    values = dict(zip(NAMES, acceptance.measure(shower, 6.5), strict=True))
    assert values == pytest.approx(
        {
            "path": 4.2, "extent": 4.0, "forward": 0.0, "blips": 0.75 / 6.5, "axis": 90.0, "distance": 4.0,
            "photons": 1.0 / 6.5, "with_blips": 1.0,
        }
    )  # fmt: skip


def test_blips_are_what_a_search_of_neighbors_finds() -> None:
    transport, state = Transport(), random_state(1)
    for _ in range(20):
        shower = transport.shower(one(ELECTRON, 30.0), state)
        track = shower.deposits[shower.classes < 2, :3]
        rest = shower.deposits[shower.classes == 2]
        expected = rest[cKDTree(track).query(rest[:, :3])[0] > 1.0, 3].sum()
        assert acceptance.detached_energy(shower.deposits, shower.classes, 1.0) == pytest.approx(expected)


# --- the command ---------------------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, ["--energies", "5,10", "--events", "600", "-o", str(folder), *arguments])
    return result.exit_code, result.stdout


def test_the_command_prints_verdicts_and_writes_table_and_figure(tmp_path: Path) -> None:
    code, text = run(tmp_path / "out")
    assert code == 0
    lines = text.splitlines()
    assert sum(line.endswith(" ok") for line in lines) == 10 and lines[-1].startswith("10 of 10 within")
    table = pd.read_csv(tmp_path / "out/transport.csv")
    assert list(table) == ["quantity", "ours", "error", "reference", "tolerance", "ratio", "verdict"]
    assert len(table) == 2 * len(QUANTITIES) and "path length [cm], 5 MeV" in set(table["quantity"])
    assert (tmp_path / "out/transport.png").read_bytes().startswith(b"\x89PNG")


def test_any_number_of_processes_gives_the_same(tmp_path: Path) -> None:
    run(tmp_path / "one")
    run(tmp_path / "two", "--jobs", "2")
    assert (tmp_path / "one/transport.csv").read_bytes() == (tmp_path / "two/transport.csv").read_bytes()


def test_the_command_fails_where_a_quantity_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shifted = {
        energy: numbers | {"path": Estimate(1.2 * numbers["path"].value, numbers["path"].error)}
        for energy, numbers in geant4_table().items()
    }
    monkeypatch.setattr(acceptance, "geant4_table", lambda: shifted)
    code, text = run(tmp_path)
    assert code == 1
    assert [line[:25].strip() for line in text.splitlines() if line.endswith("MISSED")] == [
        "path length [cm], 5 MeV",
        "path length [cm], 10 MeV",
    ]


@pytest.mark.parametrize(("energies", "hint"), [("4", "there are 3, 5, 7"), ("3;5", "such as 3,10,30")])
def test_other_energies_are_refused(tmp_path: Path, energies: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        CliRunner().invoke(
            command, ["--energies", energies, "-o", str(tmp_path)], standalone_mode=False, catch_exceptions=False
        )


def test_a_misspelt_subcommand_gets_a_hint() -> None:
    with pytest.raises(UsageError, match="'validate transprot'; did you mean 'transport'"):
        CliRunner().invoke(validate.command, ["transprot"], standalone_mode=False, catch_exceptions=False)
    assert "transport" in CliRunner().invoke(validate.command, ["--help"]).output
