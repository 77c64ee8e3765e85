"""The losses of ROMMEO-AC's rivals on whole networks."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns

from rommeo_rllib.baselines.deterministic import INITIAL_NOISE, DeterministicPolicy
from rommeo_rllib.baselines.maddpg import DDPGLearner, DDPGOMLearner, MADDPGLearner
from rommeo_rllib.baselines.masac import MASACLearner
from rommeo_rllib.baselines.masql import MASQLLearner
from rommeo_rllib.baselines.pr2_ac import PR2ACLearner
from rommeo_rllib.distributions import MAX_LOG_STD, MIN_STD
from rommeo_rllib.joint_action.modules.central import OpponentPolicies
from rommeo_rllib.joint_action.modules.critic import Q_LAYER_NORM, TWIN_Q
from rommeo_rllib.joint_action.modules.policy import INIT_KEY, OPPONENTS
from rommeo_rllib.joint_action.modules.stacking import group_policies
from rommeo_rllib.joint_action.replay.columns import (
    DISCOUNTS,
    OPPONENT_ACTIONS,
    RECENT,
    opponent_column,
)
from rommeo_rllib.joint_action.spaces.agents import Opponents
from rommeo_rllib.joint_action.spaces.opponent_mask import NEXT_OPPONENT_MASK, OPPONENT_MASK
from rommeo_rllib.joint_action.stochastic import INITIAL_ALPHA
from rommeo_rllib.joint_action.update import Update
from rommeo_rllib.registration import ALGORITHMS
from rommeo_rllib.rng import PolicyRng, seeded_generator

SEEN = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
BOX = gym.spaces.Box(-2.0, 3.0, (1,), np.float32)
NAMES = ("a", "b", "c")
ROWS = 12
LEARNERS = {
    "DDPG": DDPGLearner,
    "DDPG-OM": DDPGOMLearner,
    "MADDPG": MADDPGLearner,
    "PR2-AC": PR2ACLearner,
    "MASQL": MASQLLearner,
    "MASAC": MASACLearner,
}
NETWORK_OF = {
    "q_loss": "critic.networks",
    "policy_loss": "policy_network",
    "opponent_model_loss": "opponent_model_network",
}


SECOND_OPPONENTS_MEAN = {"DDPG-OM": 1, "PR2-AC": 2}
"""Which output of the opponent model it is."""


def make_policy(algorithm: str, number: int = 0, width: int = 8, encodes: bool = False) -> Any:
    spec = ALGORITHMS[algorithm].get_default_config().get_default_rl_module_spec()
    others = tuple(name for index, name in enumerate(NAMES) if index != number)
    policy_class = spec.module_class
    if encodes:
        methods = {"build_encoder": lambda self: torch.nn.Linear(2, 2)}
        policy_class = type("Encoding", (policy_class,), methods)
    return policy_class(
        observation_space=SEEN,
        action_space=BOX,
        inference_only=False,
        model_config={
            OPPONENTS: Opponents((BOX, BOX), (SEEN, SEEN), others),
            INIT_KEY: (0, number),
            "fcnet_hiddens": [width],
            "fcnet_activation": "tanh",
            Q_LAYER_NORM: True,
            INITIAL_NOISE: 0.1,
            INITIAL_ALPHA: 0.7,
            TWIN_Q: ALGORITHMS[algorithm].get_default_config().twin_q,
        },
    )


def make_update(algorithm: str, policy: Any, opponents: Any = None, **training: Any) -> Update:
    torch.manual_seed(0)
    columns = {
        Columns.OBS: torch.rand(ROWS, 2),
        Columns.NEXT_OBS: torch.rand(ROWS, 2),
        Columns.ACTIONS: 2.0 * torch.rand(ROWS, 1) - 1.0,
        Columns.REWARDS: torch.randn(ROWS),
        Columns.TERMINATEDS: (torch.rand(ROWS) < 0.5).float(),
        OPPONENT_ACTIONS: 2.0 * torch.rand(ROWS, 2) - 1.0,
        DISCOUNTS: torch.full((ROWS,), 0.9),
        OPPONENT_MASK: torch.ones(ROWS, 2),
        NEXT_OPPONENT_MASK: torch.ones(ROWS, 2),
    }
    columns |= {
        RECENT + name: columns[name] for name in (Columns.OBS, OPPONENT_ACTIONS, OPPONENT_MASK)
    }
    for number in range(2):
        for name in (Columns.OBS, Columns.NEXT_OBS):
            columns[opponent_column(name, number)] = torch.rand(ROWS, 2)
    config = ALGORITHMS[algorithm].get_default_config().training(gamma=0.9, **training)
    rng = PolicyRng([seeded_generator(1)], stacked=False)
    return Update(policy, [config], columns, 0, rng, False, opponents)


def losses_of(algorithm: str, policy: Any, update: Update) -> dict[str, torch.Tensor]:
    # Learners keep nothing that losses depend on.
    learner = object.__new__(LEARNERS[algorithm])
    return learner.losses(update)


def asked(policies: dict[str, Any], asker: str = "a") -> OpponentPolicies:
    routes = {asker: [name for name in NAMES if name != asker]}
    return OpponentPolicies(routes, group_policies(policies), stacked=False)


def central(algorithm: str, encodes: bool = False) -> tuple[dict[str, Any], OpponentPolicies]:
    policies = {
        name: make_policy(algorithm, number, encodes=encodes) for number, name in enumerate(NAMES)
    }
    return policies, asked(policies)


@pytest.mark.parametrize(
    ("algorithm", "loss"),
    [(algorithm, loss) for algorithm in LEARNERS for loss in ("q_loss", "policy_loss")]
    + [(algorithm, "opponent_model_loss") for algorithm in ("DDPG-OM", "PR2-AC")],
)
def test_each_loss_trains_its_own_network_only(algorithm, loss):
    policies, opponents = central(algorithm)
    update = make_update(algorithm, policies["a"], opponents)
    losses_of(algorithm, policies["a"], update)[loss].backward()
    trained = {
        (name, network)
        for name, policy in policies.items()
        for network in (*NETWORK_OF.values(), "critic.target_networks", "target_policy_network")
        if network in dict(policy.named_modules())
        and any(p.grad is not None for p in policy.get_submodule(network).parameters())
    }
    assert trained == {("a", NETWORK_OF[loss])}


def test_maddpgs_target_is_made_of_all_target_policies_at_what_these_observe():
    policies, opponents = central("MADDPG")
    policy: DeterministicPolicy = policies["a"]
    with torch.no_grad():
        for other in policies.values():
            for parameter in other.target_policy_network.parameters():
                parameter += 0.3 * torch.randn_like(parameter)
    update = make_update("MADDPG", policy, opponents)
    columns = update.columns
    observed = [columns[opponent_column(Columns.NEXT_OBS, number)] for number in range(2)]
    now = [columns[opponent_column(Columns.OBS, number)] for number in range(2)]
    with torch.no_grad():
        others = [
            policies[name].target_policy_network(seen).tanh()
            for name, seen in zip("bc", observed, strict=True)
        ]
        own = policy.target_policy_network(columns[Columns.NEXT_OBS]).tanh()
        inputs = torch.cat([columns[Columns.NEXT_OBS], *observed, own, *others], -1)
        value = policy.critic.target_networks[0](inputs).squeeze(-1)
        target = columns[Columns.REWARDS] + 0.9 * (1.0 - columns[Columns.TERMINATEDS]) * value
        inputs = torch.cat(
            [columns[Columns.OBS], *now, columns[Columns.ACTIONS], columns[OPPONENT_ACTIONS]], -1
        )
        expected = 0.5 * (policy.critic.networks[0](inputs).squeeze(-1) - target).square().mean()
    found = losses_of("MADDPG", policy, update)["q_loss"]
    torch.testing.assert_close(found.detach(), expected)


@pytest.mark.parametrize("widths", [(8, 8, 8), (8, 8, 6), (8, 6, 4)])
def test_each_opponents_own_policy_answers_alone_and_stacked(widths):
    policies = {
        name: make_policy("MADDPG", number, width)
        for (number, name), width in zip(enumerate(NAMES), widths, strict=True)
    }
    groups = group_policies(policies)
    for group in groups:
        routes = {one: [name for name in NAMES if name != one] for one in group.ids}
        seen = [torch.rand(len(group), ROWS, 2) for _ in range(2)]
        door = OpponentPolicies(routes, groups, group.stacked)
        with torch.no_grad():
            answers = door.answers(
                seen if group.stacked else [one[0] for one in seen],
                lambda policy, observed: policy.mu(policy.encode(observed)),
            )
            for index, one in enumerate(group.ids):
                expected = [
                    policies[name].mu(seen[slot][index]) for slot, name in enumerate(routes[one])
                ]
                found = answers[index] if group.stacked else answers
                torch.testing.assert_close(found, torch.cat(expected, -1))


def test_an_opponent_of_another_kind_is_named():
    policies = {"a": make_policy("MADDPG")}
    with pytest.raises(ValueError, match="'a' is trained centrally, but its opponent's policy 'b'"):
        asked(policies)


@pytest.mark.parametrize("algorithm", ["MADDPG", "DDPG-OM", "PR2-AC", "MASQL", "MASAC"])
def test_an_absent_opponents_action_changes_nothing(algorithm):
    policies, opponents = central(algorithm)
    found = []
    for number in (0.0, 1.0):
        update = make_update(algorithm, policies["a"], opponents)
        for prefix in ("", RECENT):
            update.columns[prefix + OPPONENT_MASK][:, 1] = 0.0
            update.columns[prefix + OPPONENT_ACTIONS][:, 1] = 0.0
        update.columns[NEXT_OPPONENT_MASK][:, 1] = 0.0
        for name in (Columns.OBS, Columns.NEXT_OBS):
            update.columns[opponent_column(name, 1)][:] = number
        if algorithm in SECOND_OPPONENTS_MEAN:
            bias = policies["a"].opponent_model_network[-1].bias
            bias.data[0, SECOND_OPPONENTS_MEAN[algorithm]] = number
        losses = losses_of(algorithm, policies["a"], update)
        found.append({name: loss.detach() for name, loss in losses.items()})
    torch.testing.assert_close(found[0], found[1])


def test_the_gradient_of_pr2s_policy_goes_through_the_opponents_answer():
    policy = make_policy("PR2-AC")
    update = make_update("PR2-AC", policy, saturation_penalty=0.0)
    losses_of("PR2-AC", policy, update)["policy_loss"].backward()
    through = policy.policy_network[-1].bias.grad.clone()
    policy.zero_grad()
    with torch.no_grad():
        # An answer that does not depend on the action.
        policy.opponent_model_network[0].weight[2:] = 0.0
    update = make_update("PR2-AC", policy, saturation_penalty=0.0)
    losses_of("PR2-AC", policy, update)["policy_loss"].backward()
    assert not torch.allclose(through, policy.policy_network[-1].bias.grad)


def test_the_saturation_penalty_pulls_a_saturated_policy_back():
    policy = make_policy("DDPG")
    with torch.no_grad():
        policy.policy_network[-1].bias += 30.0
    gradients = []
    for weight in (0.0, 1e-3):
        policy.zero_grad()
        update = make_update("DDPG", policy, saturation_penalty=weight)
        losses_of("DDPG", policy, update)["policy_loss"].backward()
        gradients.append(policy.policy_network[-1].bias.grad.item())
    assert gradients[0] == pytest.approx(0.0, abs=1e-9)
    assert gradients[1] > 0.01


def test_noise_is_of_the_policys_own_scale_and_keeps_actions_within_bounds():
    policies = {name: make_policy("DDPG", number) for number, name in enumerate("ab")}
    (group,) = group_policies(policies)
    group.policy.noise_scale.data.copy_(torch.tensor([0.0, 5.0]))
    observations = torch.rand(2, 200, 2)
    rng = PolicyRng([seeded_generator(n) for n in range(2)], stacked=True)
    with torch.no_grad():
        actions = group.policy.act(observations, True, rng)
        greedy = group.policy.act(observations, False, rng)
    torch.testing.assert_close(actions[0], greedy[0])
    assert actions[1].abs().max() == 1.0
    assert actions[1].std() > 0.5
    assert policies["b"].noise_scale.item() == 5.0


def next_value_by_hand(
    algorithm: str, policies: dict[str, Any], update: Update, after: torch.Tensor
) -> torch.Tensor:
    """V of the next state, (ROWS,); `after` says who acts there, (2,)."""
    policy, columns = policies["a"], update.columns
    observed = columns[Columns.NEXT_OBS]
    # Target networks see through the target encoder, all others through the encoder itself.
    target = policy.encode_for_target(observed)
    noise = seeded_generator(1)
    if algorithm == "MASQL":
        particles = update.configs[0].value_particles
        uniform = 2.0 * torch.empty(ROWS, particles, 3).uniform_(generator=noise) - 1.0
        joint = uniform * torch.cat([torch.ones(1), after])
        inputs = torch.cat([target.unsqueeze(1).expand(-1, particles, -1), joint], -1)
        q, alpha = (
            policy.critic.target_networks[0](inputs).squeeze(-1),
            update.scheduled_for_rows("alpha"),
        )
        return alpha * ((q / alpha).logsumexp(-1) - np.log(particles) + 3 * np.log(2.0))
    if algorithm == "MASAC":
        seen = [columns[opponent_column(Columns.NEXT_OBS, number)] for number in range(2)]
        parts = [
            policies[name].policy_network(policies[name].encode(one)).unbind(-1)
            for name, one in zip("bc", seen, strict=True)
        ]
        # Means and logarithms of standard deviations, of each opponent and of the agent itself.
        means, stds = (torch.stack(one, -1) for one in zip(*parts, strict=True))
        stds = stds.clamp(max=MAX_LOG_STD).exp() + MIN_STD
        drawn = PolicyRng([noise], stacked=False)
        latents = means + stds * drawn.normal_like(means)
        own = policy.policy(policy.encode(observed))
        latent, log_prob = own.rsample_and_log_prob(drawn)
        state = [target, *(one * there for one, there in zip(seen, after, strict=True))]
        inputs = torch.cat([*state, latent.tanh(), latents.tanh() * after], -1)
        values = [network(inputs).squeeze(-1) for network in policy.critic.target_networks]
        return torch.minimum(*values) - 0.7 * log_prob.squeeze(-1)
    entropy: Any = 0.0
    if algorithm == "DDPG-OM":
        others = policy.opponent_model_network(policy.encode(observed)).tanh() * after
        own = policy.target_policy_network(torch.cat([target, others], -1)).tanh()
    else:
        own = policy.target_policy_network(target).tanh()
    state = [target]
    if algorithm == "MADDPG":
        seen = [columns[opponent_column(Columns.NEXT_OBS, number)] for number in range(2)]
        answers = [
            policies[name].target_policy_network(policies[name].encode_for_target(one)).tanh()
            for name, one in zip("bc", seen, strict=True)
        ]
        others = torch.cat(answers, -1) * after
        state += [one * present for one, present in zip(seen, after, strict=True)]
    elif algorithm == "PR2-AC":
        response = policy.opponent_model(policy.encode(observed), own)
        latent = response.rsample(PolicyRng([noise], stacked=False))
        others = latent.tanh() * after
        entropy = update.scheduled_for_rows("alpha") * (response.log_prob(latent) * after).sum(-1)
    elif algorithm == "DDPG":
        others = observed[:, :0]
    return (
        policy.critic.target_networks[0](torch.cat([*state, own, others], -1)).squeeze(-1) - entropy
    )


@pytest.mark.parametrize("now", [(1.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
@pytest.mark.parametrize("after", [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
@pytest.mark.parametrize("encodes", [False, True])
@pytest.mark.parametrize("algorithm", LEARNERS)
def test_the_next_states_value_counts_the_opponents_that_act_there(algorithm, encodes, now, after):
    policies, opponents = central(algorithm, encodes)
    update = make_update(algorithm, policies["a"], opponents)
    update.columns[OPPONENT_MASK][:] = torch.tensor(now)
    update.columns[NEXT_OPPONENT_MASK][:] = torch.tensor(after)
    with torch.no_grad():
        for policy in policies.values():
            for name, parameter in policy.named_parameters():
                if "target" in name:
                    parameter += 0.1 * torch.randn_like(parameter)
        found = object.__new__(LEARNERS[algorithm])._next_value(update)
        expected = next_value_by_hand(algorithm, policies, update, torch.tensor(after))
    torch.testing.assert_close(found, expected)
