"""Losses of the two kinds of network; every one ignores voxels without data and
terms whose truth is not known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sifdetect.anatomy import LesionBit, LocalizerClass, RegionClass
from sifdetect.learn.dataset import PLACE_KNOWN

LESION_WEIGHT = (1.5, 1.5, 1.5, 1.5, 1.0)
"""Weight of a positive voxel by lesion. Twice as much made lines twice as thick as their labels."""

BESIDE = 3
"""Voxels, some 4.5 mm, that count as beside a fracture line."""
_LINE = list(LesionBit).index(LesionBit.FRACTURE_LINE)


@dataclass(frozen=True)
class RegionLoss:
    """Soft Dice and cross entropy for anatomy, Tversky and BCE for lesions, L1 for the level.

    Attributes:
        thin: see ``lesion_loss``.
    """

    thin: float = 0.0

    def __call__(
        self,
        output: Tensor,
        classes: Tensor,
        targets: Tensor,
        weight: Tensor,
        *,
        known: Tensor | None = None,
        possible: Tensor | None = None,
    ) -> Tensor:
        """The loss of one batch.

        Args:
            output: (n, 8 + 5 + 1, …). classes: (n, …). targets: (n, 5 + 1, …). weight: (n, …).
            known, possible: (n, …) uint8, see ``dataset``; None where everything is known.
        """
        count, lesions = len(RegionClass), len(LesionBit)
        anatomy = anatomy_loss(output[:, :count], classes, weight, possible=possible)
        logits = output[:, count : count + lesions]
        found = lesion_loss(logits, targets[:, :lesions], weight, known=known, thin=self.thin)
        sacral = (classes > 0) & (classes < RegionClass.L5) & _has(known, PLACE_KNOWN)
        level = _masked_l1(output[:, -1:], targets[:, -1:], sacral * weight)
        return anatomy + found + 0.3 * level


region_loss = RegionLoss()
"""With every voxel's weight the same."""


def localizer_loss(
    output: Tensor,
    classes: Tensor,
    targets: Tensor,
    weight: Tensor,
    *,
    known: Tensor | None = None,
    possible: Tensor | None = None,
) -> Tensor:
    """Soft Dice and cross entropy for the bones, L1 for the place of their voxels.

    Args:
        output: (n, 6 + 3, …). classes: (n, …). targets: (n, 3, …). weight: (n, …).
        known, possible: (n, …) uint8, see ``dataset``; None where everything is known.
    """
    count = len(LocalizerClass)
    bones = anatomy_loss(output[:, :count], classes, weight, possible=possible)
    placed = (classes > 0) & _has(known, PLACE_KNOWN)
    return bones + 3.0 * _masked_l1(output[:, count:], targets, placed * weight)


def anatomy_loss(
    logits: Tensor, classes: Tensor, weight: Tensor, *, possible: Tensor | None = None
) -> Tensor:
    """Soft Dice over the batch plus cross entropy (Isensee 2021, Nat Methods 18:203).

    Where a voxel may be of several classes, the entropy is that of their common probability (the
    marginal likelihood of Shi et al. 2021, Med Image Anal 70:101979) and Dice leaves it out.
    """
    count = logits.shape[1]
    likelihood = logits.log_softmax(dim=1)
    of_truth = likelihood.gather(1, classes[:, None])[:, 0]
    if possible is None:
        entropy = -(of_truth * weight).sum() / weight.sum().clamp(min=1)
    else:
        of_any, certain = _marginal(likelihood, possible)
        entropy = -(of_any * weight).sum() / weight.sum().clamp(min=1)
        weight = weight * certain
    # Sums by class rather than a one-hot copy of the labels, which would be as large as the logits.
    which, none = classes.flatten(), torch.zeros(count, device=logits.device)
    overlap = none.index_add(0, which, (of_truth.exp() * weight).flatten())
    truth = none.index_add(0, which, weight.flatten())
    found = torch.einsum("ncxyz,nxyz->c", likelihood.exp(), weight)
    present = truth > 0
    if not present.any():
        return entropy
    dice = (2 * overlap + 1) / (found + truth + 1)
    return entropy + 1 - dice[present][1:].mean() if present[1:].any() else entropy


def lesion_loss(
    logits: Tensor,
    truth: Tensor,
    weight: Tensor,
    *,
    known: Tensor | None = None,
    thin: float = 0.0,
) -> Tensor:
    """Tversky 0.4/0.6 (Salehi 2017) and weighted BCE, each lesion a channel of its own.

    Args:
        logits, truth: (n, 5, …). weight: (n, …).
        known: (n, …) uint8, see ``dataset``; None where everything is known.
        thin: how much more what is BESIDE a line, and none, weighs than what is far from any. Where
            a network cannot tell which of some voxels a line runs through, the losses alone make it
            mark them all.
    """
    positive = torch.tensor(LESION_WEIGHT, device=logits.device).view(1, -1, 1, 1, 1)
    entropy = functional.binary_cross_entropy_with_logits(
        logits, truth, pos_weight=positive, reduction="none"
    )
    seen = weight[:, None].expand_as(logits)
    if known is not None:
        bits = torch.tensor([lesion.value for lesion in LesionBit], device=known.device)
        seen = seen * ((known[:, None] & bits.view(1, -1, 1, 1, 1)) > 0)
    if thin:
        seen = seen + thin * seen * _beside_lines(truth)
    entropy = (entropy * seen).sum() / weight.sum().clamp(min=1)
    probability = logits.sigmoid()
    overlap = torch.einsum("ncxyz,ncxyz,ncxyz->c", probability, truth, seen)
    found = torch.einsum("ncxyz,ncxyz->c", probability, seen)
    size = torch.einsum("ncxyz,ncxyz->c", truth, seen)
    tversky = (overlap + 1) / (overlap + 0.4 * (found - overlap) + 0.6 * (size - overlap) + 1)
    present = size > 20
    if not present.any():
        return entropy
    return entropy + 0.6 * (1 - tversky[present]).mean()


def _beside_lines(truth: Tensor) -> Tensor:
    """(n, 5, …) 1 in the line's channel within BESIDE voxels of a line, outside of it; else 0."""
    line = truth[:, _LINE : _LINE + 1]
    around = functional.max_pool3d(line, 2 * BESIDE + 1, stride=1, padding=BESIDE) - line
    others = torch.zeros_like(truth)
    others[:, _LINE : _LINE + 1] = around
    return others


def _marginal(likelihood: Tensor, possible: Tensor) -> tuple[Tensor, Tensor]:
    """Log of the common probability of the classes that are possible, and where it is one class."""
    bits = torch.arange(likelihood.shape[1], device=likelihood.device).view(1, -1, 1, 1, 1)
    may_be = (possible[:, None].long() >> bits) & 1
    may_be[(may_be.sum(dim=1, keepdim=True) == 0).expand_as(may_be)] = 1  # nothing said: any
    together = likelihood.masked_fill(may_be == 0, -torch.inf).logsumexp(dim=1)
    return together, may_be.sum(dim=1) == 1


def _has(known: Tensor | None, bit: int) -> Tensor:
    """Where a bit is set; everywhere without ``known``."""
    return torch.tensor(True) if known is None else (known & bit) > 0


def _masked_l1(output: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    difference = functional.smooth_l1_loss(output, truth, beta=0.1, reduction="none")
    return (difference * mask[:, None]).sum() / (mask.sum() * output.shape[1]).clamp(min=1)
