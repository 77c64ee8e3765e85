"""MASQL: multi-agent soft Q-learning."""

# RLlib first: once it is there, all algorithms are registered, which imports the modules in here.
import ray.rllib  # noqa: F401
