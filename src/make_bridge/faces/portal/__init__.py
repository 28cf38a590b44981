"""The portal API: what an integrator's product asks for its customers."""
