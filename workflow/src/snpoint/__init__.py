"""Supernova pointing with DUNE trigger primitives: from MC truth to a sky map."""

__version__ = "0.1.0"
