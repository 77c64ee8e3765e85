"""Whether a configuration asks for what only RLlib's own way of sampling gives."""

from __future__ import annotations

from typing import Any

from ray.rllib.callbacks.callbacks import RLlibCallback

from rommeo_rllib.rllib_boundary import CONNECTORS, KEPT_AS


def allows_fast_path(config: Any) -> bool:
    """Whether nobody asked for callbacks, connectors or another special way of sampling."""
    plain = type(config)(algo_class=config.algo_class)
    has_callbacks = any(
        getattr(config, f"callbacks_{event}") or _is_overridden(event, config.callbacks_class)
        for event in _SAMPLING_EVENTS
    )
    as_usual = all(getattr(config, name) == getattr(plain, name) for name in _SAMPLING_KEYS)
    return as_usual and not has_callbacks


def _is_overridden(event: str, callbacks_class: Any) -> bool:
    classes = callbacks_class if isinstance(callbacks_class, list | tuple) else [callbacks_class]
    return any(getattr(one, event) is not getattr(RLlibCallback, event) for one in classes)


_SAMPLING_EVENTS = (
    "on_episode_created",
    "on_episode_start",
    "on_episode_step",
    "on_episode_end",
    "on_sample_end",
)
"""Callbacks that are given RLlib's episodes."""

_SAMPLING_KEYS = [
    *(KEPT_AS[f"{name}_connector"] for name in CONNECTORS),
    "add_default_connectors_to_env_to_module_pipeline",
    "add_default_connectors_to_module_to_env_pipeline",
    "clip_actions",
    "fast_sampling",
    "restart_failed_sub_environments",
]
"""Keys that, changed by the user, call for RLlib's own way of sampling."""
