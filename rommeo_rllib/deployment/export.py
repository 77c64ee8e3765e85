"""Policies for programs that know neither RLlib nor this package."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor, nn

from rommeo_rllib.file_versions import require_version
from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.spaces.encoding import decode_actions
from rommeo_rllib.joint_action.spaces.packing import pack
from rommeo_rllib.naming import printable

VERSION = 1
"""Of exports: what their inputs, outputs and parameters are called, and mean."""

_VERSION_KEY = "rommeo-rllib export version"


class GreedyActor(nn.Module):
    """A policy as one function of tensors: what it does greedily.

    Args:
        policy: a copy of it is taken, without the networks that only learning needs. All of its
            opponents are taken to act at each step.
    """

    def __init__(self, policy: JointActionPolicy):
        super().__init__()
        self.policy = copy.deepcopy(policy).requires_grad_(False)
        if not policy.inference_only:
            for name in policy.get_non_inference_attributes():
                delattr(self.policy, name)

    def forward(self, observations: Tensor) -> Tensor:
        """Actions in the environment's units, (B, ...).

        Args:
            observations: (B, ...); of Dict and Tuple all leaves, by sorted keys, in one vector.
        """
        flat = self.policy.act(self.policy.encode(observations), explore=False)
        return decode_actions(self.policy.action_space, flat, env_units=True)


def export_program(policy: JointActionPolicy, file: str | Path) -> None:
    """Writes the greedy policy by `torch.export`, for any number of rows.

    `torch.export.load(file).module()(observations)` acts as :class:`GreedyActor` does. Only load
    programs of people whom you trust: one that was altered runs code where torch loads it.
    """
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        GreedyActor(policy).eval(), _example(policy), dynamic_shapes=({0: batch},), strict=False
    )
    torch.export.save(program, file, extra_files={_VERSION_KEY: str(VERSION)})


def export_onnx(policy: JointActionPolicy, file: str | Path) -> None:
    """Writes the greedy policy in the ONNX format, for any number of rows.

    Its input is called "observations" and its output "actions"; both are :class:`GreedyActor`'s.
    Needs the packages `onnx` and `onnxscript`.
    """
    program = torch.onnx.export(
        GreedyActor(policy).eval(),
        _example(policy),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        input_names=["observations"],
        output_names=["actions"],
        verbose=False,
    )
    assert program is not None  # Which it is only without dynamo.
    program.model.metadata_props[_VERSION_KEY] = str(VERSION)
    # One file: networks of agents are far below the 2 GiB from which on weights must lie apart.
    program.save(file, external_data=False)


def _example(policy: JointActionPolicy) -> tuple[Tensor]:
    # Two rows, since a single one would be taken for a constant.
    observation = torch.from_numpy(pack(policy.observation_space.sample()))
    return (torch.stack([observation] * 2),)


def save_weights(policy: JointActionPolicy, file: str | Path) -> None:
    """Writes all parameters in the safetensors format, which holds no code."""
    from safetensors.torch import save_file

    weights = {name: value.contiguous() for name, value in policy.state_dict().items()}
    save_file(weights, file, {_VERSION_KEY: str(VERSION)})


def load_weights(policy: JointActionPolicy, file: str | Path) -> None:
    """Gives a policy of the same shape the parameters that :func:`save_weights` wrote.

    Raises:
        ValueError: if the file is damaged, of a foreign version, or of a policy of another shape.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as stored:
            version = (stored.metadata() or {}).get(_VERSION_KEY, "1")
            require_version(file, int(version) if version.isdecimal() else version, VERSION)
            weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        policy.load_state_dict(weights)
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(
            f"{printable(file)} does not hold the weights of such a policy: {printable(error)}"
        ) from error
