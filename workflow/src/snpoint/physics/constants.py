"""Constants of nature, and numbers by which tables and images name things."""

from __future__ import annotations

ELECTRON_MASS_MEV = 0.51099895

U, V, X = 0, 1, 2
"""Numbers of the wire planes."""

BACKGROUND, ES, CC, UNKNOWN = 0, 1, 2, 255
"""Values of ``interaction``: no neutrino interaction, elastic scattering, charged current, not known."""

UNKNOWN_APA = 255
"""``apa`` of an image whose file does not tell it."""

NO_TRACK = -99999
"""``bt_primary_track_id`` of a TP that no true particle made; its ``bt_`` positions have this value, too."""
