"""Start of the supervisor: ``python <this folder> --record FILE ... < command``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

# seen from the folder above, this one is a package by itself: the plugin's own package is not imported
sys.path[0] = str(Path(__file__).resolve().parent.parent)
importlib.import_module("payload.supervisor").main()
