"""The simulation: interactions and decays -> transport in liquid argon -> charge on the wires -> TPStream trees.

Supernova, bursts      flux, burst, directions, vertices
Interactions           elastic, cross_section; charged_current, strengths, fermi, deexcitation, transmission, nuclides
Neutrons               neutron_capture
Radioactivity          radioactivity, decays, beta_decay, cavern
Transport              transport, electrons, photons, heavy, particles, materials
Charge on the wires    wires, recombination, charge
Readout                detector, fieldresponse, noise
Files                  events, generators, records, readouttables, truthtables, chunk
"""
