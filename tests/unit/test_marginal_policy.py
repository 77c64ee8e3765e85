"""Agents act by the marginal policy sum_o rho(o | s) pi(a | s, o) (Algorithm 1)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
import tree
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from ray.rllib.core.columns import Columns
from torch import Tensor

from rommeo_rllib.components import all_actions, num_parameters, squash
from rommeo_rllib.deployment.export import GreedyActor, export_program
from rommeo_rllib.deployment.player import Player
from rommeo_rllib.distributions import ChoiceMixture
from rommeo_rllib.joint_action.modules.critic import Q_LAYER_NORM
from rommeo_rllib.joint_action.modules.policy import INIT_KEY, OPPONENTS
from rommeo_rllib.joint_action.modules.stacking import PolicyGroup
from rommeo_rllib.joint_action.spaces.agents import Opponents
from rommeo_rllib.joint_action.spaces.encoding import (
    action_components,
    decode_actions,
    decode_nested_actions,
)
from rommeo_rllib.joint_action.spaces.opponent_mask import OPPONENT_MASK
from rommeo_rllib.joint_action.spaces.packing import pack
from rommeo_rllib.joint_action.stochastic import INITIAL_ALPHA
from rommeo_rllib.rng import GLOBAL_RNG, PolicyRng, Rng, seeded_generator
from rommeo_rllib.rommeo_ac.empirical import ROMMEOEMPPolicy
from rommeo_rllib.rommeo_ac.policy import ROMMEOPolicy

SEEN = Box(-1.0, 1.0, (3,), np.float32)
ROWS = 6
OBSERVED = torch.linspace(-1.0, 1.0, 3 * ROWS).view(ROWS, 3)
CHOICES: dict[str, Space] = {
    "choice": Discrete(4),
    "single choice": Discrete(1),
    "choice from 5 on": Discrete(3, start=5),
    "choices": MultiDiscrete([3, 2]),
    "bits": MultiBinary(3),
    "nested": Tuple((MultiBinary(2), Dict({"x": Discrete(2), "y": Discrete(3, start=-1)}))),
}
MANY = MultiBinary(7)
OTHERS: dict[str, tuple[Space, ...]] = {
    "one": (Discrete(3),),
    "two": (Discrete(3), MultiDiscrete([2, 2], start=[1, 0])),
}
MASKS = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def make_policy(
    space: Space,
    opponents: tuple[Space, ...] = OTHERS["one"],
    policy_class: type[ROMMEOPolicy] = ROMMEOPolicy,
    seed: int = 0,
    **more: Any,
) -> ROMMEOPolicy:
    """Its opponent model and its answers differ much between actions."""
    policy = policy_class(
        observation_space=SEEN,
        action_space=space,
        inference_only=False,
        model_config={
            OPPONENTS: Opponents(opponents),
            INIT_KEY: (0, seed),
            "fcnet_hiddens": [8],
            "fcnet_activation": "tanh",
            Q_LAYER_NORM: True,
            INITIAL_ALPHA: 1.0,
            **more,
        },
    )
    with torch.no_grad():
        for parameter in policy.policy_network.parameters():
            parameter *= 4.0
    return policy


def with_table(space: Space, rho: list[float], answers: list[list[float]]) -> ROMMEOPolicy:
    """Whatever it observes, it expects the other's actions and answers each by probabilities."""
    policy = make_policy(space, (Discrete(len(rho)),), fcnet_hiddens=[])
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.zero_()
        policy.opponent_model_network[-1].bias.copy_(torch.tensor([rho]).log())
        policy.policy_network[-1].weight[3:].copy_(torch.tensor(answers).log())
    return policy


def listed(space: Space) -> Tensor:
    found = all_actions(action_components(space, "A policy"), 1000)
    assert found is not None
    return found


def marginal(policy: ROMMEOPolicy, mask: Tensor | None = None) -> Tensor:
    """Of each row and own joint action the log-probability, by brute force."""
    own = listed(policy.action_space)
    parts = [listed(space) for space in policy.opponents.action_spaces]
    rho = policy.opponent_model(OBSERVED)
    total = torch.zeros(ROWS, len(own), dtype=torch.float64)
    for joint in itertools.product(*parts):
        opponents = torch.cat(joint).expand(ROWS, -1)
        weight = rho.log_prob(opponents).sum(-1).double().exp()
        if mask is not None:
            sizes = [part.shape[-1] for part in parts]
            present = [mask[:, i : i + 1].expand(-1, size) for i, size in enumerate(sizes)]
            opponents = opponents * torch.cat(present, dim=-1)
        pi = policy.policy(OBSERVED, opponents)
        for index, action in enumerate(own):
            total[:, index] += weight * pi.log_prob(action.expand(ROWS, -1)).sum(-1).double().exp()
    return total.log().float()


