"""What is learned about where the gripper is in an image, beside the Q-function: the place, and how sure of it to be.

A network that is trained on one gripper alone is as sure of anything else that it takes for one. So it is told both:
its spread is scored by its error (the likelihood of a normal distribution), and where there is no gripper in view it is
to spread all over. A gripper that it has never seen is then nothing, rather than something else.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SHARP, VAGUE = 0.03, 0.05
"""Spread [m] of where the gripper may be, up to which it is believed to be where it is seen, and from which on it is
believed to be where the calibration says. Of the shipped policy it is 0.02 on its own gripper and 0.13 on another."""
NOWHERE = 0.11  # [m] spread that is to be reached where there is no gripper: about that of a search window as a whole
LEAST_VARIANCE = 0.5  # [cm^2] what the pitch of the window allows
AWAY = 0.2, 0.35  # [m] from the gripper: it is not in a search window there


def believed(seen: Tensor, spread: Tensor) -> Tensor:
    """Where the gripper is believed to be (B, 2) [m]: where it is `seen` (B, 2) [m] as far as `spread` (B,) [m] allows,
    else at zero, where the calibration says."""
    return seen * ((VAGUE - spread.detach()[:, None]) / (VAGUE - SHARP)).clamp(0, 1)


def misplaced(seen: Tensor, spread: Tensor, place: Tensor) -> Tensor:
    """How wrong it is where the gripper is seen (B, 2) [m], in cm, and how badly its `spread` (B,) [m] says so.

    place: (B, 2) [m] where the gripper is; rows count as right where it is NaN: nobody knows.
    """
    known = ~torch.isnan(place)
    place = place.where(known, seen.detach())
    squared = (100 * (seen - place)).square().sum(-1).detach()
    variance = (100 * spread).square() + LEAST_VARIANCE
    surprise = (squared / variance + variance.log()) / 2
    return F.smooth_l1_loss(100 * seen, 100 * place, beta=0.5) + (surprise * known[:, 0]).mean()


def imagined(spread: Tensor) -> Tensor:
    """How sure, in cm, it is of a gripper where there is none, by its `spread` (B,) [m] there."""
    return F.relu(100 * (NOWHERE - spread)).mean() / 2


def places_away(place: Tensor, generator: torch.Generator) -> Tensor:
    """Places (B, 2) [m] in any direction from the gripper at `place` (B, 2) [m], NaN where nobody knows.

    generator: of the CPU."""
    angle, far = torch.rand((2, len(place)), generator=generator)
    far = AWAY[0] + (AWAY[1] - AWAY[0]) * far
    aside = torch.stack([far * torch.cos(2 * math.pi * angle), far * torch.sin(2 * math.pi * angle)], -1)
    return torch.nan_to_num(place) + aside.to(place.device)
