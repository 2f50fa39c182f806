"""Where networks compute: the device of a name, its precision, and what to say where it does not work.

This is the only place that decides. Everything else follows the device of the network that it is given
(`QNetwork.device`). Random numbers are drawn on the CPU whatever the device is, so that a seed means the same
everywhere, and what is saved on one device goes on on another.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from robot_finetune.config import ConfigError, shown
from robot_finetune.learning.networks.interface import AUTOCAST, CPU, NetworkConfig

AUTO = "auto"
NAMES = "auto, cpu, cuda, cuda:1 (the second card) or mps"
AMPERE = 8
"""First generation of NVIDIA's cards (compute capability) that multiplies in bfloat16."""


class DeviceError(RuntimeError):
    """A device fails while it is in use; the message says what to do."""


def prepare_device(name: str, threads: int = 1, acting: NetworkConfig | None = None) -> torch.device:
    """As `choose`, and sets how many threads torch takes for what is done on the CPU."""
    torch.set_num_threads(threads)
    return choose(name, acting)


def choose(name: str, acting: NetworkConfig | None = None) -> torch.device:
    """The device of a name: auto, cpu, cuda, cuda:1 or mps. Raises ConfigError if it is not there or does not work.

    auto is an accelerator where there is one; for decisions (acting: the network that makes them) it is the CPU where
    the network is made for that."""
    if not re.fullmatch("auto|cpu|mps|cuda(:[0-9]{1,3})?", name):
        raise ConfigError(f"device = {shown(name)}: allowed is {NAMES}")
    if name == AUTO:
        small = acting is not None and acting.name == "compact"
        return CPU if small else next((one for one in _accelerators() if not _missing(one)), CPU)
    device = torch.device("cuda:0" if name == "cuda" else name)
    if reason := _missing(device):
        raise ConfigError(f"device = {name!r}: {reason}")
    return device


def _accelerators() -> list[torch.device]:
    return [torch.device("cuda:0"), torch.device("mps")]


def _missing(device: torch.device) -> str:
    """Why a device cannot be used, and the cure, in one line; empty if it can."""
    if device.type == "cpu":
        return ""
    if device.type == "mps" and not torch.backends.mps.is_available():
        return f"torch {torch.__version__} has no mps on this computer; set device: cpu"
    if device.type == "cuda":
        if not torch.backends.cuda.is_built():
            return f"torch {torch.__version__} is built without CUDA; install its CUDA version, or set device: cpu"
        if not torch.cuda.is_available():
            return "torch finds no graphics card or driver (see `nvidia-smi`); cure that, or set device: cpu"
        if (count := torch.cuda.device_count()) <= (device.index or 0):
            there = "only cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
            return f"there is {there}; choose among those, or set device: cpu"
    try:
        torch.ones(1, device=device).add(1).item()
    except RuntimeError as error:
        return f"it does not work ({_first_line(error)}); see `robot-finetune doctor`, or set device: cpu"
    return ""


def own_card(device: torch.device) -> torch.device:
    """The graphics card of this process among those of its computer, where torchrun has started several."""
    if device.type != "cuda" or "LOCAL_RANK" not in os.environ:
        return device
    card = torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    torch.cuda.set_device(card)
    return card


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16: an update then takes little more than half of the time."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= AMPERE
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):  # an older torch cannot say
        return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
    return False


def mixed_precision(device: torch.device) -> AbstractContextManager:
    """In which an update computes: bfloat16 where the device has it; may be entered again and again."""
    if device.type not in AUTOCAST:
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))


def describe(device: torch.device) -> str:
    """The device and its maker's name, for people."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@contextmanager
def memory_checked(device: torch.device) -> Iterator[None]:
    """Raises DeviceError instead of torch's own errors where the memory of the device is full."""
    try:
        yield
    except RuntimeError as error:  # torch's class for this is not the same for all devices and releases
        if "out of memory" not in str(error):
            raise
        raise DeviceError(
            f"{describe(device)} is out of memory ({_first_line(error)}); set a smaller batch_size, end what else uses"
            " it, or set device: cpu"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160].rstrip(".")
