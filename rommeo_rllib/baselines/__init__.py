"""The continuous algorithms that ROMMEO-AC is compared with, one file a family."""

# RLlib first: once it is there, all algorithms are registered, which imports the modules in here.
import ray.rllib  # noqa: F401