def log_probs(distribution: Any, space: Space) -> Tensor:
    """Of each row and joint action of `space`, by RLlib's distribution."""
    found = []
    for action in listed(space):
        nested = decode_nested_actions(space, action.expand(ROWS, -1))
        found.append(distribution.logp(nested))
    return torch.stack(found, dim=-1)


@torch.no_grad()
def told(policy: ROMMEOPolicy, explore: bool, mask: Tensor | None) -> tuple[Any, Any]:
    """Its actions, and the distribution that a program written for RLlib makes of what it says."""
    batch = {Columns.OBS: OBSERVED} | ({} if mask is None else {OPPONENT_MASK: mask})
    out = policy.forward_exploration(batch) if explore else policy.forward_inference(batch)
    made_by = policy.get_inference_action_dist_cls()
    inputs = out[Columns.ACTION_DIST_INPUTS]
    assert inputs.shape == (ROWS, made_by.required_input_dim(policy.action_space))
    return out[Columns.ACTIONS], made_by.from_logits(inputs)


def assert_same(found: Any, expected: Any) -> None:
    tree.map_structure(
        lambda one, other: torch.testing.assert_close(one, other, rtol=0, atol=0), found, expected
    )


def mode_of_the_mode(policy: ROMMEOPolicy) -> Tensor:
    opponents = squash(policy.opponent_components, policy.opponent_model(OBSERVED).mode())
    return squash(policy.own_components, policy.policy(OBSERVED, opponents).mode())


@pytest.mark.parametrize(
    ("name", "others", "is_masked", "policy_class"),
    [
        *((name, "two", True, ROMMEOPolicy) for name in CHOICES),
        *((name, "one", False, ROMMEOPolicy) for name in CHOICES),
        ("choices", "two", True, ROMMEOEMPPolicy),
    ],
)
def test_a_greedy_action_is_the_marginals_likeliest_and_told_is_the_marginal(
    name, others, is_masked, policy_class
):
    space = CHOICES[name]
    policy = make_policy(space, OTHERS[others], policy_class)
    mask = MASKS if is_masked else None
    with torch.no_grad():
        expected = marginal(policy, mask)
        chosen = policy.act(OBSERVED, False, GLOBAL_RNG, mask)
    torch.testing.assert_close(chosen, listed(space)[expected.argmax(-1)])
    for explore in (False, True):
        actions, distribution = told(policy, explore, mask)
        torch.testing.assert_close(log_probs(distribution, space), expected, rtol=1e-4, atol=1e-4)
        entropy = -(expected.exp() * expected).sum(-1)
        torch.testing.assert_close(distribution.entropy(), entropy, rtol=1e-4, atol=1e-4)
        if not explore:
            assert_same(distribution.to_deterministic().sample(), actions)


def test_the_likeliest_action_need_not_answer_the_likeliest_of_the_others():
    policy = with_table(
        Discrete(3), [0.4, 0.3, 0.3], [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1]]
    )
    assert mode_of_the_mode(policy)[0].tolist() == [1.0, 0.0, 0.0]
    assert policy.act(OBSERVED, explore=False)[0].tolist() == [0.0, 1.0, 0.0]


def test_choices_that_belong_together_are_made_together():
    # (1, 1) has .32; each choice by itself would be (1, 0), the answer to the likeliest (0, 0).
    sure, never = 0.9999, 0.0001
    answers = [[sure, never, 0.7, 0.3], [never, sure, never, sure], [never, sure, sure, never]]
    policy = with_table(MultiDiscrete([2, 2]), [0.4, 0.32, 0.28], answers)
    assert mode_of_the_mode(policy)[0].tolist() == [1.0, 0.0, 1.0, 0.0]
    assert policy.act(OBSERVED, explore=False)[0].tolist() == [0.0, 1.0, 0.0, 1.0]


def test_who_is_absent_has_no_say():
    policy = with_table(Discrete(2), [0.9, 0.1], [[0.99, 0.01], [0.01, 0.99]])
    with torch.no_grad():
        policy.policy_network[-1].bias[0, 1] = 1.0
    present = policy.act(OBSERVED, False, GLOBAL_RNG, torch.ones(ROWS, 1))
    absent = policy.act(OBSERVED, False, GLOBAL_RNG, torch.zeros(ROWS, 1))
    assert (present[0].tolist(), absent[0].tolist()) == ([1.0, 0.0], [0.0, 1.0])


