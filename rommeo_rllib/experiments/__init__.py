"""Experiments: configurations, trials and where they stand, seeds, sweeps, and their results."""
