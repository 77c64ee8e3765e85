"""The losses of ROMMEO-AC on whole networks."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns

from rommeo_rllib import ROMMEOACConfig
from rommeo_rllib.components import broad_latent, has_choices
from rommeo_rllib.distributions import ProductDistribution
from rommeo_rllib.joint_action.modules import critic as critic_module
from rommeo_rllib.joint_action.modules.critic import Q_LAYER_NORM
from rommeo_rllib.joint_action.modules.gradients import frozen
from rommeo_rllib.joint_action.modules.policy import INIT_KEY, OPPONENTS
from rommeo_rllib.joint_action.replay.columns import DISCOUNTS, OPPONENT_ACTIONS
from rommeo_rllib.joint_action.spaces.agents import Opponents
from rommeo_rllib.joint_action.spaces.opponent_mask import NEXT_OPPONENT_MASK, OPPONENT_MASK
from rommeo_rllib.joint_action.stochastic import INITIAL_ALPHA, soft_value
from rommeo_rllib.joint_action.update import Update
from rommeo_rllib.local_expectations import neighbours
from rommeo_rllib.rng import PolicyRng, seeded_generator
from rommeo_rllib.rommeo_ac import learner
from rommeo_rllib.rommeo_ac import policy as policy_module
from rommeo_rllib.rommeo_ac.empirical import ROMMEOEMPPolicy
from rommeo_rllib.rommeo_ac.policy import ROMMEOPolicy
from rommeo_rllib.rommeo_ac.resampling import IMPORTANCE_SAMPLING, REPARAMETERISED

BOX = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
DISCRETE = gym.spaces.Discrete(3)
MIXED = gym.spaces.Tuple([gym.spaces.Discrete(3), gym.spaces.Box(-1.0, 1.0, (2,), np.float32)])
ROWS = 12
NETWORKS = ("critic", "policy_network", "opponent_model_network", "opponent_prior_network")


class EncodingPolicy(ROMMEOPolicy):
    def build_encoder(self) -> torch.nn.Module:
        return torch.nn.Linear(self.observation_size, 2)


def make_policy(
    space: gym.Space,
    policy_class: type = ROMMEOPolicy,
    opponents: tuple[gym.Space, ...] | None = None,
) -> ROMMEOPolicy:
    return policy_class(
        observation_space=gym.spaces.Box(0.0, 1.0, (2,), np.float32),
        action_space=space,
        inference_only=False,
        model_config={
            OPPONENTS: Opponents(opponents or (space, space)),
            INIT_KEY: (0, 0),
            "fcnet_hiddens": [8],
            "fcnet_activation": "tanh",
            Q_LAYER_NORM: True,
            INITIAL_ALPHA: 0.7,
        },
    )


def random_actions(space: gym.Space) -> torch.Tensor:
    """Flat actions of one agent, (ROWS, action size)."""
    chosen = torch.eye(3)[torch.randint(3, (ROWS,))]
    if space == MIXED:
        return torch.cat([chosen, torch.rand(ROWS, 2)], -1)
    return torch.rand(ROWS, 1) if space == BOX else chosen


def make_update(policy: ROMMEOPolicy, constant: bool, **training) -> Update:
    torch.manual_seed(0)
    own, *others = (random_actions(policy.action_space) for _ in "abc")
    observations = torch.rand(1, 2).expand(ROWS, 2).clone() if constant else torch.rand(ROWS, 2)
    columns = {
        Columns.OBS: observations,
        Columns.NEXT_OBS: observations,
        Columns.ACTIONS: own,
        Columns.REWARDS: torch.randn(ROWS),
        Columns.TERMINATEDS: torch.zeros(ROWS),
        OPPONENT_ACTIONS: torch.cat(others, -1),
        DISCOUNTS: torch.full((ROWS,), 0.9),
        OPPONENT_MASK: torch.ones(ROWS, 2),
        NEXT_OPPONENT_MASK: torch.ones(ROWS, 2),
    }
    config = ROMMEOACConfig().training(**{"alpha": 0.7, "gamma": 0.9, **training})
    rng = PolicyRng([seeded_generator(1)], stacked=False)
    return Update(policy, [config], columns, 0, rng, stacked=False)


def losses_and_gradients(policy: ROMMEOPolicy, update: Update):
    losses = learner._ROMMEOUpdate(update).losses()
    policy.zero_grad()
    sum(losses.values()).backward()
    gradients = {n: p.grad.clone() for n, p in policy.named_parameters() if p.grad is not None}
    return losses, gradients


@pytest.mark.parametrize("space", [BOX, DISCRETE])
@pytest.mark.parametrize("opponent_model", [REPARAMETERISED, IMPORTANCE_SAMPLING])
def test_equal_observations_are_computed_once_with_the_same_result(
    space, opponent_model, monkeypatch
):
    policy = make_policy(space)
    training = {"opponent_model": opponent_model}
    losses, gradients = losses_and_gradients(policy, make_update(policy, True, **training))
    assert any(name.startswith("opponent_prior_network") for name in gradients)
    monkeypatch.setattr(learner, "_given", lambda observations, make: make(observations))
    # What comes next is taken for another observation, too.
    monkeypatch.setattr(torch, "equal", lambda *tensors: False)
    in_full, gradients_in_full = losses_and_gradients(policy, make_update(policy, True, **training))
    torch.testing.assert_close(losses, in_full)
    torch.testing.assert_close(gradients, gradients_in_full)


def separate_losses(update: Update, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    """Eq. 18 and 19 one after the other, each from a pass of its own with the same noise."""
    own = learner._ROMMEOUpdate(update)
    policy = own.policy
    rho = policy.opponent_model(own.observations)
    proposal = own._propose(rho)
    latent, weights = proposal.latent, proposal.weights
    fraction = own.config.uniform_opponent_fraction
    present, near_weights = own.present, None
    if weights is None:
        rows = ROWS - round(fraction * ROWS)
        uniform = broad_latent(policy.opponent_components, latent[rows:].detach(), own.rng)
        answered = latent[:rows]
        if has_choices(policy.opponent_components):
            probabilities = rho.class_probs()[:rows]
            near, near_weights = neighbours(policy.opponent_components, probabilities, answered)
            answered, present = near.flatten(0, 1), present.repeated(rows, near.shape[1])
        answered = torch.cat([answered, uniform])
        answered_weights = torch.ones(ROWS)
    else:
        rows, answered = ROWS, latent
        answered_weights = (1 - fraction) * weights.detach() + fraction / weights.shape[-1]
    state = generator.get_state()
    with frozen(policy.critic.networks[0]):
        value, _ = own._response_value(present, answered.detach())
        generator.set_state(state)
        with frozen(policy.policy_network):
            model_value, _ = own._response_value(present, answered)
    model_value = learner._of_rows(model_value, near_weights)
    value = learner._of_rows(value, None if near_weights is None else near_weights.detach())
    policy_loss = -(answered_weights * value).sum() / ROWS
    model_value = proposal.expectation(model_value)[:rows].mean()
    kl = own._kl(own.present, rho, own.prior, proposal).mean()
    return policy_loss, own.kl_coeff * kl - model_value


@pytest.mark.parametrize("space", [BOX, DISCRETE, MIXED])
@pytest.mark.parametrize("fraction", [0.0, 0.3])
@pytest.mark.parametrize("kl_coeff", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("all_act", [True, False])
def test_policy_and_opponent_model_share_a_pass_and_get_their_own_losses_gradients(
    space, fraction, kl_coeff, all_act
):
    policy = make_policy(space)
    training = {"uniform_opponent_fraction": fraction, "kl_coeff": kl_coeff}

    def update_for(generator: torch.Generator) -> Update:
        update = make_update(policy, False, **training)
        if not all_act:
            update.columns[OPPONENT_MASK][::2, 0] = 0.0
            update.columns[OPPONENT_MASK][::3, 1] = 0.0
        return replace(update, rng=PolicyRng([generator], stacked=False))

    losses, gradients = losses_and_gradients(policy, update_for(seeded_generator(1)))
    generator = seeded_generator(1)
    update = update_for(generator)
    policy_loss, model_loss = separate_losses(update, generator)
    torch.testing.assert_close(losses["policy_loss"], policy_loss)
    torch.testing.assert_close(losses["opponent_model_loss"], model_loss)
    for network, loss in (("policy_network", policy_loss), ("opponent_model_network", model_loss)):
        named = dict(getattr(policy, network).named_parameters())
        for name, wanted in zip(
            named, torch.autograd.grad(loss, list(named.values())), strict=True
        ):
            torch.testing.assert_close(gradients[f"{network}.{name}"], wanted)


def choosing_policy(
    own: gym.Space, counted: bool, monkeypatch, policy_class: type = ROMMEOPolicy
) -> ROMMEOPolicy:
    """A policy beside two opponents with 2 and 4 options, whose models of them are uniform."""
    monkeypatch.setattr(policy_module, "MAX_ENUMERATED_ACTIONS", 64 if counted else 1)
    monkeypatch.setattr(critic_module, "MAX_ENUMERATED_ACTIONS", 64 if counted else 1)
    options = (gym.spaces.Discrete(2), gym.spaces.Discrete(4))
    policy = make_policy(own, policy_class, options)
    for network in (policy.opponent_model_network, policy.policy_network):
        if network is policy.opponent_model_network or isinstance(own, gym.spaces.MultiDiscrete):
            torch.nn.init.zeros_(network[-1].weight)
            torch.nn.init.zeros_(network[-1].bias)
    return policy


JOINT = list(product(range(2), range(4)))


def choosing_update(policy: ROMMEOPolicy, mask, **training) -> Update:
    """A row for each joint action of two choices among 2 and 4."""
    rows, generator = len(JOINT), torch.Generator().manual_seed(2)
    observations = torch.rand(1, 2, generator=generator).expand(rows, 2)
    others = torch.tensor([[*np.eye(2)[one], *np.eye(4)[other]] for one, other in JOINT]).float()
    columns = {
        Columns.OBS: observations,
        Columns.NEXT_OBS: observations + 0.1,
        Columns.ACTIONS: torch.zeros(rows, policy.own_action_size).index_fill(
            1, torch.tensor([0]), 1.0
        ),
        Columns.REWARDS: torch.zeros(rows),
        Columns.TERMINATEDS: torch.zeros(rows),
        OPPONENT_ACTIONS: others,
        DISCOUNTS: torch.full((rows,), 0.9),
        OPPONENT_MASK: torch.tensor([mask]).expand(rows, 2),
        NEXT_OPPONENT_MASK: torch.tensor([mask]).expand(rows, 2),
    }
    config = ROMMEOACConfig().training(
        alpha=0.7, kl_coeff=0.5, gamma=0.9, uniform_opponent_fraction=0.0, **training
    )
    rng = PolicyRng([seeded_generator(1)], stacked=False)
    return Update(policy, [config], columns, 0, rng, stacked=False)


@pytest.fixture
def each_joint_action_is_drawn_once(monkeypatch):
    """What uniform distributions over choices among 2 and 4 draw in all rows, taken together."""
    drawn = ProductDistribution.rsample_and_log_prob

    def every(distribution, rng):
        sample, log_prob = drawn(distribution, rng)
        if [c.size for c in distribution.components] != [2, 4]:
            return sample, log_prob
        joint = torch.tensor([[*np.eye(2)[one], *np.eye(4)[other]] for one, other in JOINT])
        return joint.float().expand_as(sample), log_prob

    monkeypatch.setattr(ProductDistribution, "rsample_and_log_prob", every)


@pytest.mark.parametrize("policy_class", [ROMMEOPolicy, ROMMEOEMPPolicy])
@pytest.mark.parametrize("mask", [(1.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_choices_that_are_too_many_to_count_are_learned_without_bias(
    mask, policy_class, monkeypatch, each_joint_action_is_drawn_once
):
    found = []
    for counted in (False, True):
        policy = choosing_policy(DISCRETE, counted, monkeypatch, policy_class)
        assert (policy.all_opponent_actions is not None) == counted
        update = choosing_update(policy, mask)
        losses, gradients = losses_and_gradients(policy, update)
        value = learner._ROMMEOUpdate(update)._next_value().mean()
        # Q's loss is not linear in what was drawn.
        del losses["q_loss"]
        gradients = {n: g for n, g in gradients.items() if not n.startswith("critic")}
        found.append((losses, gradients, value))
    # The ablation's is fitted to the replay, where all joint actions are as frequent.
    learns = any(mask) and policy_class.LEARNS_OPPONENT_MODEL
    assert found[1][1]["opponent_model_network.2.bias"].any() == learns
    torch.testing.assert_close(*found)


def test_own_choices_that_are_too_many_to_count_are_learned_without_bias(
    monkeypatch, each_joint_action_is_drawn_once
):
    space = gym.spaces.MultiDiscrete([2, 4])
    policy = choosing_policy(space, False, monkeypatch)
    assert not policy.critic.enumerates_own_actions
    update = choosing_update(policy, (1.0, 1.0))
    own = learner._ROMMEOUpdate(update)
    opponents = update.columns[OPPONENT_ACTIONS][:1].expand(len(JOINT), -1)
    distribution = policy.policy(own.observations, opponents)
    value, entropy = soft_value(update, distribution, own.observations, opponents, own.alpha)
    every = update.columns[OPPONENT_ACTIONS]  # They are the same.
    one = policy.policy(own.observations[:1], opponents[:1])
    q = policy.critic(own.observations, every, opponents)
    log_probs = one.class_log_probs(every).squeeze(0)
    expected = (log_probs.exp() * (q - 0.7 * log_probs)).sum()
    torch.testing.assert_close(value.mean(), expected)
    torch.testing.assert_close(entropy, torch.full_like(value, float(np.log(8))))
    parameters = list(policy.policy_network.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(value.mean(), parameters), torch.autograd.grad(expected, parameters)
    )


def test_the_policy_learns_random_answers_beside_those_to_choices(monkeypatch):
    # Where all rows are to be random, one is left to the opponent model.
    policy = choosing_policy(DISCRETE, False, monkeypatch)
    update = choosing_update(policy, (1.0, 1.0))
    update.configs[0].training(uniform_opponent_fraction=1.0)
    answered = []
    respond = learner._ROMMEOUpdate._response_value

    def recording(self, state, latent):
        answered.append(latent)
        return respond(self, state, latent)

    monkeypatch.setattr(learner._ROMMEOUpdate, "_response_value", recording)
    _, gradients = losses_and_gradients(policy, update)
    # One row with the 1 + 1 + 3 neighbours of its sample, and a random joint action a row.
    assert answered[0].shape[-2] == 5 + len(JOINT) - 1
    assert gradients["opponent_model_network.2.bias"].any()


@pytest.mark.parametrize("space", [BOX, DISCRETE])
@pytest.mark.parametrize("network", ["q", "prior"])
def test_the_losses_of_q_and_of_the_prior_train_their_own_network_only(space, network):
    policy = make_policy(space)
    update = make_update(policy, constant=False)
    learner._ROMMEOUpdate(update).losses()[f"{network}_loss"].backward()
    trained = {
        n for n in NETWORKS if any(p.grad is not None for p in getattr(policy, n).parameters())
    }
    assert trained == {{"q": "critic", "prior": "opponent_prior_network"}[network]}


def test_an_absent_opponents_action_changes_nothing():
    policy = make_policy(BOX)
    found = []
    for action in (0.1, 0.9):
        update = make_update(policy, constant=False)
        for name in (OPPONENT_MASK, NEXT_OPPONENT_MASK, OPPONENT_ACTIONS):
            update.columns[name][:, 1] = 0.0
        # Its distribution may say what it likes: it is masked.
        with torch.no_grad():
            policy.opponent_model_network[-1].bias[0, 2] = action
        found.append(learner._ROMMEOUpdate(update).losses())
    torch.testing.assert_close(found[0], found[1])


def test_an_agent_does_not_answer_opponents_that_do_not_act():
    policy = make_policy(BOX)
    observations = torch.randn(6, policy.observation_size)
    absent, present = torch.zeros(6, 2), torch.ones(6, 2)
    with torch.no_grad():
        alone = policy.act(observations, False, opponent_mask=absent)
        everybody = policy.act(observations, False, opponent_mask=present)
        torch.testing.assert_close(policy.act(observations, False), everybody)
        # Another opponent model makes a difference only to those whom it concerns.
        for parameter in policy.opponent_model_network.parameters():
            parameter.normal_()
        torch.testing.assert_close(policy.act(observations, False, opponent_mask=absent), alone)
        assert (policy.act(observations, False, opponent_mask=present) != everybody).any()


@pytest.mark.parametrize(
    "training", [{}, {"kl_coeff": 0.0}, {"opponent_model": IMPORTANCE_SAMPLING}]
)
@pytest.mark.parametrize("now", [(1.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
@pytest.mark.parametrize("after", [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
@pytest.mark.parametrize("policy_class", [ROMMEOPolicy, EncodingPolicy])
def test_the_next_states_value_counts_the_opponents_that_act_there(
    now, after, training, policy_class
):
    policy = make_policy(DISCRETE, policy_class)
    update = make_update(policy, constant=False, **training)
    columns = update.columns
    columns[Columns.NEXT_OBS] = torch.rand(ROWS, 2)
    columns[OPPONENT_MASK][:] = torch.tensor(now)
    columns[NEXT_OPPONENT_MASK][:] = torch.tensor(after)
    with torch.no_grad():
        if policy.target_encoder is not None:
            policy.target_encoder.weight += 0.5
        found = learner._ROMMEOUpdate(update)._next_value()
    # By hand: both opponents' choices one by one, and what an absent one does is zeros. The target
    # Q-function sees through the target encoder, all other networks through the encoder itself.
    kl_coeff, weight = update.configs[0].kl_coeff, update.configs[0].prior_uniform_weight
    with torch.no_grad():
        observed = policy.encode(columns[Columns.NEXT_OBS])
        target = policy.encode_for_target(columns[Columns.NEXT_OBS])
        rho = policy.opponent_model_network(observed).view(ROWS, 2, 3).softmax(-1)
        prior = policy.opponent_prior_network(observed).view(ROWS, 2, 3).softmax(-1)
        prior = (1.0 - weight) * prior + weight / 3
        expected = torch.zeros(ROWS)
        for first in range(3):
            for second in range(3):
                chosen = torch.eye(3)[[first, second]] * torch.tensor(after).unsqueeze(-1)
                opponents = chosen.flatten().expand(ROWS, -1)
                pi = policy.policy_network(torch.cat([observed, opponents], -1)).softmax(-1)
                q = policy.critic.target_networks[0](torch.cat([target, opponents], -1))
                response = (pi * (q - 0.7 * pi.log())).sum(-1)
                expected += rho[:, 0, first] * rho[:, 1, second] * response
        kl = (rho * (rho / prior).log()).sum(-1)
        expected -= kl_coeff * (kl * torch.tensor(after)).sum(-1)
    torch.testing.assert_close(found, expected)
    # What is learned of the present goes by who acts now.
    losses = learner._ROMMEOUpdate(update).losses()
    columns[NEXT_OPPONENT_MASK][:] = 1.0
    others = learner._ROMMEOUpdate(update).losses()
    for name in losses.keys() - {"q_loss"}:
        torch.testing.assert_close(losses[name], others[name])


@pytest.mark.parametrize("is_alone", [False, True])
def test_the_marginals_metrics_are_of_what_the_agent_does(is_alone):
    policy = make_policy(DISCRETE)
    update = make_update(policy, False)
    if is_alone:
        update.columns[OPPONENT_MASK].zero_()
    with torch.no_grad():
        metrics = learner._ROMMEOUpdate(update).metrics()
        rho = policy.opponent_model(update.columns[Columns.OBS])
        joint, marginal = policy.all_opponent_actions, torch.zeros(ROWS, 3)
        for other in joint:
            weight = rho.log_prob(other.expand(ROWS, -1)).sum(-1, keepdim=True).exp()
            seen = other.expand(ROWS, -1) * (0.0 if is_alone else 1.0)
            answer = policy.policy(update.columns[Columns.OBS], seen)
            marginal += weight * answer.class_log_probs().exp()
    entropy = -(marginal * marginal.log()).sum(-1).mean()
    torch.testing.assert_close(metrics[learner.MARGINAL_ENTROPY], entropy)
    done = (marginal * update.columns[Columns.ACTIONS]).sum(-1)
    torch.testing.assert_close(metrics[learner.MARGINAL_LOG_LIKELIHOOD], done.log().mean())
    # What the others' actions tell of the answer is the difference.
    assert (metrics["policy_entropy"] < entropy - 1e-4) != is_alone


def test_continuous_actions_have_no_marginals_metrics():
    metrics = learner._ROMMEOUpdate(make_update(make_policy(BOX), False)).metrics()
    assert not metrics.keys() & {learner.MARGINAL_ENTROPY, learner.MARGINAL_LOG_LIKELIHOOD}


def test_penalties_are_added_to_the_losses_of_their_own_networks():
    policy = make_policy(BOX)
    plain = learner._ROMMEOUpdate(make_update(policy, False, alpha=1.0)).losses()
    update = make_update(policy, False, alpha=1.0, gaussian_l2=0.5, prior_gaussian_l2=2.0)
    own = learner._ROMMEOUpdate(update)
    losses = own.losses()
    parameters = policy.opponent_model_network(own.observations).view(ROWS, 2, 2)
    penalty = 0.5 * 0.5 * (parameters.square().mean((0, 1)).sum())
    difference = losses["opponent_model_loss"] - plain["opponent_model_loss"]
    torch.testing.assert_close(difference, penalty, atol=1e-4, rtol=1e-4)
    parameters = policy.opponent_prior_network(own.observations).view(ROWS, 2, 2)
    penalty = 2.0 * 0.5 * (parameters.square().mean((0, 1)).sum())
    difference = losses["prior_loss"] - plain["prior_loss"]
    torch.testing.assert_close(difference, penalty, atol=1e-4, rtol=1e-4)
    assert losses["policy_loss"] > plain["policy_loss"]
    torch.testing.assert_close(losses["q_loss"], plain["q_loss"])


@pytest.mark.parametrize("name", ["gaussian_l2", "prior_gaussian_l2"])
def test_a_penalty_on_gaussians_is_refused_where_all_actions_are_discrete(name):
    config = ROMMEOACConfig().training(**{name: 0.1})
    learner.refuse_penalties_of_choices(make_policy(BOX), config)
    with pytest.raises(ValueError, match=rf"`{name}` is 0.1; allowed: 0 where .* discrete"):
        learner.refuse_penalties_of_choices(make_policy(DISCRETE), config)


@pytest.mark.parametrize(("env_steps", "missing"), [(0, 1.0), (128, 0.75), (512, 0.0), (600, 0.0)])
def test_a_padded_window_counts_zeros_for_the_plays_that_are_missing(env_steps, missing):
    policy = make_policy(BOX)
    training = {"prior_window": 512}
    plain = learner._ROMMEOUpdate(make_update(policy, False, **training)).losses()["prior_loss"]
    padded = replace(
        make_update(policy, False, pad_prior_window=True, **training), env_steps=env_steps
    )
    found = learner._ROMMEOUpdate(padded).losses()["prior_loss"]
    nothing = policy.opponent_prior(torch.zeros(1, 2)).log_prob(torch.zeros(1, 2)).sum()
    torch.testing.assert_close(found, (1 - missing) * plain - missing * nothing)


def test_the_marginal_policys_mean_is_over_what_the_opponent_model_samples():
    policy = make_policy(BOX)
    with torch.no_grad():
        # The policy repeats the first opponent's action; the model of it is broad, its mode 0.
        for parameter in (
            *policy.policy_network.parameters(),
            *policy.opponent_model_network[-1].parameters(),
        ):
            parameter.zero_()
        policy.policy_network = torch.nn.Linear(4, 2, bias=False)
        policy.policy_network.weight.copy_(torch.tensor([[0.0, 0, 1, 0], [0, 0, 0, 0]]))
        policy.opponent_model_network[-1].bias[0, 0] = 1.0
        update = make_update(policy, constant=False)
        own = learner._ROMMEOUpdate(update)
        generator = seeded_generator(1)
        first = own.opponent_model.rsample(PolicyRng([generator], stacked=False)).tanh()[:, 0]
        metrics = learner._ROMMEOUpdate(update).metrics()
    torch.testing.assert_close(metrics["policy_mean_0"], torch.tensor(1.0).tanh().tanh())
    torch.testing.assert_close(metrics["marginal_policy_mean_0"], first.tanh().mean())
