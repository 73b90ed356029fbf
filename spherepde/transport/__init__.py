"""Wasserstein distances on the circle and the sphere with two-sided bounds; imports nothing of the solver."""
