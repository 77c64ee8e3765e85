"""What becomes of each setting of RLlib's `AlgorithmConfig`: honoured, or refused if changed.

The ledger holds all settings of all supported Rays. One that is in neither list comes from a newer
Ray, and is refused, too, if it is changed: nothing is to be ignored in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import gymnasium as gym
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from rommeo_rllib.naming import shown


def _names(text: str) -> list[str]:
    return text.split()


HONOURED = frozenset(
    _names(
        """
        _dont_auto_sync_env_runner_states _env_to_module_connector _learner_class _model_config
        _module_to_env_connector _rl_module_spec _train_batch_size_per_learner
        _use_msgpack_checkpoints _validate_config add_default_connectors_to_env_to_module_pipeline
        add_default_connectors_to_module_to_env_pipeline algorithm_config_overrides_per_module
        batch_mode broadcast_env_runner_states callbacks_class callbacks_on_algorithm_init
        callbacks_on_checkpoint_loaded callbacks_on_env_runners_recreated
        callbacks_on_environment_created callbacks_on_episode_created callbacks_on_episode_end
        callbacks_on_episode_start callbacks_on_episode_step callbacks_on_evaluate_end
        callbacks_on_evaluate_start callbacks_on_sample_end callbacks_on_train_result clip_actions
        create_env_on_local_worker create_local_env_runner custom_evaluation_function
        custom_resources_for_main_process custom_resources_per_env_runner
        custom_resources_per_learner delay_between_env_runner_restarts_s disable_env_checking env
        env_config env_runner_cls env_runner_health_probe_timeout_s env_runner_restore_timeout_s
        episode_lookback_horizon evaluation_auto_duration_max_env_steps_per_sample
        evaluation_auto_duration_min_env_steps_per_sample evaluation_config evaluation_duration
        evaluation_duration_unit evaluation_error_after_n_consecutive_skips
        evaluation_force_reset_envs_before_iteration evaluation_interval
        evaluation_num_env_runners evaluation_parallel_to_training evaluation_sample_timeout_s
        evaluation_unhealthy_workers_timeout_s explore gamma grad_clip grad_clip_by
        ignore_env_runner_failures learner_config_dict local_gpu_idx log_level
        max_num_env_runner_restarts merge_env_runner_states metrics_num_episodes_for_smoothing
        min_sample_timesteps_per_iteration min_time_s_per_iteration
        min_train_timesteps_per_iteration num_consecutive_env_runner_failures_tolerance
        num_cpus_for_main_process num_cpus_per_env_runner num_cpus_per_learner num_env_runners
        num_envs_per_env_runner num_gpus_per_env_runner num_gpus_per_learner num_learners
        placement_strategy policies policies_to_train policy_mapping_fn restart_failed_env_runners
        restart_failed_sub_environments rollout_fragment_length sample_timeout_s seed
        stats_cls_lookup sync_filters_on_rollout_workers_timeout_s
        validate_env_runners_after_construction
        """
    )
)
"""Settings that do here what RLlib says; some are checked further. (`clip_actions` changes nothing,
but actions are within their bounds anyway, which is what it asks for.)"""

KEPT_BY_RLLIB = frozenset(
    {
        "_is_frozen",
        "_per_module_overrides",
        "_prior_exploration_config",
        "algo_class",
        "in_evaluation",
        "simple_optimizer",
    }
)
"""Attributes that RLlib itself fills in."""

_RECORDED_DATA = _names(
    """
    _is_online actions_in_input_normalized broadcast_offline_eval_runner_states
    callbacks_on_evaluate_offline_end callbacks_on_evaluate_offline_start
    callbacks_on_offline_eval_runners_recreated custom_resources_per_offline_eval_runner
    dataset_num_iters_per_eval_runner dataset_num_iters_per_learner ignore_final_observation
    ignore_offline_eval_runner_failures input_ input_compress_columns input_config
    input_filesystem input_filesystem_kwargs input_read_batch_size input_read_episodes
    input_read_method input_read_method_kwargs input_read_sample_batches input_read_schema
    input_spaces_jsonable iter_batches_kwargs map_batches_kwargs materialize_data
    materialize_mapped_data max_num_offline_eval_runner_restarts
    max_requests_in_flight_per_offline_eval_runner num_cpus_per_offline_eval_runner
    num_gpus_per_offline_eval_runner num_offline_eval_runners off_policy_estimation_methods
    offline_data_class offline_eval_batch_size_per_runner offline_eval_rl_module_inference_only
    offline_eval_runner_class offline_eval_runner_health_probe_timeout_s
    offline_eval_runner_restore_timeout_s offline_evaluation_duration
    offline_evaluation_interval offline_evaluation_parallel_to_training
    offline_evaluation_timeout_s offline_evaluation_type offline_loss_for_module_fn
    offline_sampling ope_split_batch_by_episode postprocess_inputs prelearner_buffer_class
    prelearner_buffer_kwargs prelearner_class prelearner_module_synch_period
    prelearner_use_recorded_module_states restart_failed_offline_eval_runners
    shuffle_buffer_size validate_offline_eval_runners_after_construction
    """
)

_RECORDER = _names(
    """
    output output_compress_columns output_config output_filesystem output_filesystem_kwargs
    output_max_file_size output_max_rows_per_file output_write_episodes output_write_method
    output_write_method_kwargs output_write_remaining_data
    """
)

_OUTDATED = _names(
    """
    _disable_action_flattening _disable_execution_plan_api
    _disable_initialize_loss_from_dummy_batch _disable_preprocessor_api _enable_rl_module_api
    always_attach_evaluation_results auto_wrap_old_gym_envs buffer_size collect_metrics_timeout
    custom_async_evaluation_function enable_async_evaluation enable_connectors
    enable_env_runner_and_connector_v2 enable_rl_module_and_learner env_task_fn
    evaluation_num_episodes fake_sampler input_evaluation learning_starts
    metrics_smoothing_episodes min_iter_time_s min_sample_timesteps_per_reporting
    min_time_s_per_reporting min_train_timesteps_per_reporting monitor policy_map_cache
    prioritized_replay prioritized_replay_alpha prioritized_replay_beta prioritized_replay_eps
    replay_batch_size replay_mode replay_sequence_length sample_collector synchronize_filters
    timesteps_per_iteration worker_cls
    """
)

_TENSORFLOW = _names(
    """
    _tf_policy_handles_more_than_one_loss eager_max_retraces eager_tracing
    enable_tf1_exec_eagerly framework_str local_tf_session_args tf_session_args
    """
)

_NO_EFFECT = "it would have no effect: leave it out."
_OFFLINE = (
    "learning from recorded data is not supported: joint steps come from an environment. Leave it "
    "out."
)
_RECORDING = "recording is not supported: a callback may write down what was sampled."
_OLD_STACK = "RLlib's old API stack is not supported."
_CONNECTOR = "an env-to-module connector may rewrite observations."
_MEAN_STD = "give `env_to_module_connector` RLlib's connector MeanStdFilter."
_COMPILED = "networks are not compiled here: leave it out."
_TORCH = "all networks are PyTorch's: leave it out."
_UPDATES = "give `updates_per_env_step`."
_STEPS_AT_ONCE = "give `max_sampling_lag`: env runners sample while the learner learns."
_NO_AGGREGATION = "batches are drawn from the replay, not aggregated: leave it out."

REFUSED: Mapping[str, str] = {
    # .python_environment(), .resources(), .framework()
    **dict.fromkeys(
        ("extra_python_environs_for_driver", "extra_python_environs_for_worker"),
        "give ray.init(runtime_env={'env_vars': ...}).",
    ),
    **dict.fromkeys(("num_gpus", "_fake_gpus"), "give `num_gpus_per_learner`."),
    **dict.fromkeys(
        _TENSORFLOW,
        _TORCH,
    ),
    **dict.fromkeys(
        (
            "torch_compile_learner",
            "torch_compile_learner_dynamo_backend",
            "torch_compile_learner_dynamo_mode",
            "torch_compile_learner_what_to_compile",
            "torch_compile_worker",
            "torch_compile_worker_dynamo_backend",
            "torch_compile_worker_dynamo_mode",
        ),
        _COMPILED,
    ),
    "torch_ddp_kwargs": "learners average gradients on their own: leave it out.",
    "torch_skip_nan_gradients": "a loss that is not finite is an error here: leave it out.",
    # .environment()
    **dict.fromkeys(
        ("action_space", "observation_space"),
        "the environment's own spaces count: leave it out.",
    ),
    "_is_atari": "wrap the environment on your own: leave it out.",
    "action_mask_key": "masks are observations like any other: leave it out.",
    "clip_rewards": "let the environment clip its rewards.",
    "normalize_actions": "networks work with actions in [-1, 1]: leave it out.",
    "render_env": "`rommeo evaluate --gif` shows a game.",
    # .env_runners()
    "compress_observations": _NO_EFFECT,
    "episodes_to_numpy": "joint steps are arrays anyway: leave it out.",
    "exploration_config": "agents explore as their algorithm says: leave it out.",
    "gym_env_vectorize_mode": "RLlib steps multi-agent environments in turn: leave it out.",
    "max_requests_in_flight_per_env_runner": _STEPS_AT_ONCE,
    "preprocessor_pref": _CONNECTOR,
    "sampler_perf_stats_ema_coef": _NO_EFFECT,
    **dict.fromkeys(
        ("env_runner_state_server_max_concurrency", "use_env_runner_state_server"),
        "weights are handed to env runners after updates: leave it out.",
    ),
    **dict.fromkeys(("remote_env_batch_wait_ms", "remote_worker_envs"), "give `num_env_runners`."),
    "observation_filter": _MEAN_STD,
    "update_worker_filter_stats": "give `broadcast_env_runner_states`.",
    "use_worker_filter_stats": "give `merge_env_runner_states`.",
    # .learners()
    "max_requests_in_flight_per_aggregator_actor": _NO_AGGREGATION,
    "max_requests_in_flight_per_learner": "each update is waited for: leave it out.",
    "num_aggregator_actors_per_learner": _NO_AGGREGATION,
    # .training()
    "_learner_connector": (
        "batches of joint transitions go past learner connectors. Let an env-to-module connector "
        "rewrite the episodes' observations: the replay holds what it leaves there."
    ),
    "add_default_connectors_to_learner_pipeline": "batches go past learner connectors.",
    "lr": "each network has its own learning rate, such as `q_lr` and `policy_lr`.",
    "minibatch_size": "give `train_batch_size_per_learner`.",
    "model": "give `.rl_module(model_config={...})`.",
    "num_epochs": _UPDATES,
    "optimizer": "all networks are trained by Adam: leave it out.",
    "shuffle_batch_per_epoch": "batches are drawn at random from the replay: leave it out.",
    "train_batch_size": "give `train_batch_size_per_learner`.",
    # .multi_agent()
    "count_steps_by": "all counts are of env steps: leave it out.",
    "observation_fn": _CONNECTOR,
    **dict.fromkeys(("policy_map_capacity", "policy_states_are_swappable"), _NO_EFFECT),
    # .offline_data(), and .evaluation() on recorded data
    **dict.fromkeys(
        _RECORDED_DATA,
        _OFFLINE,
    ),
    **dict.fromkeys(
        _RECORDER,
        _RECORDING,
    ),
    # .reporting(), .checkpointing(), .debugging(), .experimental()
    "_torch_grad_scaler_class": "losses are of full precision: leave it out.",
    "_torch_lr_scheduler_classes": "give learning rates as schedules: q_lr=[[0, 3e-4], ...].",
    "checkpoint_trainable_policies_only": _NO_EFFECT,
    "export_native_model_files": "`rommeo export` writes policies for other programs.",
    "keep_per_episode_custom_metrics": _NO_EFFECT,
    "log_gradients": "norms of gradients are not reported: leave it out.",
    "log_sys_usage": _NO_EFFECT,
    "metrics_episode_collection_timeout_s": _NO_EFFECT,
    # RLlib's old API stack, and what RLlib itself has given up.
    **dict.fromkeys(
        _OUTDATED,
        _OLD_STACK,
    ),
}
"""Settings that have no effect here, with what to do instead of changing them."""

_SAY_NOTHING = {
    "lr": (None,),
    "train_batch_size": (None,),
    "gym_env_vectorize_mode": (gym.VectorizeMode.SYNC,),
}
"""Values, other than RLlib's default, by which a user asks for what happens here anyway."""


