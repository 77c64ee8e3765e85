"""ROMMEO-AC on simple_reference: two agents tell each other where to go. First settings.

Each says and does something at once, 50 actions, all of which are counted. `rommeo train
mpe/simple_reference`.
"""

from rommeo_rllib.tuned_configs.mpe import make_config, stop

__all__ = ["config", "stop"]

config = make_config("simple_reference_v3", ["agent_0", "agent_1"])
