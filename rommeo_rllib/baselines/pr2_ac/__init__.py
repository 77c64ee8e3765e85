"""PR2-AC: probabilistic recursive reasoning, actor-critic."""

# RLlib first: once it is there, all algorithms are registered, which imports the modules in here.
import ray.rllib  # noqa: F401
