"""The simulation: interactions and decays -> transport in liquid argon -> charge on the wires -> TPStream trees."""
