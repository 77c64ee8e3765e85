"""What users bring along from RLlib's SAC, DQN and PPO. No Ray runtime."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from ray import tune
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.algorithms.sac import SACConfig
from ray.rllib.utils.replay_buffers import MultiAgentPrioritizedEpisodeReplayBuffer
from test_config import make_config
from test_rommeo_losses import make_policy

from rommeo_rllib import DDPGConfig, MASQLConfig, ROMMEOACConfig
from rommeo_rllib.joint_action.settings.other_algorithms import owners
from rommeo_rllib.temperatures import Auto, make_alpha

BOX = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)


@pytest.mark.parametrize(
    ("name", "own"),
    [("actor_lr", "policy_lr"), ("critic_lr", "q_lr")],
)
@pytest.mark.parametrize("value", [2e-4, [[0, 1e-3], [100, 1e-4]]])
def test_a_setting_by_another_name_is_taken(name, own, value):
    by_call, by_dict, by_attribute = make_config(**{name: value}), make_config(), make_config()
    by_dict.update_from_dict({name: value})
    setattr(by_attribute, name, value)
    for config in (by_call, by_dict, by_attribute):
        config.validate()
        assert getattr(config, own) == value


def test_sacs_learned_alpha_is_taken():
    config = make_config(initial_alpha=2.0, target_entropy="auto")
    config.validate()
    assert make_alpha(config.alpha) == Auto(2.0)
    config = make_config(target_entropy=-3.0).training(initial_alpha=0.5)
    assert make_alpha(config.alpha) == Auto(0.5, total_target_entropy=-3.0)
    # What was said of alpha besides stays.
    config = make_config(alpha={"target_entropy": -1.5, "initial": 7.0}, initial_alpha=0.5)
    assert make_alpha(config.alpha) == Auto(0.5, target_entropy=-1.5)


def test_sacs_target_entropy_is_that_of_the_whole_action():
    three = gym.spaces.Box(-1.0, 1.0, (3,), np.float32)
    for space in (BOX, three):
        policy = make_policy(space)
        (dimensions,) = space.shape
        targets = {
            "auto": -float(dimensions),  # SAC's own: the number of dimensions, negative.
            -2.0: -2.0,
        }
        for given, expected in targets.items():
            config = make_config(target_entropy=given)
            assert policy.target_entropy(make_alpha(config.alpha)) == expected
        per_dimension = make_alpha({"target_entropy": -2.0})
        assert policy.target_entropy(per_dimension) == -2.0 * dimensions


@pytest.mark.parametrize("name", ["initial_alpha", "target_entropy"])
def test_sacs_alpha_is_told_where_none_is_learned(name):
    with pytest.raises(ValueError, match=f"`{name}` is 1.0 .*; it needs a learned alpha"):
        make_config(alpha=0.3, **{name: 1.0}).validate()
    for config in (MASQLConfig(), DDPGConfig()):
        config.environment("max_of_two_quadratics").multi_agent(policies={"a"})
        with pytest.raises(ValueError, match=f"`{name}` is 1.0 .*; it has no equivalent"):
            config.training(**{name: 1.0}).validate()


def test_the_training_intensity_is_rows_trained_for_each_env_step():
    config = make_config(training_intensity=128.0, train_batch_size_per_learner=64)
    config.validate()
    assert config.updates_per_env_step == 2.0
    # The ratio stays whatever a batch becomes.
    config.training(train_batch_size_per_learner=256).learners(num_learners=2)
    config.validate()
    assert config.updates_per_env_step == 0.25
    config.training(updates_per_env_step=3.0, train_batch_size_per_learner=32)
    config.validate()
    assert config.updates_per_env_step == 3.0
    assert make_config(training_intensity=None).updates_per_env_step == 1.0


def test_a_search_over_the_training_intensity_decides_the_updates():
    space = make_config(training_intensity=tune.choice([64])).to_dict()
    resolved = {**space, "_training_intensity": {"is": 64, "gave": None}}
    config = ROMMEOACConfig().update_from_dict(resolved)
    config.training(train_batch_size_per_learner=32).validate()
    assert config.updates_per_env_step == 2.0
    mutated = {**config.to_dict(), "updates_per_env_step": 0.5}
    config = ROMMEOACConfig().update_from_dict(mutated)
    config.validate()
    assert config.updates_per_env_step == 0.5


@pytest.mark.parametrize("bad", [0, -2.0, float("inf"), "much"])
def test_a_training_intensity_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match=r"`training_intensity` is .*; allowed: a finite number"):
        make_config(training_intensity=bad).validate()


UNIFORM = [
    {},
    {"type": "MultiAgentEpisodeReplayBuffer"},
    {"type": "ray.rllib.utils.replay_buffers.ReplayBuffer", "replay_sequence_length": 1},
    {"alpha": 0.6, "beta": 0.4},
]
PRIORITIZED = [
    ({"type": "PrioritizedEpisodeReplayBuffer"}, True),
    ({"type": "PrioritizedReplayBuffer", "alpha": 0.5}, {"alpha": 0.5}),
    (
        {"type": MultiAgentPrioritizedEpisodeReplayBuffer, "alpha": 0.0, "beta": 1.0},
        {"alpha": 0.0, "beta": 1.0},
    ),
]
OTHER_REPLAYS = [
    {"type": "MultiAgentMixInReplayBuffer"},
    {"replay_sequence_length": 5},
    {"alfa": 0.6},
]


@pytest.mark.parametrize(("given", "priorities"), PRIORITIZED)
def test_a_prioritised_replay_is_taken(given, priorities):
    config = make_config(replay_priorities=False, replay_buffer_config={"capacity": 77, **given})
    config.validate()
    assert (config.replay_capacity, config.replay_priorities) == (77, priorities)
    config.training(replay_buffer_config={"type": "EpisodeReplayBuffer"}).validate()
    assert config.replay_priorities is False


@pytest.mark.parametrize("given", [{"alpha": 2.0}, {"alpha": "much"}, {"beta": 1.5}, {"beta": "x"}])
def test_impossible_exponents_are_told(given):
    config = make_config(replay_buffer_config={"type": "PrioritizedEpisodeReplayBuffer", **given})
    (name,) = given
    with pytest.raises(ValueError, match=rf"`replay_priorities\['{name}'\]` is .*allowed"):
        config.validate()


@pytest.mark.parametrize("other", [*UNIFORM, *OTHER_REPLAYS])
def test_of_a_replay_the_capacity_is_taken_and_what_is_strange_told(other):
    config = make_config(replay_buffer_config={"capacity": 77, **other})
    assert config.replay_capacity == 77
    if other in UNIFORM:
        config.validate()
    else:
        with pytest.raises(ValueError, match=r"`replay_buffer_config` is .*keep only 'capac"):
            config.validate()


@pytest.mark.parametrize(
    "said",
    [
        {"num_atoms": 1, "noisy": False, "dueling": False, "double_q": False},
        {"twin_q": False, "target_network_update_freq": 1},
        {"target_network_update_freq": 0, "_use_beta_distribution": False},
        {"adam_epsilon": 1e-8, "burn_in_len": 0, "lr_schedule": None},
        {"clip_actions": False, "store_buffer_in_checkpoints": False},
    ],
)
def test_what_is_so_anyway_may_be_said(said):
    make_config(**said).validate()


@pytest.mark.parametrize("config_class", [SACConfig, DQNConfig, PPOConfig])
def test_every_setting_of_an_algorithm_is_taken_or_told_as_that_algorithms(config_class):
    algorithm = config_class.__name__.removesuffix("Config")
    known = ROMMEOACConfig.training_keys()
    foreign = [name for name, of in owners().items() if algorithm in of and name not in known]
    assert len(foreign) > 5
    for name in foreign:
        config = make_config(**{name: "something else"})  # Nothing is called unknown.
        try:
            config.validate()
        except ValueError as error:
            told = str(error)
            # Or by the name that it was taken by.
            assert algorithm in told or "allowed:" in told, name
            assert "Did you mean" not in told


def test_a_setting_that_is_not_taken_names_its_owner_and_what_to_do():
    with pytest.raises(ValueError, match=r"`n_step` is \(5, 2\); allowed: an integer"):
        make_config(n_step=(5, 2)).validate()
    with pytest.raises(ValueError, match=r"`vf_loss_coeff` is 0.005 .*PPO\).*no separate value"):
        make_config(vf_loss_coeff=0.005).validate()
    with pytest.raises(ValueError, match=r"`vtrace` is True .*APPO, IMPALA.*no equivalent"):
        make_config(vtrace=True).validate()


def test_a_setting_that_is_no_longer_given_in_vain_is_no_longer_told():
    make_config(dueling=True).training(dueling=False).validate()


def test_a_misspelt_setting_of_nobody_is_told_at_once():
    with pytest.raises(ValueError, match=r"no key 'policy_lrr'. Did you mean 'policy_lr'\?"):
        ROMMEOACConfig().training(policy_lrr=1.0)


PPOS = [
    {"kl_target": 0.01},
    {"num_epochs": 30},
    {"lambda": 0.9},
    {"clip_param": 0.3},
    {"lambda_": 0.95},
    {"vf_loss_coeff": 1.0},
]


@pytest.mark.parametrize("other", PPOS)
def test_ppos_kl_coeff_is_asked_about(other):
    with pytest.raises(ValueError, match=r"`kl_coeff` is 0.2, given with PPO's settings"):
        make_config(kl_coeff=0.2, **other).validate()
    with pytest.raises(ValueError, match=r"^`") as error:
        make_config(**other).validate()
    assert "kl_coeff" not in str(error.value)


def test_a_kl_coeff_of_ones_own_is_not_asked_about():
    make_config(kl_coeff=0.2).validate()
    with pytest.raises(ValueError, match=r"^`noisy`"):
        make_config(kl_coeff=0.2, noisy=True).validate()


def test_a_whole_configuration_of_rllibs_own_is_taken():
    whole = AlgorithmConfig().environment("max_of_two_quadratics").to_dict()
    config = make_config().update_from_dict(whole)
    config.multi_agent(policies={"player_0", "player_1"}).validate()
