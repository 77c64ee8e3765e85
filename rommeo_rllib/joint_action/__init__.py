"""What every off-policy learner that sees the joint action shares."""

# RLlib first: once it is there, all algorithms are registered, which imports the modules in here.
import ray.rllib  # noqa: F401
