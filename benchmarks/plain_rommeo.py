"""ROMMEO-AC in plain torch: the same losses and networks, no RLlib, nothing that is not needed.

It marks what the arithmetic costs. One game, n agents with one continuous action each, one agent
after the other, one backward pass and one fused Adam for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from rommeo_rllib import objective

MIN_STD = 0.01
MAX_LOG_STD = 2.0
LOG_UNIFORM = -math.log(2.0)


@dataclass(frozen=True)
class PlainSettings:
    """As in `ROMMEOACConfig`; alpha and kl_coeff are functions of the env steps taken."""

    hiddens: Sequence[int] = (100, 100)
    batch: int = 256
    gamma: float = 0.95
    lr: float = 3e-4
    tau: float = 0.005
    alpha: Callable[[int], float] = lambda env_steps: 1.0
    kl_coeff: Callable[[int], float] = lambda env_steps: 1.0
    prior_uniform_weight: float = 0.05
    uniform_opponent_fraction: float = 0.3
    capacity: int = 100_000
    warm_up: int = 1


class TanhGaussian:
    """tanh(u), u from independent Gaussians; `parameters` (..., 2 d), log-densities (..., d)."""

    def __init__(self, parameters: Tensor):
        self.parameters = parameters
        self.mean, log_std = parameters.chunk(2, dim=-1)
        self.std = log_std.clamp(max=MAX_LOG_STD).exp() + MIN_STD

    def rsample(self) -> Tensor:
        """A sample of u."""
        return self.mean + self.std * torch.randn_like(self.mean)

    def log_prob(self, u: Tensor) -> Tensor:
        """Log-density of tanh(u), each dimension for itself."""
        normal = -0.5 * ((u - self.mean) / self.std).square() - self.std.log()
        magnitude = u.abs()
        squashing = 2.0 * (math.log(2.0) - magnitude - softplus(-2.0 * magnitude))
        return normal - 0.5 * math.log(2.0 * math.pi) - squashing


class Agent:
    """The networks of one agent, and its losses."""

    def __init__(self, opponents: int, settings: PlainSettings):
        hiddens, self.settings = settings.hiddens, settings
        self.q = mlp(1 + 1 + opponents, hiddens, 1, layer_norm=True)
        self.target_q = mlp(1 + 1 + opponents, hiddens, 1, layer_norm=True)
        self.target_q.load_state_dict(self.q.state_dict())
        self.target_q.requires_grad_(False)
        self.policy = mlp(1 + opponents, hiddens, 2)
        self.opponent_model = mlp(1, hiddens, 2 * opponents)
        self.prior = mlp(1, hiddens, 2 * opponents)

    @torch.no_grad()
    def act(self, observation: Tensor, explore: bool) -> float:
        """Algorithm 2: what will the others do, and what is the answer?"""
        model = TanhGaussian(self.opponent_model(observation))
        opponents = (model.rsample() if explore else model.mean).tanh()
        policy = TanhGaussian(self.policy(torch.cat([observation, opponents], -1)))
        return float((policy.rsample() if explore else policy.mean).tanh())

    def loss(self, batch: Sequence[Tensor], alpha: float, beta: float) -> Tensor:
        """The sum of Eq. 14, 18, 19 and the prior's likelihood, each for its own network."""
        obs, own, opponents, reward, next_obs, terminated = batch
        settings = self.settings
        prior = TanhGaussian(self.prior(obs))
        held_prior = TanhGaussian(prior.parameters.detach())
        with frozen(self.q):
            model = TanhGaussian(self.opponent_model(obs))
            u = model.rsample()
            uniform = 0.5 * torch.rand_like(u).logit(eps=1e-6)
            mixed = torch.rand_like(u[:, :1]) < settings.uniform_opponent_fraction
            proposed = torch.where(mixed, uniform, u.detach())
            response = self._response_value(obs, proposed, alpha, self.q)
            loss = objective.policy_loss(response).mean()
            with frozen(self.policy):
                response = self._response_value(obs, u, alpha, self.q)
            kl = self._kl(model, held_prior, u)
            loss = loss + objective.opponent_model_loss(response, kl, beta).mean()
        target = reward
        if settings.gamma > 0.0:
            with torch.no_grad():
                model = TanhGaussian(self.opponent_model(next_obs))
                u = model.rsample()
                response = self._response_value(next_obs, u, alpha, self.target_q)
                kl = self._kl(model, TanhGaussian(self.prior(next_obs)), u)
                value = objective.sampled_state_value(response, kl, beta)
                target = objective.td_target(reward, terminated, value, settings.gamma)
        q = self.q(torch.cat([obs, own, opponents], -1)).squeeze(-1)
        loss = loss + objective.q_loss(q, target).mean()
        replayed = opponents.clamp(-1 + 1e-6, 1 - 1e-6).atanh()
        return loss + objective.prior_loss(prior.log_prob(replayed).sum(-1)).mean()

    def _response_value(self, obs: Tensor, u: Tensor, alpha: float, q: nn.Module) -> Tensor:
        opponents = u.tanh()
        policy = TanhGaussian(self.policy(torch.cat([obs, opponents], -1)))
        own = policy.rsample()
        log_prob = policy.log_prob(own).sum(-1)
        value = q(torch.cat([obs, own.tanh(), opponents], -1)).squeeze(-1)
        return objective.sampled_response_value(value, log_prob, alpha)

    def _kl(self, model: TanhGaussian, prior: TanhGaussian, u: Tensor) -> Tensor:
        weight = self.settings.prior_uniform_weight
        log_prior = prior.log_prob(u)
        uniform = torch.full_like(log_prior, math.log(weight) + LOG_UNIFORM)
        log_prior = torch.logaddexp(math.log1p(-weight) + log_prior, uniform)
        return (model.log_prob(u) - log_prior).sum(-1)