def test_of_too_many_choices_the_likeliest_is_no_less_likely_than_any_answer_or_each_by_itself():
    policy = make_policy(MANY, OTHERS["two"])
    with torch.no_grad():
        expected = marginal(policy).exp()
        chosen = policy.act(OBSERVED, explore=False)
    own = listed(MANY)
    # The listed action that has most ones in common is the very one.
    found = expected.gather(-1, (chosen @ own.mT).argmax(-1, keepdim=True))
    by_itself = (expected.unsqueeze(-1) * own).sum(1).unflatten(-1, (7, 2)).argmax(-1)
    together = torch.nn.functional.one_hot(by_itself, 2).flatten(1).float()
    assert (found >= expected.gather(-1, (together @ own.mT).argmax(-1, keepdim=True)) - 1e-6).all()
    for joint in policy.all_opponent_actions:
        answer = policy.policy(OBSERVED, joint.expand(ROWS, -1)).mode()
        place = (answer @ own.mT).argmax(-1, keepdim=True)
        assert (found >= expected.gather(-1, place) - 1e-6).all()
    actions, distribution = told(policy, False, None)
    torch.testing.assert_close(actions, decode_actions(MANY, chosen).to(actions))
    assert_same(distribution.to_deterministic().sample(), actions)
    torch.testing.assert_close(log_probs(distribution, MANY), expected.log(), rtol=1e-4, atol=1e-4)
    with pytest.raises(TypeError, match="too many joint choices"):
        distribution.entropy()


def test_each_choice_by_itself_wins_where_no_single_answer_is_likely():
    # Each of 7 answers flips one bit of the likeliest.
    likely, flipped = [0.9, 0.1], [0.4, 0.6]
    answers = [[p for bit in range(7) for p in (flipped if bit == i else likely)] for i in range(7)]
    policy = with_table(MANY, [1 / 7] * 7, answers)
    assert decode_actions(MANY, policy.act(OBSERVED, explore=False))[0].tolist() == [0] * 7
    assert decode_actions(MANY, mode_of_the_mode(policy))[0].sum() == 1


@pytest.mark.parametrize("space", [Discrete(3), MultiDiscrete([2, 2])])
def test_exploring_actions_are_samples_of_the_marginal(space):
    sure, never = 0.95, 0.05
    answers = [[sure, never, never, sure], [never, sure, sure, never], [0.5] * 4]
    if isinstance(space, Discrete):
        answers = [answer[:3] for answer in answers]
    policy = with_table(space, [0.5, 0.3, 0.2], answers)
    with torch.no_grad():
        expected = marginal(policy)[0].exp()
        sampled = policy.act(OBSERVED[:1].expand(20_000, -1), explore=True)
    own = listed(space)
    counts = torch.bincount((sampled @ own.mT).argmax(-1), minlength=len(own)) / 20_000
    torch.testing.assert_close(counts, expected, atol=0.02, rtol=0.0)
    _, distribution = told(policy, True, None)
    drawn = distribution.sample(sample_shape=(4_000,))
    log_prob = distribution.logp(drawn)
    spread = log_prob[:, 0].std().item() / np.sqrt(4_000)
    assert -log_prob[:, 0].mean().item() == pytest.approx(
        distribution.entropy()[0].item(), abs=5 * spread
    )


def test_exploring_draws_one_of_the_others_actions_and_answers_it():
    policy = make_policy(Discrete(4), OTHERS["two"])
    with torch.no_grad():
        rng = PolicyRng([seeded_generator(3)], stacked=False)
        opponents = policy.opponent_model(OBSERVED).rsample(rng)
        expected = policy.policy(OBSERVED, opponents).rsample(rng)
        rng = PolicyRng([seeded_generator(3)], stacked=False)
        chosen = policy.act(OBSERVED, True, rng)
        rng = PolicyRng([seeded_generator(3)], stacked=False)
        decided, _ = policy.decide(OBSERVED, True, rng)
    assert_same(chosen, expected)
    assert_same(decided, expected)


def test_an_env_runner_is_spared_the_marginal_while_it_explores(monkeypatch):
    policy = make_policy(Discrete(4))
    monkeypatch.setattr(ROMMEOPolicy, "marginal_policy", None)
    assert set(policy.forward_exploration({Columns.OBS: OBSERVED}, t=7)) == {Columns.ACTIONS}