@cache
def rllibs_defaults() -> Mapping[str, Any]:
    """All settings that the installed RLlib has."""
    return vars(AlgorithmConfig())


def is_asked_for(name: str, value: Any) -> bool:
    """Whether this value of a refused setting asks for anything else than what happens here."""
    return not any(
        _is_same(value, one) for one in (rllibs_defaults().get(name), *_SAY_NOTHING.get(name, ()))
    )


def refused_settings(config: AlgorithmConfig, given: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each setting that was changed in vain.

    Args:
        config: that of one of our algorithms.
        given: what was given on purpose, even if it is RLlib's default.
    """
    for name in rllibs_defaults():
        if name in HONOURED or name in KEPT_BY_RLLIB:
            continue
        value = getattr(config, name)
        is_meant = name in given and _is_same(given[name], value) and value is not None
        if is_meant or is_asked_for(name, value):
            yield sentence(name, value)


GIVEN_IS_MEANT = ("lr", "train_batch_size")
"""Settings whose default, too, is not what happens here."""


def sentence(name: str, value: Any) -> str:
    """Why a setting is refused, and what to do instead."""
    unknown = "this package does not know what it does in this version of Ray: leave it out."
    # `.training()` calls it so.
    known_as = "learner_connector" if name == "_learner_connector" else name
    usual = rllibs_defaults().get(name)
    if isinstance(value, Mapping) and isinstance(usual, Mapping):
        value = {key: one for key, one in value.items() if not _is_same(one, usual.get(key))}
    return f"`{known_as}` is {shown(value)}; {REFUSED.get(name, unknown)}"


def without_effect(config: AlgorithmConfig) -> list[str]:
    """Names of the refused settings that ask for nothing."""
    return [name for name in REFUSED if not is_asked_for(name, getattr(config, name, None))]


def _is_same(one: Any, other: Any) -> bool:
    try:
        return one is other or bool(one == other)
    except Exception:  # Arrays and other values that compare in ways of their own.
        return False
