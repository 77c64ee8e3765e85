"""Alpha and the KL weight as what they bring about, at rewards of any scale."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns
from torch import Tensor

from rommeo_rllib import MASACConfig, ROMMEOACConfig, ROMMEOACEMPConfig
from rommeo_rllib.baselines.masac import MASACPolicy
from rommeo_rllib.components import action_size, broad_latent, squash
from rommeo_rllib.deployment.export import GreedyActor
from rommeo_rllib.distributions import ProductDistribution
from rommeo_rllib.joint_action import stochastic
from rommeo_rllib.joint_action.modules.critic import NORMALISE_Q, Q_LAYER_NORM
from rommeo_rllib.joint_action.modules.policy import INIT_KEY, OPPONENTS
from rommeo_rllib.joint_action.modules.stacking import PolicyGroup
from rommeo_rllib.joint_action.replay.columns import DISCOUNTS, OPPONENT_ACTIONS
from rommeo_rllib.joint_action.spaces.agents import Opponents
from rommeo_rllib.joint_action.spaces.encoding import action_components
from rommeo_rllib.joint_action.spaces.opponent_mask import NEXT_OPPONENT_MASK, OPPONENT_MASK
from rommeo_rllib.joint_action.stochastic import (
    INITIAL_ALPHA,
    played_randomness,
    wanted_randomness,
)
from rommeo_rllib.joint_action.update import Update
from rommeo_rllib.rng import PolicyRng, seeded_generator
from rommeo_rllib.rommeo_ac.learner import KL_COEFF, ROMMEOACLearner, _ROMMEOUpdate
from rommeo_rllib.rommeo_ac.policy import KEEPS_DIVERGENCE, ROMMEOPolicy
from rommeo_rllib.rommeo_ac.resampling import IMPORTANCE_SAMPLING
from rommeo_rllib.temperatures import (
    MOST_LOG,
    Auto,
    Kept,
    follow,
    make_alpha,
    make_kl_coeff,
    missing,
    weight,
)

BOX = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
ANYWHERE = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)
CHOICE = gym.spaces.Discrete(3)
MIXED = gym.spaces.Tuple([CHOICE, gym.spaces.Box(-1.0, 1.0, (2,), np.float32)])
ROWS = 32

# What a user writes.


@pytest.mark.parametrize(
    "bad",
    [
        {"randomness": 0.0},
        {"randomness": 1.01},
        {"randomness": math.nan},
        {"randomness": "auto"},
        {"randomness": [[0, 0.5], [10, 2.0]]},
        {"randomness": [[5, 0.5]]},
        {"randomness": {"initial": 1.5, "final": 0.1, "decay_steps": 10}},
        {"randomness": 0.5, "initial": 1.0},
        {"randomness": 0.5, "target_entropy": -1.0},
    ],
)
def test_an_impossible_randomness_names_its_field(bad):
    with pytest.raises(ValueError, match=r"alpha.*(at most 1|allowed|no key|must be at 0)"):
        make_alpha(bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"divergence": 0.0},
        {"divergence": -1.0},
        {"divergence": math.inf},
        {"divergence": "auto"},
        {"divergence": 0.5, "randomness": 0.5},
        {"randomness": 0.5},
    ],
)
def test_an_impossible_divergence_names_its_field(bad):
    with pytest.raises(ValueError, match=r"kl_coeff"):
        make_kl_coeff(bad)


@pytest.mark.parametrize(
    "target", [0.2, [[0, 1.0], [100, 0.1]], {"initial": 1.0, "final": 0.1, "decay_steps": 100}]
)
def test_a_target_may_be_a_number_or_a_schedule(target):
    for made in (make_alpha({"randomness": target}), make_kl_coeff({"divergence": target})):
        assert isinstance(made, Kept)
        assert made.target.value(100) == pytest.approx(target if target == 0.2 else 0.1)


def test_a_resampled_opponent_model_may_have_a_kl_weight_that_is_found():
    given = {"opponent_model": IMPORTANCE_SAMPLING, "kl_coeff": {"divergence": 1.0}}
    ROMMEOACConfig().environment("climbing_game").training(**given).check_values()


# How random a policy plays.


def randomness(parameters: list[list[float]], space: gym.Space, samples: int) -> Tensor:
    """Of an even mixture of distributions with these parameters, each drawn `samples` times."""
    torch.manual_seed(0)
    components = action_components(space, "A test")
    rows = torch.tensor(parameters).repeat(samples, 1)
    distribution = ProductDistribution(components, rows)
    return distribution.randomness(squash(components, distribution.rsample()))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ([[0.0, 0.0, 0.0]], 1.0),
        ([[50.0, 0.0, 0.0]], 0.0),
        # Sure of what to do, given what the others do, of which it is not sure.
        ([[50.0, 0.0, 0.0], [0.0, 50.0, 0.0], [0.0, 0.0, 50.0]], 1.0),
        ([[50.0, 0.0, 0.0], [0.0, 50.0, 0.0]], math.log(2) / math.log(3)),
    ],
)
def test_the_randomness_of_a_choice_is_its_marginal_entropy(parameters, expected):
    assert randomness(parameters, CHOICE, 2).item() == pytest.approx(expected, abs=1e-5)


def test_the_randomness_of_a_continuous_action_is_its_marginal_spread():
    narrow = -9.0
    # Minus and plus one half: the standard deviation is one half, a uniform one's 1 / sqrt(3).
    latent = math.atanh(0.5)
    found = randomness([[latent, narrow], [-latent, narrow]], BOX, 2000)
    assert found.item() == pytest.approx(0.5 * math.sqrt(3.0), abs=0.02)
    assert randomness([[latent, narrow]], BOX, 2000).item() < 0.02
    assert randomness([[0.0, math.log(0.75)]], ANYWHERE, 4000).item() == pytest.approx(
        0.25, rel=0.05
    )


def test_each_dimension_of_a_mixed_action_has_its_own_randomness():
    found = randomness([[50.0, 0.0, 0.0, 0.0, 0.0, -9.0, 2.0]], MIXED, 500)
    choice, narrow, wide = found.tolist()
    assert choice == pytest.approx(0.0, abs=1e-5)
    assert narrow < 0.03
    assert wide > 1.2  # Nearly all of it is at the two bounds.


def test_what_has_no_alternatives_does_not_count():
    space = gym.spaces.Tuple([gym.spaces.Discrete(1), CHOICE])
    assert randomness([[0.0, 0.0, 0.0, 0.0]], space, 2).shape == (1,)


# Multipliers.


def test_what_is_missing_is_between_minus_one_and_one():
    target = torch.tensor(0.5)
    shares = [missing(target, torch.tensor(f)).item() for f in (0.0, 0.25, 0.5, 1.0, 1e9)]
    assert shares == pytest.approx([1.0, 0.5, 0.0, -0.5, -1.0])


def test_a_multiplier_moves_with_what_is_wanting_and_stays_in_reach():
    log = torch.tensor([0.0, 0.0, 0.0])
    wanting = torch.tensor([1.0, 0.0, -1.0])
    up, same, down = follow(log, wanting).tolist()
    assert up == -down
    assert up > same == 0.0
    assert weight(log, wanting)[0] > 1.0 > weight(log, wanting)[2]
    for _ in range(1000):
        log = follow(log, wanting)
    assert log.tolist() == [MOST_LOG, 0.0, -MOST_LOG]


def make_policy(
    space: gym.Space, others: tuple[gym.Space, ...], policy_class: type = ROMMEOPolicy
) -> Any:
    return policy_class(
        observation_space=gym.spaces.Box(0.0, 1.0, (2,), np.float32),
        action_space=space,
        inference_only=False,
        model_config={
            OPPONENTS: Opponents(others),
            INIT_KEY: (0, 0),
            "fcnet_hiddens": [16],
            "fcnet_activation": "relu",
            Q_LAYER_NORM: True,
            NORMALISE_Q: True,
            KEEPS_DIVERGENCE: True,
            INITIAL_ALPHA: 1.0,
        },
    )


class Trainer:
    """Updates of one policy, on random plays of a game with one optimum.

    Args:
        space: of the agent's own actions.
        others: of its opponents'.
        reward: from the sum of squared distances to the optimum.
        present: which opponents are there, 1 or 0 each.
        training: what `.training()` takes.
    """

    def __init__(
        self,
        space: gym.Space = BOX,
        others: tuple[gym.Space, ...] = (BOX,),
        reward: Callable[[Tensor], Tensor] = torch.neg,
        present: tuple[float, ...] = (1.0,),
        **training: Any,
    ):
        self.policy = make_policy(space, others)
        self.reward = reward
        self.present = present
        self.config = ROMMEOACConfig().training(**{"gamma": 0.0, **training})
        learner: Any = object.__new__(ROMMEOACLearner)
        self.learner = learner
        self.generator = torch.Generator().manual_seed(0)
        trained = learner.trained_parameters(self.policy, self.config)
        groups = [list(one.parameters) for one in trained.values()]
        self.optimizer = torch.optim.Adam([{"params": group} for group in groups], lr=0.01)
        self.rng = PolicyRng([seeded_generator(1)], stacked=False)
        self.env_steps = 0

    def batch(self) -> Update:
        torch.manual_seed(self.env_steps)
        own, others = self.policy.own_components, self.policy.opponent_components
        actions = squash(own, broad_latent(own, torch.zeros(ROWS, action_size(own))))
        of_others = squash(others, broad_latent(others, torch.zeros(ROWS, action_size(others))))
        mask = torch.tensor(self.present).expand(ROWS, -1)
        of_others = of_others * self.policy.opponents.action_mask(mask)
        joint = torch.cat([actions, of_others], -1)
        distance = (joint - torch.linspace(0.2, 0.8, joint.shape[-1])).square().sum(-1)
        observations = torch.full((ROWS, 2), 0.5)
        columns = {
            Columns.OBS: observations,
            Columns.NEXT_OBS: observations,
            Columns.ACTIONS: actions,
            Columns.REWARDS: self.reward(distance),
            Columns.TERMINATEDS: torch.ones(ROWS),
            OPPONENT_ACTIONS: of_others,
            DISCOUNTS: torch.zeros(ROWS),
            OPPONENT_MASK: mask,
            NEXT_OPPONENT_MASK: mask,
        }
        return Update(self.policy, [self.config], columns, self.env_steps, self.rng, False)

    def updates(self, number: int) -> dict[str, float]:
        """The metrics after so many further updates."""
        for _ in range(number):
            update = self.batch()
            self.optimizer.zero_grad()
            sum(self.learner.losses(update).values()).backward()
            self.optimizer.step()
            self.learner.after_update(update)
            self.env_steps += 1
        with torch.no_grad():
            metrics = self.learner.policy_metrics(update)
        return {name: value.item() for name, value in metrics.items()}


KEPT = {"alpha": {"randomness": 0.3}, "kl_coeff": {"divergence": 0.5}}


@pytest.mark.parametrize(
    ("space", "others", "present", "opponent_model", "updates"),
    [
        (BOX, (BOX,), (1.0,), "reparameterised", 80),
        (CHOICE, (CHOICE,), (1.0,), IMPORTANCE_SAMPLING, 60),
        (MIXED, (MIXED,), (1.0,), "reparameterised", 120),
        (BOX, (BOX, CHOICE), (1.0, 1.0), IMPORTANCE_SAMPLING, 80),
        (BOX, (BOX, BOX), (1.0, 0.0), "reparameterised", 80),
    ],
    ids=["continuous", "discrete", "mixed", "three agents", "one absent"],
)
def test_policy_and_opponent_model_become_what_is_asked_for(
    space, others, present, opponent_model, updates
):
    trainer = Trainer(space, others, present=present, opponent_model=opponent_model, **KEPT)
    trainer.updates(updates)
    metrics = [trainer.updates(4) for _ in range(10)]
    randomness, divergence = (
        np.mean([one[name] for one in metrics])
        for name in ("policy_randomness", "opponent_model_kl")
    )
    assert randomness == pytest.approx(0.3, rel=0.3)
    dimensions = sum(
        sum(1 if c.kind == "discrete" else c.size for c in action_components(other, "A test"))
        for other, is_there in zip(others, present, strict=True)
        if is_there
    )
    assert divergence == pytest.approx(0.5 * dimensions, rel=0.3)


def test_another_target_is_followed():
    trainer = Trainer(CHOICE, (CHOICE,), **KEPT)
    trainer.updates(60)
    # As population-based training changes it.
    trainer.config = trainer.config.copy(copy_frozen=False)
    trainer.config.training(alpha={"randomness": 0.8}, kl_coeff={"divergence": 0.1})
    metrics = trainer.updates(80)
    assert metrics["policy_randomness"] == pytest.approx(0.8, rel=0.15)
    assert metrics["opponent_model_kl"] == pytest.approx(0.1, rel=0.3)


def test_targets_follow_their_schedules(monkeypatch):
    monkeypatch.setattr(stochastic, "played_randomness", lambda update: torch.tensor([0.5]))
    falling = {"initial": 1.0, "final": 0.25, "decay_steps": 100}
    trainer = Trainer(CHOICE, (CHOICE,), alpha={"randomness": falling})
    found = []
    for trainer.env_steps in (0, 50, 200):
        found.append(wanted_randomness(trainer.batch()).item())
    assert found == pytest.approx([0.5, 0.125 / 0.625, -0.5])


@pytest.mark.parametrize("opponent_model", ["reparameterised", IMPORTANCE_SAMPLING])
@pytest.mark.parametrize(("scale", "offset"), [(0.01, 0.0), (100.0, 0.0), (1e4, 0.0), (1.0, 50.0)])
def test_rewards_of_any_scale_and_offset_are_learned_alike(scale, offset, opponent_model):
    def learned(reward: Callable[[Tensor], Tensor]) -> tuple[dict[str, Tensor], float]:
        trainer = Trainer(reward=reward, opponent_model=opponent_model, **KEPT)
        alpha = trainer.updates(12)["alpha"]
        # Adam makes steps of where a gradient is 0 but for rounding, as of Q's last bias at first.
        found = trainer.policy.named_parameters()
        return {name: p.detach() for name, p in found if not name.startswith("critic")}, alpha

    usual, alpha = learned(torch.neg)
    other, scaled_alpha = learned(lambda d: offset - scale * d)
    assert scaled_alpha == pytest.approx(scale * alpha, rel=0.02)
    torch.testing.assert_close(other, usual, rtol=0.02, atol=5e-3)


def test_the_policy_as_it_plays_counts_without_what_it_learns_to_answer_besides():
    one, other = (
        Trainer(uniform_opponent_fraction=fraction, **KEPT).batch() for fraction in (0.0, 0.9)
    )
    torch.testing.assert_close(wanted_randomness(one), wanted_randomness(other))


def test_a_policy_with_multipliers_is_exported_without_them():
    names = {name for name, _ in GreedyActor(make_policy(CHOICE, (CHOICE,))).named_parameters()}
    assert not any("log_" in name or "critic" in name for name in names)
    assert any("policy_network" in name for name in names)


class SureInOneState(MASACPolicy):
    def take(self, observations, explore, rng, opponent_mask):
        parameters = 60.0 * observations[..., :1] * torch.tensor([1.0, 0.0, 0.0])
        policy = ProductDistribution(self.own_components, parameters)
        return squash(self.own_components, policy.rsample(rng)), policy, parameters


def test_randomness_is_a_mean_over_states():
    policy = make_policy(CHOICE, (BOX,), SureInOneState)
    observations = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(8, 1)
    columns = {Columns.OBS: observations, OPPONENT_MASK: torch.ones(16, 1)}
    config = MASACConfig().training(alpha={"randomness": 0.5})
    rng = PolicyRng([seeded_generator(1)], stacked=False)
    update = Update(policy, [config], columns, 0, rng, False)
    assert played_randomness(update).item() == pytest.approx(0.5, abs=1e-3)


def test_q_pays_for_no_randomness_to_come():
    targets = []
    for log_weight in (-3.0, 3.0):
        trainer = Trainer(gamma=0.9, **KEPT)
        update = trainer.batch()
        update.columns[DISCOUNTS] = torch.full((ROWS,), 0.9)
        update.columns[Columns.TERMINATEDS] = torch.zeros(ROWS)
        with torch.no_grad():
            trainer.policy.log_alpha.fill_(log_weight)
            trainer.policy.log_kl_coeff.fill_(log_weight)
            targets.append(_ROMMEOUpdate(update).q_target)
    torch.testing.assert_close(*targets)


def test_opponents_who_are_absent_call_for_no_restraint():
    trainer = Trainer(others=(BOX, BOX), present=(0.0, 0.0), **KEPT)
    update = trainer.batch()
    trainer.learner.losses(update)
    assert update.wanting[KL_COEFF] == 0.0


def test_multipliers_of_policies_without_a_batch_stay():
    group = PolicyGroup({str(i): make_policy(CHOICE, (CHOICE,)) for i in range(2)})
    trainer = Trainer(CHOICE, (CHOICE,), **KEPT)
    columns = {name: torch.stack([c, c]) for name, c in trainer.batch().columns.items()}
    rng = PolicyRng([seeded_generator(1), seeded_generator(2)], stacked=True)
    rows = torch.tensor([float(ROWS), 0.0])
    update = Update(group.policy, [trainer.config] * 2, columns, 0, rng, True, rows=rows)
    trainer.learner.losses(update)
    trainer.learner.after_update(update)
    assert group.members["0"].log_alpha != 0.0
    assert group.members["1"].log_alpha == 0.0
    assert group.members["1"].critic.scale.statistics.tolist() == [0.0] * 3


def test_an_alpha_in_units_of_the_reward_stays_what_it_is():
    trainer = Trainer(reward=lambda d: -1e3 * d, alpha=5.0, kl_coeff=2.0)
    metrics = trainer.updates(3)
    assert (metrics["alpha"], metrics["kl_coeff"]) == pytest.approx((5.0, 2.0))
    assert trainer.policy.critic.scale.std > 100.0


def test_a_learned_alpha_is_parsed_as_before():
    assert make_alpha({"target_entropy": -2.0, "initial": 3.0}) == Auto(3.0, -2.0)


def test_a_whole_run_without_units_ends_sure_of_its_answers():
    config = ROMMEOACConfig().environment("climbing_game").without_units(1000)
    config.check_values()
    randomness, divergence = make_alpha(config.alpha), make_kl_coeff(config.kl_coeff)
    assert isinstance(randomness, Kept)
    assert isinstance(divergence, Kept)
    assert (randomness.target.value(0), randomness.target.value(1000)) == (1.0, 0.03)
    assert (divergence.target.value(0), divergence.target.value(1000)) == (0.02, 1.5)
    assert config.normalise_q
    ablation = ROMMEOACEMPConfig().without_units(1000)
    assert ablation.alpha == config.alpha
    assert not list(ablation.settings_in_vain())


@pytest.mark.parametrize("bad", [0, 9, -1, 10.5, "1000", None])
def test_an_impossible_length_of_a_run_is_named(bad):
    with pytest.raises(ValueError, match=r"`env_steps` is .*allowed: an integer of at least 10"):
        ROMMEOACConfig().without_units(bad)
