"""DDPG and its multi-agent relatives: independent DDPG, DDPG-OM and MADDPG."""

# RLlib first: once it is there, all algorithms are registered, which imports the modules in here.
import ray.rllib  # noqa: F401
