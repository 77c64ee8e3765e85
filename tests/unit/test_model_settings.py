"""What a model configuration may say. No Ray runtime."""

from __future__ import annotations

from dataclasses import asdict

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.core.models.catalog import Catalog
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES
from ray.rllib.examples.rl_modules.classes.random_rlm import RandomRLModule
from test_config import make_config, spaces_of
from torch import nn

from rommeo_rllib import ROMMEOPolicy
from rommeo_rllib.joint_action.modules.networks import initialise, mlp

CHANGED = {
    "fcnet_use_layernorm": True,
    "free_log_std": True,
    "fusionnet_activation": "relu",
    "fusionnet_hiddens": [8],
    "head_fcnet_hiddens": [8],
    "head_fcnet_use_layernorm": True,
    "log_std_clip_param": 2.0,
    "lstm_cell_size": 8,
    "lstm_use_prev_action": True,
    "use_lstm": True,
    "vf_share_layers": False,
}
COMPANIONS = {
    "max_seq_len": {"max_seq_len": 5, "use_lstm": True},
    "head_fcnet_activation": {"head_fcnet_activation": None, "head_fcnet_hiddens": [8]},
}
"""Keys that concern nothing alone, beside what they concern."""

WAYS = {
    "dict": lambda given: {"model_config": given},
    "object": lambda given: {"model_config": DefaultModelConfig(**given)},
    "spec": lambda given: {"rl_module_spec": RLModuleSpec(model_config=given)},
    "spec with object": lambda given: {
        "rl_module_spec": RLModuleSpec(model_config=DefaultModelConfig(**given))
    },
    "spec of ours": lambda given: {
        "rl_module_spec": RLModuleSpec(module_class=ROMMEOPolicy, model_config=given)
    },
    "specs": lambda given: {
        "rl_module_spec": MultiRLModuleSpec(
            rl_module_specs={"player_0": RLModuleSpec(model_config=given)}
        )
    },
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", sorted(CHANGED))
def test_a_key_without_effect_is_refused_whichever_way_it_comes(key, way):
    config = make_config().rl_module(**WAYS[way]({key: CHANGED[key]}))
    with pytest.raises(ValueError, match=f"`{key}` is .* in .*`model_config`.*; "):
        config.validate()


def test_each_key_of_rllibs_has_an_effect_or_is_refused():
    effective = {"fcnet_activation", "fcnet_hiddens"}
    for key, default in asdict(DefaultModelConfig()).items():
        config = make_config().rl_module(model_config={key: [9] if default != [9] else [8]})
        if key in effective or "conv_" in key or "initializer" in key or key in COMPANIONS:
            continue  # Tested below.
        with pytest.raises(ValueError, match=f"`{key}` is"):
            config.validate()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", COMPANIONS)
def test_a_key_that_concerns_nothing_alone_is_refused_with_what_it_concerns_only(way, key):
    given = COMPANIONS[key]
    make_config().rl_module(**WAYS[way]({key: given[key]})).validate()
    with pytest.raises(ValueError, match=rf"`{key}` is {given[key]}.* in .*`model_config`"):
        make_config().rl_module(**WAYS[way](given)).validate()


@pytest.mark.parametrize("way", WAYS)
def test_a_default_is_never_refused(way):
    make_config().rl_module(**WAYS[way](asdict(DefaultModelConfig()))).validate()


class Own(ROMMEOPolicy):
    """A module class of the user's own."""


def test_an_own_module_class_has_keys_of_its_own():
    given = {"head_fcnet_hiddens": [8], "anything": 1}
    config = make_config().rl_module(
        rl_module_spec=RLModuleSpec(module_class=Own, model_config=given), model_config=given
    )
    config.validate()
    for others, is_right in ((Own, True), (RandomRLModule, True), (None, False)):
        spec = MultiRLModuleSpec(
            rl_module_specs={
                "player_0": RLModuleSpec(),
                "player_1": RLModuleSpec(module_class=others),
            }
        )
        config = make_config().rl_module(rl_module_spec=spec, model_config=given)
        if is_right:
            config.validate()
        else:
            with pytest.raises(ValueError, match="`head_fcnet_hiddens`"):
                config.validate()


def test_a_catalog_is_refused_where_networks_are_ours():
    for module_class in (None, ROMMEOPolicy):
        spec = RLModuleSpec(module_class=module_class, catalog_class=Catalog)
        with pytest.raises(ValueError, match="`catalog_class` is Catalog"):
            make_config().rl_module(rl_module_spec=spec).validate()
    own = RLModuleSpec(module_class=Own, catalog_class=Catalog)
    make_config().rl_module(rl_module_spec=own).validate()


def test_what_all_modules_share_reaches_no_policy():
    specs = {"player_0": RLModuleSpec()}
    spec = MultiRLModuleSpec(rl_module_specs=specs, model_config={"fcnet_hiddens": [8]})
    with pytest.raises(ValueError, match=r"`fcnet_hiddens` is \[8\] .*MultiRLModuleSpec"):
        make_config().rl_module(rl_module_spec=spec).validate()


@pytest.mark.parametrize("bad", [[0], [-1], [8.0], [True], "8", 8, None])
@pytest.mark.parametrize("way", WAYS)
def test_widths_that_make_no_network_are_refused(bad, way):
    with pytest.raises(ValueError, match=r"`fcnet_hiddens` is .*; allowed: a list of integers"):
        make_config().rl_module(**WAYS[way]({"fcnet_hiddens": bad})).validate()


@pytest.mark.parametrize("good", [[], (8,), [np.int64(8)]])
def test_widths_may_be_any_integers(good):
    make_config().rl_module(model_config={"fcnet_hiddens": good}).validate()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu", torch.relu),
        ("ReLU", torch.relu),
        (nn.Tanh, torch.tanh),
        ("swish", nn.functional.silu),
        ("silu", nn.functional.silu),
        ("SiLU", nn.functional.silu),
        ("leaky_relu", nn.functional.leaky_relu),
        ("LeakyReLU", nn.functional.leaky_relu),
        ("linear", lambda x: x),
        (None, lambda x: x),
    ],
)
def test_activations_go_by_rllibs_and_torchs_names(name, expected):
    make_config().rl_module(model_config={"fcnet_activation": name}).validate()
    network = mlp(2, [3], 1, name)
    inputs = torch.randn(5, 2)
    hidden = expected(network[0](inputs))
    torch.testing.assert_close(network(inputs), network[-1](hidden))


