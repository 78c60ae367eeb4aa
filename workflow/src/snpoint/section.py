"""What all settings classes are made of: a strict, frozen section, and the types that recur in them."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=64)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


def _growing(edges: list[float]) -> list[float]:
    if any(low >= high for low, high in pairwise(edges)):
        raise ValueError("bin edges must grow")
    return edges


Edges = Annotated[list[NonNegative], Field(min_length=2), AfterValidator(_growing)]


class Section(BaseModel):
    """A group of settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def canonical(self) -> str:
        """The one string of these settings: JSON with sorted keys, equal for equal settings."""
        return self.canonical_json(self.model_dump(mode="json"))

    @staticmethod
    def canonical_json(values: object) -> str:
        """The same for settings that were read back from a record."""
        return json.dumps(values, sort_keys=True, separators=(", ", ": "))


class PerPlane(Section):
    """One number for each wire plane."""

    U: float
    V: float
    X: float

    def as_tuple(self) -> tuple[float, float, float]:
        """The values in plane order U, V, X (plane numbers 0, 1, 2)."""
        return self.U, self.V, self.X


NUMBERS, WORD = "<numbers>", "<word>"
"""Tags of the two forms of a setting that is either a section or one word; error messages leave them out."""


def numbers_or_word(value: object) -> str:
    """Which of the two forms a value has, so that an error speaks of the form that was meant."""
    return WORD if isinstance(value, str) else NUMBERS
