"""ROMMEO-AC on simple_spread: three agents cover three landmarks. First settings, no result yet.

`rommeo train mpe/simple_spread`.
"""

from rommeo_rllib.tuned_configs.mpe import make_config, stop

__all__ = ["config", "stop"]

config = make_config("simple_spread_v3", ["agent_0", "agent_1", "agent_2"])