def test_an_unknown_activation_is_told_at_validation():
    with pytest.raises(ValueError, match=r"`fcnet_activation` is 'rellu'; allowed: .*relu"):
        make_config().rl_module(model_config={"fcnet_activation": "rellu"}).validate()


def seeing(space: gym.Space) -> dict:
    action = gym.spaces.Discrete(2)
    spaces = spaces_of(player_0=action, player_1=action)
    observations = gym.spaces.Dict({"player_0": space, "player_1": gym.spaces.Discrete(2)})
    spaces[INPUT_ENV_SINGLE_SPACES] = (observations, spaces[INPUT_ENV_SINGLE_SPACES][1])
    return spaces | {"player_0": (space, action), "player_1": (gym.spaces.Discrete(2), action)}


IMAGE = gym.spaces.Box(0, 255, (8, 8, 3), np.uint8)
FILTERS = {"conv_filters": [[4, 3, 2]]}


@pytest.mark.parametrize("way", WAYS)
def test_filters_are_refused_where_nobody_observes_an_image(way):
    config = make_config().rl_module(**WAYS[way](FILTERS))
    config.validate()
    config.get_multi_rl_module_spec(spaces=seeing(IMAGE))
    config.get_multi_rl_module_spec(spaces=seeing(gym.spaces.Dict({"a": IMAGE})))
    with pytest.raises(ValueError, match="gives conv_filters, but no policy observes an image"):
        config.get_multi_rl_module_spec(spaces=seeing(gym.spaces.Box(0.0, 1.0, (8,))))


def first_weights(**model_config) -> dict[str, torch.Tensor]:
    config = make_config().debugging(seed=3).rl_module(model_config=model_config)
    config.validate()
    box = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    spec = config.get_multi_rl_module_spec(spaces=spaces_of(player_0=box, player_1=box))
    return dict(spec.build()["player_0"].named_parameters())


@pytest.mark.parametrize(
    ("key", "concerned"),
    [
        ("fcnet_bias_initializer", ["0.bias", "2.bias"]),
        ("fcnet_kernel_initializer", ["0.weight", "2.weight"]),
        ("head_fcnet_bias_initializer", ["4.bias"]),
        ("head_fcnet_kernel_initializer", ["4.weight"]),
    ],
)
@pytest.mark.parametrize("draw", ["constant_", nn.init.constant_])
def test_first_weights_are_drawn_as_the_initializers_say(key, concerned, draw):
    sizes = {"fcnet_hiddens": [5, 4]}
    plain = first_weights(**sizes)
    drawn = first_weights(**sizes, **{key: draw, f"{key}_kwargs": {"val": 0.25}})
    concerned = [f"policy_network.{name}" for name in concerned]
    for name in plain:
        if name.startswith("policy_network"):
            assert bool((drawn[name] == 0.25).all()) == (name in concerned)
            assert torch.equal(drawn[name], plain[name]) == (name not in concerned)


def test_initializers_see_outputs_first_as_torchs_layers_have_them():
    seen = []

    def draw(tensor: torch.Tensor) -> None:
        seen.append(tuple(tensor.shape))
        nn.init.zeros_(tensor)

    network = mlp(3, [5, 4], 2, "relu")
    initialise(network, {"fcnet_kernel_initializer": draw, "head_fcnet_bias_initializer": draw})
    assert [shape for shape in seen if shape not in ((2, 2), (2,))] == [(5, 3), (4, 5)]
    assert not network[0].weight.any()
    assert not network[-1].bias.any()
    assert network[-1].weight.any()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"fcnet_kernel_initializer": "xavier_uniform"},
            "`fcnet_kernel_initializer` is 'xavier_uni",
        ),
        ({"head_fcnet_bias_initializer": "zeroes_"}, "`head_fcnet_bias_initializer` is 'zeroes_'"),
        ({"fcnet_bias_initializer": 0.0}, "`fcnet_bias_initializer` is 0.0; allowed"),
        ({"fcnet_bias_initializer": "xavier_uniform_"}, "`fcnet_bias_initializer` is .* fails"),
        (
            {"fcnet_kernel_initializer": "uniform_", "fcnet_kernel_initializer_kwargs": {"c": 1}},
            "`fcnet_kernel_initializer` is 'uniform_' with {'c': 1}, which fails",
        ),
        ({"fcnet_kernel_initializer_kwargs": {"a": 1}}, "allowed with `fcnet_kernel_initializer`"),
    ],
)
def test_an_initializer_that_cannot_draw_is_told_at_validation(given, message):
    with pytest.raises(ValueError, match=message):
        make_config().rl_module(model_config=given).validate()
