"""ROMMEO-AC on simple_tag: three adversaries hunt a faster agent. First settings, no result yet.

The adversaries model each other, whose interests are theirs; the hunted agent models them all, held
close to what they really did. `rommeo train mpe/simple_tag`.
"""

from rommeo_rllib.tuned_configs.mpe import make_config, stop

__all__ = ["config", "stop"]

ADVERSARIES = ["adversary_0", "adversary_1", "adversary_2"]

config = make_config(
    "simple_tag_v3",
    [*ADVERSARIES, "agent_0"],
    opponent_groups={one: [other for other in ADVERSARIES if other != one] for one in ADVERSARIES},
)
config.multi_agent(
    algorithm_config_overrides_per_module={"agent_0": type(config).overrides(kl_coeff=100.0)}
)
