"""Checks of a machine, a folder and a batch system; each answers with findings and raises nothing."""
