"""Constants of nature, and numbers by which tables and images name things."""

from __future__ import annotations

ELECTRON_MASS_MEV = 0.51099895
FINE_STRUCTURE = 1 / 137.035999
HBAR_C_MEV_FM = 197.3269804
HBAR_C_MEV_CM = HBAR_C_MEV_FM * 1e-13
AVOGADRO = 6.02214076e23
"""CODATA 2018."""

SIGNAL_GENERATOR = "marley"
"""The generator of neutrino interactions in the files of a production; elsewhere part of its name."""

U, V, X = 0, 1, 2
"""Numbers of the wire planes."""

BACKGROUND, ES, CC, UNKNOWN = 0, 1, 2, 255
"""Values of ``interaction``: no neutrino interaction, elastic scattering, charged current, not known."""

UNKNOWN_APA = 255
"""``apa`` of an image whose file does not tell it."""

NO_TRACK = -99999
"""``bt_primary_track_id`` of a TP that no true particle made; its ``bt_`` positions have this value, too."""
