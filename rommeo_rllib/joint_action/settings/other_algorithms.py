"""Settings that users bring along from the configurations of RLlib's own algorithms.

What has an equivalent is taken, see `JointActionConfig.training`; the rest is told at validation.
Which settings an algorithm of RLlib's has is read from the signature of its `.training()`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import ray.rllib.algorithms
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from rommeo_rllib.checks import is_finite_number
from rommeo_rllib.joint_action.settings import ledger
from rommeo_rllib.naming import shown

RENAMED = {"actor_lr": "policy_lr", "critic_lr": "q_lr"}
"""Settings that are called otherwise here."""

_SAY_NOTHING: Mapping[str, tuple[Any, ...]] = {
    "_deterministic_loss": (False,),
    "_use_beta_distribution": (False,),
    "adam_epsilon": (1e-8,),
    "before_learn_on_batch": (None,),
    "burn_in_len": (0,),
    "double_q": (False,),
    "dueling": (False,),
    "entropy_coeff_schedule": (None,),
    "lr_schedule": (None,),
    "noisy": (False,),
    "num_atoms": (1,),
    "target_network_update_freq": (0, 1),
    "training_intensity": (None,),
    "use_kl_loss": (False,),
}
"""Values that ask for what happens here anyway."""

_NETWORKS = 'give `.rl_module(model_config={"fcnet_hiddens": ...})`.'
_ONE_VALUE = "returns have no learned distribution: leave it out."
_NO_VALUE_FUNCTION = "there is no separate value function: leave it out."
_ENTROPY = "give `alpha`, the weight of the policy's entropy."
_ALPHA = 'it needs a learned alpha, such as alpha="auto": leave it out.'
_SCHEDULE = "give the learning rates as schedules: q_lr=[[0, 3e-4], ...]."

_INSTEAD = {
    "adam_epsilon": "Adam runs with epsilon 1e-8: leave it out.",
    "double_q": "targets average over the policy's actions, without a maximum: leave it out.",
    "dueling": "the Q-network has one head: leave it out.",
    "entropy_coeff": _ENTROPY,
    "entropy_coeff_schedule": _ENTROPY,
    "hiddens": _NETWORKS,
    "initial_alpha": _ALPHA,
    "lr_schedule": _SCHEDULE,
    "num_atoms": _ONE_VALUE,
    "optimization_config": "give `q_lr` and `policy_lr`.",
    "policy_model_config": _NETWORKS,
    "q_model_config": _NETWORKS,
    "target_entropy": _ALPHA,
    "target_network_update_freq": (
        "targets move by `tau` at each update: leave it out, or give a smaller `tau`."
    ),
    "td_error_loss_fn": "the loss is half of the squared error: leave it out.",
    "training_intensity": "allowed: a finite number above 0.",
    "v_max": _ONE_VALUE,
    "v_min": _ONE_VALUE,
    "vf_clip_param": _NO_VALUE_FUNCTION,
    "vf_loss_coeff": _NO_VALUE_FUNCTION,
}

_EXPLORATION = ("epsilon", "noisy", "sigma0")


@cache
def owners() -> Mapping[str, list[str]]:
    """The algorithms that take a setting, for each that RLlib's `.training()` itself does not."""
    found: dict[str, list[str]] = {}
    for package in pkgutil.iter_modules(ray.rllib.algorithms.__path__):
        for config_class in _config_classes(package):
            for name in _parameters(config_class) - _parameters(AlgorithmConfig):
                found.setdefault(name, []).append(config_class.__name__.removesuffix("Config"))
    return {name: sorted(set(algorithms)) for name, algorithms in found.items()}


def _config_classes(package: Any) -> Iterator[type[AlgorithmConfig]]:
    if not package.ispkg:
        return
    try:
        module = importlib.import_module(f"{ray.rllib.algorithms.__name__}.{package.name}")
    except ImportError:  # One may want what is not installed.
        return
    for value in vars(module).values():
        if inspect.isclass(value) and issubclass(value, AlgorithmConfig):
            yield value


def _parameters(config_class: type[AlgorithmConfig]) -> set[str]:
    if "training" not in vars(config_class):
        return set()
    return set(inspect.signature(config_class.training).parameters) - {"self", "kwargs"}


def asks_for_nothing(name: str, value: Any) -> bool:
    """Whether another algorithm's setting asks for what happens here anyway."""
    # `1 == True`, but they are not the same thing to say.
    return any(
        isinstance(value, bool) == isinstance(one, bool) and value == one
        for one in _SAY_NOTHING.get(name, ())
    )


