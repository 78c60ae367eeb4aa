"""One number of the simulation beside its reference, and whether they agree."""

from __future__ import annotations

from typing import NamedTuple

STANDARD_ERRORS = 2.0
"""How many standard errors a difference may have beyond the tolerance."""
SAMPLING = "; sampling only"
"""Ends the name of a quantity whose reference is what went into the simulation: that it is drawn rightly is tested, not
that it is right."""


class Check(NamedTuple):
    """One number beside its reference."""

    quantity: str
    ours: float
    error: float  # standard error of the difference; 0 where nothing was drawn
    reference: float
    tolerance: float | None  # relative, before standard errors; None: shown, not judged

    @property
    def ratio(self) -> float:
        """Ours over the reference."""
        return self.ours / self.reference

    @property
    def ok(self) -> bool:
        """Whether it agrees within tolerance and standard errors; a number that is not finite does not."""
        if self.tolerance is None:
            return True
        allowed = self.tolerance * abs(self.reference) + STANDARD_ERRORS * self.error
        return bool(abs(self.ours - self.reference) <= allowed)

    @property
    def verdict(self) -> str:
        """``ok`` or ``MISSED``; ``shown`` for what is not judged."""
        if self.tolerance is None:
            return "shown"
        return "ok" if self.ok else "MISSED"
