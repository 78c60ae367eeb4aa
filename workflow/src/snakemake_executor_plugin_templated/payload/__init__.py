"""What runs in a batch job: one command under a supervisor.

Started as ``python <this folder>`` with whatever Python a worker has: standard library only, Python 3.9, and nothing of
the plugin around it, which would import Snakemake.
"""

from __future__ import annotations

from .record import read_record

__all__ = ["read_record"]
