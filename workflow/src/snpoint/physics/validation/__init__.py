"""The simulation beside what is known: Geant4 (transport), tables (elastic, charged_current, backgrounds), real events.

Real events stand among their simulated twins: ``ranks`` is the statistic, ``quantities`` what is measured, ``real``
compares them, ``errors`` does so with a network's errors, ``tuning`` fits on one half. One module for each command
``snpoint validate NAME``, figures in `snpoint.plots.validation`, pages in docs/validation.
"""