def sentences(config: AlgorithmConfig, given: Mapping[str, Any]) -> Iterator[str]:
    """What to do about each setting that cannot be taken.

    Args:
        config: that of one of our algorithms.
        given: settings of other algorithms and their values.
    """
    for name, value in given.items():
        if name in ledger.REFUSED:
            continue  # The ledger tells.
        if name == "replay_buffer_config":
            yield from _about_replay(value)
        elif not asks_for_nothing(name, value):
            whose = _whose(name)
            yield f"`{name}` is {shown(value)} ({whose}); {_instead(config, name)}"
    yield from _about_kl_coeff(config, given)


def _whose(name: str) -> str:
    return f"a setting of RLlib's {', '.join(owners().get(name, ()))}"


def _instead(config: AlgorithmConfig, name: str) -> str:
    if name in _EXPLORATION:
        if hasattr(config, "exploration_noise"):
            return "give `exploration_noise`."
        return "agents explore by their stochastic policies: leave it out."
    instead = _INSTEAD.get(name)
    if (instead is _ENTROPY and not hasattr(config, "alpha")) or (
        instead is _ALPHA and not hasattr(config, "alpha_lr")
    ):
        instead = None
    if instead is None:
        return "it has no equivalent here: leave it out."
    return instead


_UNIFORM_REPLAYS = (
    "EpisodeReplayBuffer",
    "MultiAgentEpisodeReplayBuffer",
    "MultiAgentReplayBuffer",
    "ReplayBuffer",
)


_PRIORITIZED_REPLAYS = (
    "MultiAgentPrioritizedEpisodeReplayBuffer",
    "MultiAgentPrioritizedReplayBuffer",
    "PrioritizedEpisodeReplayBuffer",
    "PrioritizedReplayBuffer",
)


def replay_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Our settings that say what a `replay_buffer_config` does."""
    settings = {"replay_capacity": given["capacity"]} if "capacity" in given else {}
    kind = _kind_of_replay(given)
    if kind in _UNIFORM_REPLAYS:
        settings["replay_priorities"] = False
    elif kind in _PRIORITIZED_REPLAYS:
        exponents = {key: given[key] for key in ("alpha", "beta") if given.get(key) is not None}
        settings["replay_priorities"] = exponents or True
    return settings


def _kind_of_replay(given: Mapping[str, Any]) -> str:
    kind = given.get("type", "")
    return (getattr(kind, "__name__", None) or str(kind)).rpartition(".")[2]


def _about_replay(given: Any) -> Iterator[str]:
    """What of a `replay_buffer_config` is not among `replay_settings`."""
    said = f"`replay_buffer_config` is {shown(given)} ({_whose('replay_buffer_config')})"
    if not isinstance(given, Mapping):
        yield f"{said}; give `replay_capacity`."
        return
    kind = _kind_of_replay(given)
    known = {"type", "capacity", "alpha", "beta"}
    unknown = {
        key: value
        for key, value in given.items()
        if key not in known and (key, value) != ("replay_sequence_length", 1)
    }
    if unknown or (kind and kind not in _UNIFORM_REPLAYS + _PRIORITIZED_REPLAYS):
        yield f"{said}; keep only 'capacity', 'alpha', 'beta' and one of RLlib's own types."


_PPOS = ("minibatch_size", "num_epochs", "shuffle_batch_per_epoch")
"""Settings of RLlib's that are for algorithms like PPO."""


def _about_kl_coeff(config: AlgorithmConfig, given: Mapping[str, Any]) -> Iterator[str]:
    """PPO's `kl_coeff` is the weight of another divergence."""
    if "PPO" in owners().get("kl_coeff", ()) and hasattr(config, "kl_coeff"):
        of_ppo = [name for name in given if "PPO" in owners().get(name, ())] + [
            name for name in _PPOS if ledger.is_asked_for(name, getattr(config, name))
        ]
        usual = type(config)().kl_coeff
        if of_ppo and is_finite_number(config.kl_coeff) and config.kl_coeff != usual:
            yield (
                f"`kl_coeff` is {shown(config.kl_coeff)}, given with PPO's settings; PPO penalises "
                "changes of the policy by it, here it weighs KL(opponent model || prior): if you "
                f"meant PPO's, leave it out (the default is {usual})."
            )
