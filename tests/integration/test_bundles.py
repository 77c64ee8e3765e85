"""Each kind of run has a bundle by which it plays bit by bit as from its pickled checkpoint."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from environments import PaidPerStepEnv, TeamEnv
from ray.rllib.connectors.env_to_module import FlattenObservations
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.examples.rl_modules.classes.random_rlm import RandomRLModule
from ray.tune.registry import register_env
from representative import cases
from small import own_policy, shared_policy, shrunken
from test_agents_that_die import LiveOrDie
from test_any_spaces import spaces_config
from test_deployment import SPACES
from test_frame_stacking import recall_config

from rommeo_rllib.deployment.bundles import Bundle
from rommeo_rllib.deployment.checkpoints import NotTrusted
from rommeo_rllib.deployment.matches import Stage
from rommeo_rllib.deployment.player import Player
from rommeo_rllib.joint_action.checkpoints.bundle_writing import BUNDLE
from rommeo_rllib.joint_action.checkpoints.manifest import write_manifest
from rommeo_rllib.registration import ALGORITHMS

pytestmark = pytest.mark.usefixtures("ray_session")

TEAM = {"agent_0", "agent_1", "agent_2"}


def saved(config: Any, folder: Path) -> Path:
    algorithm = config.build_algo()
    try:
        algorithm.save_to_path(str(folder))
    finally:
        algorithm.stop()
    return folder


def without_bundle(checkpoint: Path) -> Path:
    copy = checkpoint.with_name(f"{checkpoint.name}-without")
    shutil.copytree(checkpoint, copy)
    shutil.rmtree(copy / BUNDLE)
    write_manifest(copy)
    return copy


def of(name: str, game: str = "max_of_two_quadratics", **training: Any) -> Any:
    return shrunken(ALGORITHMS[name].get_default_config(), game, **training)


def on_registered(config: Any, kind: type, **settings: Any) -> Any:
    """The same with an environment that has a name."""
    register_env(kind.__name__, lambda given: kind(given))
    return config.environment(kind.__name__, env_config=settings)


def of_team(name: str) -> Any:
    config = on_registered(of(name), TeamEnv, length=4)
    return config.multi_agent(policies=TEAM, policy_mapping_fn=own_policy)


def grouped_shared() -> Any:
    config = of("ROMMEO-AC", "three_player_climbing_game")
    config.multi_agent(policies={"shared"}, policy_mapping_fn=shared_policy)
    groups = {f"player_{i}": [f"player_{(i + 1) % 3}"] for i in range(3)}
    return config.training(opponent_groups=groups)


def dying() -> Any:
    config = on_registered(of("ROMMEO-AC"), LiveOrDie, tells=True, box=False)
    return config.multi_agent(policies={"a", "b"}, policy_mapping_fn=own_policy)


KINDS: dict[str, Callable[[], Any]] = {
    **{name: lambda name=name: of(name) for name in ALGORITHMS},
    "central, unlike spaces": lambda: of_team("MADDPG"),
    "models of unlike opponents": lambda: of_team("ROMMEO-AC-EMP"),
    "discrete": lambda: of("ROMMEO-AC", "climbing_game"),
    "resampled": lambda: of("ROMMEO-AC", "climbing_game", opponent_model="importance_sampling"),
    "random warm-up": lambda: of("ROMMEO-AC", random_warm_up=True),
    "shared, groups": grouped_shared,
    "replicas": lambda: of("ROMMEO-AC", replicas=2),
    "agents that die": dying,
}

QUICK = ["central, unlike spaces", "discrete", "replicas"]


@pytest.mark.parametrize("kind", cases(KINDS, QUICK))
def test_a_bundle_plays_bit_by_bit_as_the_pickled_checkpoint(kind, tmp_path):
    config = KINDS[kind]()
    checkpoint = saved(config, tmp_path / "run")
    pickled = without_bundle(checkpoint)
    replica = config.replicas - 1
    for explore in (False, True):
        plays = [
            Stage(path, replica=replica, trust=trust).play(2, explore=explore, seed=3)
            for path, trust in ((checkpoint, False), (pickled, True))
        ]
        assert plays[0] == plays[1]
    for policy in Bundle(checkpoint).policies:
        assert_same_player(checkpoint, pickled, policy)
    with pytest.raises(NotTrusted):
        Stage(pickled)


def assert_same_player(checkpoint: Path, pickled: Path, policy: str) -> None:
    players = (
        Player.from_bundle(checkpoint, policy, 1),
        Player.from_checkpoint(pickled, policy, 1, trust=True),
    )
    space = players[0].policy.observation_space
    assert space == players[1].policy.observation_space
    space.seed(0)
    seen = [space.sample() for _ in range(4)]
    for explore in (False, True):
        one, other = (player.act(seen, explore=explore) for player in players)
        np.testing.assert_equal(list(one), list(other))


def test_images_dicts_and_mixed_actions_act_bit_by_bit_as_pickled(tmp_path):
    config = spaces_config(SPACES)
    checkpoint = saved(config, tmp_path / "run")
    pickled = without_bundle(checkpoint)
    for policy in SPACES:
        assert_same_player(checkpoint, pickled, policy)
    with pytest.raises(NotTrusted, match=r"an environment that is no registered name.*--config"):
        Stage(checkpoint)
    plays = [
        Stage(checkpoint, config=config).play(2, seed=1),
        Stage(pickled, trust=True).play(2, seed=1),
    ]
    assert plays[0] == plays[1]


def test_stacked_frames_need_the_users_own_configuration_and_no_trust(tmp_path):
    checkpoint = saved(recall_config(2), tmp_path / "run")
    with pytest.raises(NotTrusted, match=r"connectors of its user's own; .*--config FILE"):
        Stage(checkpoint)
    played = Stage(checkpoint, config=recall_config(2)).play(2, seed=1)
    assert played == Stage(without_bundle(checkpoint), trust=True).play(2, seed=1)


def test_connectors_without_rllibs_own_are_told_too(tmp_path):
    config = on_registered(of("DDPG"), TeamEnv).multi_agent(
        policies=TEAM, policy_mapping_fn=own_policy
    )
    config.env_runners(env_to_module_connector=lambda *args: FlattenObservations(multi_agent=True))
    assert Bundle(saved(config, tmp_path / "run")).connectors == "stateless"


class RememberingEnv(PaidPerStepEnv):
    """Tells which settings it was given last."""

    given: ClassVar[dict[str, Any]] = {}

    def __init__(self, config: Any):
        super().__init__(config)
        RememberingEnv.given = dict(config)


def test_settings_of_an_environment_come_back_with_their_types(tmp_path):
    given = {"length": 2, "ending": "truncated", "pair": (1, [2.5]), "table": np.eye(2), "on": True}
    given |= {"number": np.float32(0.1), "deep": {"a": (None, "b")}}
    config = on_registered(of("ROMMEO-AC"), RememberingEnv, **given)
    config.multi_agent(policies={"shared"}, policy_mapping_fn=shared_policy)
    checkpoint = saved(config, tmp_path / "run")
    RememberingEnv.given = {}
    Stage(checkpoint).play(1)
    seen = {key: RememberingEnv.given[key] for key in given}
    np.testing.assert_equal(seen, given)
    assert [type(one) for one in seen.values()] == [type(one) for one in given.values()]


@pytest.mark.parametrize(
    "settings", cases([{1: 2}, {"made_by": object}, {"bound": float("inf")}], [{1: 2}])
)
def test_settings_that_json_cannot_tell_are_asked_for(settings, tmp_path):
    config = on_registered(of("ROMMEO-AC"), PaidPerStepEnv, length=2, ending="truncated")
    config.env_config |= {"more": settings}
    config.multi_agent(policies={"shared"}, policy_mapping_fn=shared_policy)
    checkpoint = saved(config, tmp_path / "run")
    with pytest.raises(NotTrusted, match=r"an `env_config` that JSON cannot tell; .*--config FILE"):
        Stage(checkpoint)
    assert Player.from_bundle(checkpoint, "shared").policy is not None


def sometimes(agent: str, *args: Any, **kwargs: Any) -> str:
    """Chance decides, and a bit more often for the one."""
    torch.rand(1)
    return "player_0" if random.random() + np.random.rand() < 1.2 else "player_1"  # noqa: NPY002


def test_who_plays_by_chance_is_told_and_saving_leaves_chance_alone(tmp_path):
    algorithm = of("ROMMEO-AC").multi_agent(policy_mapping_fn=sometimes).build_algo()
    try:
        states = []
        for number in range(2):
            for seeded in (random.seed, np.random.seed, torch.manual_seed):
                seeded(7)
            if number:
                algorithm.bundle()
            states.append((random.random(), np.random.rand(), torch.rand(1).item()))  # noqa: NPY002
        assert states[0] == states[1]
        algorithm.save_to_path(str(tmp_path))
    finally:
        algorithm.stop()
    with pytest.raises(NotTrusted, match=r"policies are not settled beforehand; .*--config FILE"):
        Stage(tmp_path)


def test_a_policy_of_another_kind_is_in_no_bundle_and_said_to_be_why(tmp_path):
    config = of("ROMMEO-AC")
    specs = {"player_0": RLModuleSpec(), "player_1": RLModuleSpec(module_class=RandomRLModule)}
    config.rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
    config.multi_agent(policies_to_train=["player_0"])
    checkpoint = saved(config, tmp_path / "run")
    with pytest.raises(NotTrusted, match=r"'player_1' is in no bundle: it is a RandomRLModule"):
        Stage(checkpoint).play(1)
    Stage(checkpoint, trust=True).play(1)
    Player.from_bundle(checkpoint, "player_0")
