"""Constants of nature that several parts need."""

from __future__ import annotations

ELECTRON_MASS_MEV = 0.51099895
