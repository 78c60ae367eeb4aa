"""Figures of `snpoint.physics.validation`."""
