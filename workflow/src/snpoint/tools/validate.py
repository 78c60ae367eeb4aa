"""``snpoint validate``: the simulation beside Geant4, published tables and real events."""

from __future__ import annotations

from typing import ClassVar

import click

from snpoint.tools.lists import LazyGroup

CHECKS = {
    "transport": "Single electrons beside those of Geant4.",
    "events": "Neutrino interactions beside published tables.",
    "backgrounds": "Rates and spectra of radioactivity and of the cavern.",
    "real": "Real events among their simulated twins, quantity by quantity.",
    "errors": "Errors of a network on real events among those on their twins.",
}
HELPERS = {
    "twins-of": "Print the list of twins of real events.",
    "tune": "Fit numbers of the detector on one half of the real events.",
}


class _ValidateGroup(LazyGroup):
    sections: ClassVar = {
        "Checks (write to a folder; exit code 1 where one fails)": CHECKS,
        "Helpers (judge nothing)": HELPERS,
    }
    modules: ClassVar = {name: f"snpoint.tools.validate_{name}" for name in CHECKS | HELPERS} | {
        "twins-of": "snpoint.tools.validate_twins"
    }
    prefix = "validate "


@click.group("validate", cls=_ValidateGroup)
def command() -> None:
    """Compare the simulation with Geant4, published tables and real events.

    Checks print a table with a verdict per line, write figures and tables to a folder, and fail (exit code 1) where a
    criterion is missed. The pages under docs/validation show what they gave.
    """