class PlainROMMEO:
    """The loop: play once, store, update all agents.

    Args:
        payoff: joint actions (n,) to rewards (n,), in the game's units.
        agents: n.
        bound: actions of the game lie in [-bound, bound].
        settings: see :class:`PlainSettings`.
        seed: seeds everything.
    """

    def __init__(
        self,
        payoff: Callable[[np.ndarray], np.ndarray],
        agents: int,
        bound: float,
        settings: PlainSettings,
        seed: int = 0,
    ):
        torch.manual_seed(seed)
        self.payoff, self.bound, self.settings = payoff, bound, settings
        self.agents = [Agent(agents - 1, settings) for _ in range(agents)]
        self.env_steps = 0
        self._rng = np.random.default_rng(seed)
        self._observation = torch.ones(1)
        shapes = {"obs": (1,), "actions": (), "rewards": (), "next_obs": (1,), "terminated": ()}
        self._ring = {
            name: np.zeros((settings.capacity, agents, *shape), np.float32)
            for name, shape in shapes.items()
        }
        networks = [n for a in self.agents for n in (a.q, a.policy, a.opponent_model, a.prior)]
        parameters = [p for network in networks for p in network.parameters()]
        self._optimizer = torch.optim.Adam(parameters, lr=settings.lr, fused=True)
        self._q = [p.detach() for a in self.agents for p in a.q.parameters()]
        self._targets = [p for a in self.agents for p in a.target_q.parameters()]

    def step(self) -> None:
        """One env step and, once there is enough to learn from, one update of all agents."""
        self._play()
        if self.env_steps >= self.settings.warm_up:
            self._update()

    def joint_action(self, explore: bool = False) -> np.ndarray:
        """What the agents do, in [-1, 1], (n,)."""
        return np.array([a.act(self._observation, explore) for a in self.agents], np.float32)

    def _play(self) -> None:
        actions = self.joint_action(explore=True)
        row = self.env_steps % self.settings.capacity
        self._ring["obs"][row] = self._ring["next_obs"][row] = 1.0
        self._ring["actions"][row] = actions
        self._ring["rewards"][row] = self.payoff(self.bound * actions)
        self.env_steps += 1

    def _update(self) -> None:
        alpha, beta = (f(self.env_steps) for f in (self.settings.alpha, self.settings.kl_coeff))
        losses = [
            agent.loss(self._batch(index), alpha, beta) for index, agent in enumerate(self.agents)
        ]
        self._optimizer.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()
        self._optimizer.step()
        torch._foreach_lerp_(self._targets, self._q, self.settings.tau)

    def _batch(self, agent: int) -> list[Tensor]:
        size = min(self.env_steps, self.settings.capacity)
        rows = self._rng.integers(size, size=self.settings.batch)
        ring = self._ring
        actions = ring["actions"][rows]
        columns = (
            ring["obs"][rows, agent],
            actions[:, agent : agent + 1],
            np.delete(actions, agent, axis=1),
            ring["rewards"][rows, agent],
            ring["next_obs"][rows, agent],
            ring["terminated"][rows, agent],
        )
        return [torch.from_numpy(column) for column in columns]


def mlp(
    inputs: int, hiddens: Sequence[int], outputs: int, layer_norm: bool = False
) -> nn.Sequential:
    """A multi-layer perceptron with ReLU."""
    layers: list[Any] = []
    for width_in, width_out in pairwise([inputs, *hiddens]):
        norm = [nn.LayerNorm(width_out)] if layer_norm else []
        layers += [nn.Linear(width_in, width_out), *norm, nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hiddens[-1], outputs))


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Gradients flow through the networks, not to their parameters."""
    for network in networks:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in networks:
            network.requires_grad_(True)
