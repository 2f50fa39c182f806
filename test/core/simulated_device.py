"""An accelerator that is not there: `with SimulatedDevice():` tensors that are moved to DEVICE are kept apart, though
the CPU computes with them.

What an accelerator refuses is refused: an operation on tensors of both (MixedDevices), and numpy's view of one
that is there. Everything else gives the CPU's numbers, so that a run can be compared with the CPU's bit by bit.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

DEVICE = torch.device("meta")  # the one kind that every torch has, and on which it computes nothing by itself
CPU = torch.device("cpu")
aten = torch.ops.aten
MOVES = (aten._to_copy, aten.to, aten.copy_)
"""What takes tensors of both."""


class MixedDevices(RuntimeError):
    """An operation on tensors of two devices."""


class There(torch.Tensor):
    """A tensor on DEVICE. kept: its numbers."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, kept):
        shape = {"strides": kept.stride(), "storage_offset": kept.storage_offset()}
        return torch.Tensor._make_wrapper_subclass(cls, kept.shape, dtype=kept.dtype, device=DEVICE, **shape)

    def __init__(self, kept):
        self.kept = kept

    def __repr__(self):
        return f"There({self.kept})"

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


class SimulatedDevice(TorchDispatchMode):
    """Within it there is DEVICE."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


def _run(function, args, kwargs):
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    left = [tensor for tensor in tensors if tensor.dim() and not isinstance(tensor, There)]
    moved = any(isinstance(tensor, There) for tensor in tensors)
    if left and moved and function.overloadpacket not in MOVES:
        raise MixedDevices(f"{function}: a tensor {tuple(left[0].shape)} was left on the CPU")
    asked = [value for value in (*args, kwargs.get("device")) if isinstance(value, torch.device)]
    there = asked[0] == DEVICE if asked else moved
    if function is aten.copy_.default:
        there = isinstance(args[0], There)
    made = function(*_here(args), **_here(kwargs))
    if not there or function is aten._local_scalar_dense.default:
        return made
    with torch.inference_mode(False):  # else a view of a tensor from outside that mode could not be made
        made = tree_map_only(torch.Tensor, There, made)
    return made if function.overloadpacket in MOVES[:2] else return_and_correct_aliasing(function, args, kwargs, made)


def _here(values):
    values = tree_map_only(There, lambda tensor: tensor.kept, values)
    return tree_map_only(torch.device, lambda _: CPU, values)