@pytest.mark.parametrize("name", ["choice", "nested", "many"])
@torch.no_grad()
def test_all_ways_of_acting_agree(name, tmp_path):
    space = (CHOICES | {"many": MANY})[name]
    policies = {f"policy_{i}": make_policy(space, OTHERS["two"], seed=i) for i in range(3)}
    mask = MASKS.expand(3, -1, -1)
    together = PolicyGroup(policies).policy
    observed = OBSERVED.expand(3, -1, -1)
    stacked = together.act(observed, False, GLOBAL_RNG, mask)
    everybody = together.act(observed, explore=False)
    for index, policy in enumerate(policies.values()):
        torch.testing.assert_close(stacked[index], policy.act(OBSERVED, False, GLOBAL_RNG, MASKS))
        masked = Player(policy).act(OBSERVED.numpy(), opponent_mask=MASKS.numpy())
        flat = decode_actions(space, stacked[index])
        np.testing.assert_array_equal(_packed(space, masked), flat)
        flat = decode_actions(space, everybody[index])
        np.testing.assert_array_equal(_packed(space, Player(policy).act(OBSERVED.numpy())), flat)
        torch.testing.assert_close(GreedyActor(policy)(OBSERVED), flat)
    export_program(policy, tmp_path / "policy")
    exported = torch.export.load(tmp_path / "policy").module()(OBSERVED)
    torch.testing.assert_close(exported, flat)


def _packed(space: Space, actions: Any) -> np.ndarray:
    return np.stack([pack(action) for action in actions])


MIXED = Dict({"move": Box(-2.0, 2.0, (2,), np.float32), "call": Discrete(3)})


@pytest.mark.parametrize(
    ("space", "opponents"), [(MIXED, OTHERS["two"]), (Discrete(3), (Box(-1.0, 1.0, (2,)),))]
)
def test_where_actions_are_not_counted_the_likeliest_of_the_others_is_answered(space, opponents):
    policy = make_policy(space, opponents)
    assert not policy.counts_marginal
    with torch.no_grad():
        torch.testing.assert_close(policy.act(OBSERVED, explore=False), mode_of_the_mode(policy))
        actions, distribution = told(policy, False, None)
    assert_same(distribution.to_deterministic().sample(), actions)


class Hasty(ROMMEOPolicy):
    """Answers nobody."""

    def take(
        self, observations: Tensor, explore: bool, rng: Rng, opponent_mask: Tensor | None
    ) -> Any:
        nobody = observations.new_zeros(*observations.shape[:-1], self.opponent_action_size)
        parameters = self.policy_network(torch.cat([observations, nobody], -1))
        policy = self.policy(observations, nobody)
        return policy.rsample(rng) if explore else policy.mode(), policy, parameters


class Contrary(ROMMEOPolicy):
    """Does the next best number."""

    def act(self, observations: Tensor, explore: bool, *args: Any) -> Tensor:
        return super().act(observations, explore, *args).roll(1, -1)


def test_a_subclass_that_acts_otherwise_tells_what_it_does():
    for space in (Discrete(3), MultiDiscrete([3, 2])):
        policy = make_policy(space, policy_class=Hasty)
        actions, distribution = told(policy, False, None)
        assert_same(distribution.to_deterministic().sample(), actions)
        nobody = policy.policy(OBSERVED, torch.zeros(ROWS, 3))
        torch.testing.assert_close(
            distribution.entropy(), nobody.entropy().sum(-1), rtol=1e-4, atol=1e-4
        )
    actions, distribution = told(make_policy(Discrete(3), policy_class=Contrary), False, None)
    assert_same(distribution.to_deterministic().sample(), actions)
    usual, _ = told(make_policy(Discrete(3)), False, None)
    assert_same(actions, (usual + 1) % 3)


def test_a_mixtures_divergence_is_exact():
    own = action_components(MultiDiscrete([3, 2]), "A policy")
    choices = all_actions(own, 6)
    size = 4 * (1 + num_parameters(own))
    one, other = (ChoiceMixture(own, torch.randn(size), choices) for _ in range(2))
    p, q = (torch.stack([m.log_prob(action) for action in choices]) for m in (one, other))
    assert p.exp().sum().item() == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(one.exact_kl_divergence(other), (p.exp() * (p - q)).sum(0))
