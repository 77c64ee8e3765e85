"""ROMMEO-AC: the paper's actor-critic."""

# RLlib first: once it is there, all algorithms are registered, which imports this package's modules.
import ray.rllib  # noqa: F401
