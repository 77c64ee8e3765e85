"""What `forward_inference` returns to programs written for RLlib."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import tree
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from ray.rllib.connectors.module_to_env import GetActions
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import TorchCategorical
from scipy import integrate
from torch import Tensor

from rommeo_rllib.baselines.deterministic import INITIAL_NOISE
from rommeo_rllib.components import num_parameters
from rommeo_rllib.distributions import Gaussian, OneHotCategorical, SquashedGaussian
from rommeo_rllib.joint_action.modules.action_distribution import ActionDistribution
from rommeo_rllib.joint_action.modules.critic import Q_LAYER_NORM
from rommeo_rllib.joint_action.modules.policy import INIT_KEY, OPPONENTS, RANDOM_WARM_UP
from rommeo_rllib.joint_action.spaces.agents import Opponents
from rommeo_rllib.joint_action.spaces.encoding import action_components, normalised_space
from rommeo_rllib.joint_action.stochastic import INITIAL_ALPHA, StochasticPolicy
from rommeo_rllib.registration import ALGORITHMS
from rommeo_rllib.rng import GLOBAL_RNG
from rommeo_rllib.rommeo_ac.policy import ROMMEOPolicy

SEEN = Box(-1.0, 1.0, (3,), np.float32)
FREE = Box(-np.inf, np.inf, (2,), np.float32)
BOUNDED = {
    "bounded": Box(np.array([0, -5], np.float32), np.array([1, 5], np.float32)),
    "scalar": Box(-1.0, 1.0, (), np.float32),
    "matrix": Box(-1.0, 1.0, (2, 3), np.float32),
    "boxes": Dict({"b": Box(-2.0, 2.0, (2,), np.float32), "a": Box(0.0, 1.0, (1,), np.float32)}),
}
ACTIONS: dict[str, Any] = {
    **BOUNDED,
    "single choice": Discrete(1),
    "choice": Discrete(4),
    "choice from 5 on": Discrete(3, start=5),
    "choices": MultiDiscrete([3, 2]),
    "choices from -1 on": MultiDiscrete([3, 2], start=[-1, 4]),
    "table of choices": MultiDiscrete([[3, 2], [4, 5]]),
    "bits": MultiBinary(3),
    "unbounded": FREE,
    "mixed": Dict({"move": Box(-2.0, 2.0, (2,), np.float32), "call": Discrete(3, start=1)}),
    "nested": Tuple((MultiBinary(2), Dict({"x": Tuple((Discrete(2), FREE))}))),
}
ROWS = 5
OBSERVED = torch.linspace(-1.0, 1.0, 3 * ROWS).view(ROWS, 3)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make_policy(space: Any, algorithm: str = "ROMMEO-AC", policy_class: Any = None, **more: Any):
    spec = ALGORITHMS[algorithm].get_default_config().get_default_rl_module_spec()
    return (policy_class or spec.module_class)(
        observation_space=SEEN,
        action_space=space,
        inference_only=False,
        model_config={
            OPPONENTS: Opponents((space, space), (SEEN, SEEN), ("b", "c")),
            INIT_KEY: (0, 0),
            "fcnet_hiddens": [8],
            "fcnet_activation": "tanh",
            Q_LAYER_NORM: True,
            INITIAL_ALPHA: 1.0,
            INITIAL_NOISE: 0.1,
            **more,
        },
    )


def is_stochastic(algorithm: Any) -> bool:
    return issubclass(algorithm.get_default_config().POLICY_CLASS, StochasticPolicy)


def assert_same(one: Any, other: Any) -> None:
    tree.assert_same_structure(one, other)
    for left, right in zip(tree.flatten(one), tree.flatten(other), strict=True):
        assert left.dtype == right.dtype
        torch.testing.assert_close(left, right, rtol=0.0, atol=0.0)


def first_row(actions: Any, space: Any) -> Any:
    """An action as an environment (of normalised actions) would see it."""
    row = [leaf[0].numpy() for leaf in tree.flatten(actions)]
    row = [int(one) if one.ndim == 0 and one.dtype.kind == "i" else one for one in row]
    return tree.unflatten_as(actions, row)


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [
        (algorithm, name)
        for algorithm, trainable in ALGORITHMS.items()
        for name in (ACTIONS if is_stochastic(trainable) else BOUNDED)
    ],
)
def test_a_greedy_action_is_the_distributions_own(algorithm, name):
    space = ACTIONS[name]
    module = make_policy(space, algorithm)
    out = module.forward_inference({Columns.OBS: OBSERVED})
    distribution_class = module.get_inference_action_dist_cls()
    assert module.get_exploration_action_dist_cls() is not None
    assert module.get_train_action_dist_cls() is not None
    inputs = out[Columns.ACTION_DIST_INPUTS]
    assert inputs.shape == (ROWS, distribution_class.required_input_dim(space))
    distribution = distribution_class.from_logits(inputs)
    assert_same(distribution.to_deterministic().sample(), out[Columns.ACTIONS])
    if not is_stochastic(ALGORITHMS[algorithm]):
        assert_same(distribution.sample(), out[Columns.ACTIONS])


@pytest.mark.parametrize("name", ACTIONS)
def test_rllibs_connector_takes_the_actions_or_makes_the_same_from_the_distribution(name):
    module = make_policy(ACTIONS[name])
    out = module.forward_inference({Columns.OBS: OBSERVED})
    expected = out[Columns.ACTIONS]
    for batch in (dict(out), {Columns.ACTION_DIST_INPUTS: out[Columns.ACTION_DIST_INPUTS]}):
        GetActions()._get_actions(batch, module, explore=False)
        assert_same(batch[Columns.ACTIONS], expected)


@pytest.mark.parametrize("name", ACTIONS)
def test_samples_lie_in_the_space_and_follow_their_log_probability(name):
    space = ACTIONS[name]
    # Not far out, where an action in float32 does not tell how near its bound it was.
    logits = 0.3 * torch.randn(num_parameters(action_components(space, "A policy")))
    distribution = ActionDistribution(logits, space)
    actions, log_prob = distribution.sample(sample_shape=(4000,), return_logp=True)
    assert log_prob.shape == (4000,)
    assert normalised_space(space).contains(first_row(actions, space))
    torch.testing.assert_close(distribution.logp(actions), log_prob, rtol=1e-3, atol=0.01)
    # The mean of -log p is the entropy, that of log p - log q the divergence.
    spread = log_prob.std().item() / np.sqrt(4000)
    assert -log_prob.mean().item() == pytest.approx(
        distribution.entropy().item(), abs=5 * spread + 0.01
    )
    other = ActionDistribution(logits + 0.3 * torch.randn_like(logits), space)
    difference = log_prob - other.logp(actions)
    spread = difference.std().item() / np.sqrt(4000)
    assert difference.mean().item() == pytest.approx(
        distribution.kl(other).item(), abs=5 * spread + 1e-4
    )


def test_exploring_actions_are_samples_of_the_distribution_that_comes_with_them():
    module = make_policy(Discrete(4))
    seen = OBSERVED[:1].expand(5000, -1)
    with torch.no_grad():
        module.policy_network[-1].weight.zero_()
        module.policy_network[-1].bias.copy_(torch.tensor([[0.0, 1.0, -1.0, 0.5]]))
    out = module.forward_exploration({Columns.OBS: seen})
    probabilities = module.get_exploration_action_dist_cls().from_logits(
        out[Columns.ACTION_DIST_INPUTS]
    )
    assert not out[Columns.ACTION_DIST_INPUTS].requires_grad
    # An env runner is spared a column that it does not need.
    assert set(module.forward_exploration({Columns.OBS: seen}, t=7)) == {Columns.ACTIONS}
    counts = torch.bincount(out[Columns.ACTIONS], minlength=4) / 5000
    torch.testing.assert_close(counts, probabilities._dist.probs[0], atol=0.03, rtol=0)


def test_the_parameters_are_the_conditional_policys_given_the_likeliest_opponents_actions():
    module = make_policy(ACTIONS["bounded"])
    out = module.forward_inference({Columns.OBS: OBSERVED})
    with torch.no_grad():
        opponents = module.opponent_model(OBSERVED).mode().tanh()
        expected = module.policy_network(torch.cat([OBSERVED, opponents], -1))
    torch.testing.assert_close(out[Columns.ACTION_DIST_INPUTS], expected)


def test_in_training_gradients_flow_to_the_policy():
    module = make_policy(ACTIONS["unbounded"])
    out = module.forward_train({Columns.OBS: OBSERVED})
    distribution = module.get_train_action_dist_cls().from_logits(out[Columns.ACTION_DIST_INPUTS])
    distribution.rsample().sum().backward()
    assert module.policy_network[-1].bias.grad.abs().sum() > 0


def test_rllibs_own_class_serves_a_discrete_action():
    assert make_policy(Discrete(4)).get_inference_action_dist_cls() is TorchCategorical


def test_no_gradient_flows_through_choices():
    with pytest.raises(TypeError, match=r"rsample\(\) of Discrete\(2\) is not defined"):
        ActionDistribution(torch.zeros(2), Discrete(2)).rsample()


def test_a_random_warm_up_comes_without_parameters():
    module = make_policy(Discrete(4), **{RANDOM_WARM_UP: True})
    assert Columns.ACTION_DIST_INPUTS not in module.forward_exploration({Columns.OBS: OBSERVED})
    assert Columns.ACTION_DIST_INPUTS in module.forward_inference({Columns.OBS: OBSERVED})


class Contrary(ROMMEOPolicy):
    """Acts otherwise than its networks say."""

    def act(
        self,
        observations: Tensor,
        explore: bool,
        rng: Any = GLOBAL_RNG,
        opponent_mask: Tensor | None = None,
    ) -> Tensor:
        return -super().act(observations, explore, rng, opponent_mask)


def test_a_policy_that_acts_otherwise_is_taken_at_its_word():
    module = make_policy(ACTIONS["bounded"], policy_class=Contrary)
    out = module.forward_inference({Columns.OBS: OBSERVED})
    assert_same(
        out[Columns.ACTIONS],
        -make_policy(ACTIONS["bounded"]).forward_inference({Columns.OBS: OBSERVED})[
            Columns.ACTIONS
        ],
    )
    distribution = module.get_inference_action_dist_cls().from_logits(
        out[Columns.ACTION_DIST_INPUTS]
    )
    assert_same(distribution.to_deterministic().sample(), out[Columns.ACTIONS])


@pytest.mark.parametrize("mean", [-3.0, 0.0, 1.5])
@pytest.mark.parametrize("log_std", [-4.0, -1.0, 0.0, 2.0])
def test_a_squashed_gaussians_entropy_is_its_densitys(mean, log_std):
    distribution = SquashedGaussian(torch.tensor([mean, log_std], dtype=torch.float64))

    def integrand(u: float) -> float:
        latent = torch.tensor([u], dtype=torch.float64)
        log_prob = distribution.log_prob(latent).item()
        return -np.exp(log_prob) * log_prob * np.cosh(u) ** -2

    std = distribution.std.item()
    points = (mean - 10 * std, mean + 10 * std)
    expected, _ = integrate.quad(integrand, *points, limit=500)
    assert distribution.entropy().item() == pytest.approx(expected, abs=1e-4)


def test_exact_divergences():
    one, other = (torch.tensor([0.3, 1.0]).log(), torch.tensor([1.0, 1.0]).log())
    p, q = one.softmax(-1), other.softmax(-1)
    found = OneHotCategorical(one).exact_kl_divergence(OneHotCategorical(other))
    torch.testing.assert_close(found, (p * (p / q).log()).sum())
    a, b = torch.tensor([0.5, -0.2]), torch.tensor([-1.0, 0.4])
    expected = torch.distributions.kl_divergence(
        *(torch.distributions.Normal(g.mean, g.std) for g in (Gaussian(a), Gaussian(b)))
    ).sum()
    torch.testing.assert_close(Gaussian(a).exact_kl_divergence(Gaussian(b)), expected)
    torch.testing.assert_close(
        SquashedGaussian(a).exact_kl_divergence(SquashedGaussian(b)), expected
    )
