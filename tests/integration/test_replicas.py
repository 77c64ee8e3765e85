"""Replicas: many copies of a game and its agents in one trial."""

from __future__ import annotations

import numpy as np
import pytest
from ray.rllib.callbacks.callbacks import RLlibCallback
from small import game_config

from rommeo_rllib import ROMMEOAC, ROMMEOACConfig, ROMMEOPolicy
from rommeo_rllib.joint_action.replay.buffer import ReplayOfReplica

pytestmark = pytest.mark.usefixtures("ray_session")

SEED = 3


def built(config: ROMMEOACConfig, iterations: int) -> tuple[ROMMEOAC, dict]:
    algorithm = config.build_algo()
    for _ in range(iterations):
        result = algorithm.train()
    return algorithm, result


def plays(buffer: ReplayOfReplica) -> np.ndarray:
    arrays = buffer.get_state()["arrays"]
    return np.concatenate([arrays[f"{agent}/actions"].reshape(len(buffer), -1) for agent in (0, 1)])


@pytest.mark.parametrize("game", ["max_of_two_quadratics", "climbing_game"])
def test_a_copy_computes_what_a_trial_of_its_own_computes(game):
    together, result = built(game_config(game, replicas=3).debugging(seed=SEED), 3)
    for replica in range(3):
        alone, own = built(game_config(game).debugging(seed=SEED + replica), 3)
        np.testing.assert_allclose(
            plays(together.replay_buffer.of_replicas[replica]),
            plays(alone.replay_buffer),
            atol=1e-3,
        )
        metrics = result["learners"]["replicas"]["player_0"]
        assert metrics["q_loss"][replica] == pytest.approx(
            own["learners"]["player_0"]["q_loss"], rel=1e-3
        )
        returns = result["env_runners"]["replicas"]["episode_return_mean"]
        assert returns[replica] == pytest.approx(
            own["env_runners"]["episode_return_mean"], rel=1e-3
        )
        alone.stop()
    together.stop()


def test_env_steps_are_those_of_one_copy():
    algorithm, result = built(game_config(replicas=4), 2)
    assert result["num_env_steps_sampled_lifetime"] == 80
    assert [len(buffer) for buffer in algorithm.replay_buffer.of_replicas] == [80] * 4
    algorithm.stop()


def test_each_copy_may_have_its_own_alpha():
    overrides = {
        f"{policy}@1": ROMMEOACConfig.overrides(alpha=7.0) for policy in ("player_0", "player_1")
    }
    config = game_config(replicas=3, alpha=2.0)
    config.multi_agent(algorithm_config_overrides_per_module=overrides)
    algorithm, result = built(config, 1)
    assert result["learners"]["replicas"]["player_1"]["alpha"] == [2.0, 7.0, 2.0]
    # They are computed together all the same.
    assert len(algorithm.learner_group._learner.groups) == 1
    algorithm.stop()


def test_a_restored_trial_goes_on_with_all_of_its_copies(tmp_path):
    config = game_config(replicas=2)
    algorithm, _ = built(config, 2)
    path = algorithm.save_to_path(str(tmp_path))
    expected = algorithm.train()["learners"]["replicas"]["player_0"]["q_loss"]
    algorithm.stop()
    restored = config.copy(copy_frozen=False).build_algo()
    restored.restore_from_path(path)
    found = restored.train()["learners"]["replicas"]["player_0"]["q_loss"]
    restored.stop()
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_copys_policy_can_be_taken_out(tmp_path):
    algorithm, _ = built(game_config(replicas=2), 1)
    learned = algorithm.learner_group._learner.module["player_0@1"]
    path = learned.save_to_path(str(tmp_path))
    alone = ROMMEOPolicy.from_checkpoint(path)
    for name, value in learned.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), alone.state_dict()[name].numpy())
    algorithm.stop()


def test_callbacks_and_replicas_do_not_go_together():
    class Watching(RLlibCallback):
        def on_episode_end(self, **kwargs):
            pass

    config = game_config(replicas=2).callbacks(Watching)
    with pytest.raises(ValueError, match="`replicas` is 2, but callbacks"):
        config.build_algo()


def test_remote_env_runners_and_replicas_do_not_go_together():
    config = game_config(replicas=2).env_runners(num_env_runners=1)
    with pytest.raises(ValueError, match="`replicas` is 2 with 1 env runners"):
        config.build_algo()


def test_agents_act_with_the_learners_very_networks():
    algorithm, _ = built(game_config(), 1)
    learned = algorithm.learner_group._learner.module["player_0"].policy_network[0].weight
    acting = algorithm.env_runner.module["player_0"].policy_network[0].weight
    assert learned.data_ptr() == acting.data_ptr()
    algorithm.stop()
