"""What a bundle's MONAI configurations name beside MONAI's own: a deeper U-Net, an inferer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers.inferer import SimpleInferer
from monai.networks.blocks.convolutions import Convolution
from monai.networks.nets.unet import UNet
from torch import Tensor, nn


class RefinedConvolution(Convolution):
    """MONAI's convolution, normalisation and activation, then a second one added to the first.

    The second starts with a normalisation scale of 0 and so adds nothing: a network whose
    convolutions are replaced by these and keep their weights answers as it did before, and can be
    trained on from there (Goyal et al. 2017, arXiv:1706.02677, §5.1, for the zero scale). The
    names of the first one's weights are those of the plain convolution.
    """

    def __init__(self, dimensions: int, inputs: int, outputs: int, **options: Any) -> None:
        super().__init__(dimensions, inputs, outputs, **options)
        kept = {k: v for k, v in options.items() if k in ("act", "norm", "bias", "adn_ordering")}
        self.refinement = Convolution(dimensions, outputs, outputs, **kept)
        nn.init.zeros_(self.refinement.get_parameter("adn.N.weight"))

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, …) to (n, outputs, …)."""
        first: Tensor = self.get_submodule("adn")(self.get_submodule("conv")(x))
        refined: Tensor = first + self.refinement(first)
        return refined


class RefinedUNet(UNet):
    """``monai.networks.nets.UNet`` that convolves twice on every grid but the finest and the
    coarsest.

    The finest one, at which memory and time are spent, has the last transposed convolution alone.
    Takes the arguments of UNet; ``num_res_units`` must be 0 and ``norm`` must have a scale.
    """

    def _get_down_layer(self, inputs: int, outputs: int, strides: int, is_top: bool) -> nn.Module:
        return RefinedConvolution(
            self.dimensions,
            inputs,
            outputs,
            strides=strides,
            kernel_size=self.kernel_size,
            **self._blocks(),
        )

    def _get_bottom_layer(self, inputs: int, outputs: int) -> nn.Module:
        plain: nn.Module = super()._get_down_layer(inputs, outputs, 1, False)
        return plain

    def _get_up_layer(self, inputs: int, outputs: int, strides: int, is_top: bool) -> nn.Module:
        if is_top:
            plain: nn.Module = super()._get_up_layer(inputs, outputs, strides, is_top)
            return plain
        return RefinedConvolution(
            self.dimensions,
            inputs,
            outputs,
            strides=strides,
            kernel_size=self.up_kernel_size,
            is_transposed=True,
            **self._blocks(),
        )

    def _blocks(self) -> dict[str, Any]:
        """What all blocks of the network share."""
        names = ("act", "norm", "dropout", "bias", "adn_ordering")
        return {name: getattr(self, name) for name in names}


class MirrorInferer(SimpleInferer):
    """``engine.as_used`` in torch: the mean of the answers to a box and to its mirror image.

    Args:
        across: channel that holds the coordinate along the first axis of the box.
    """

    def __init__(self, across: int) -> None:
        super().__init__()
        self.across = across

    def __call__(
        self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any
    ) -> Tensor:
        """(n, inputs, x, y, z) to (n, outputs, x, y, z)."""
        exchanged = inputs.flip(2)
        exchanged[:, self.across] *= -1.0
        there: Tensor = network(inputs, *args, **kwargs)
        back: Tensor = network(exchanged, *args, **kwargs)
        return torch.lerp(there, back.flip(2), 0.5)
