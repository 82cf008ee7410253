"""The networks in PyTorch, beginning with the same parameters as the node's."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

# Filters or matrix of each layer, in the order and layout of the node's flat vector.
SHAPES = {
    "activity": [(1, 3, 24, 32), (1, 5, 32, 48), (1, 5, 48, 64), (64, 7)],
    "cifar10": [(3, 3, 3, 32), (3, 3, 32, 64), (3, 3, 64, 64), (1024, 64), (64, 10)],
}


class Cifar10(nn.Module):
    """conv 32-64-64, two max-pools, dense 64, dense 10."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((3, 32), (32, 64), (64, 64))
        self.convolutions = nn.ModuleList(nn.Conv2d(c, d, 3) for c, d in sizes)
        self.dense = nn.ModuleList((nn.Linear(1024, 64), nn.Linear(64, 10)))
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From x (n, 32, 32, 3) to logits; NHWC memory is PyTorch's channels-last."""
        x = x.permute(0, 3, 1, 2)
        for layer, convolution in enumerate(self.convolutions):
            x = torch.relu(convolution(x))
            if layer < 2:
                x = self.pool(x)
        x = torch.relu(self.dense[0](x.permute(0, 2, 3, 1).flatten(1)))
        return self.dense[1](x)


class Activity(nn.Module):
    """Three convolutions over time, two max-pools, mean over time, dense."""

    def __init__(self) -> None:
        super().__init__()
        (_, taps, joined, depth), *rest, dense = SHAPES["activity"]
        stride = joined // 6
        self.convolutions = nn.ModuleList(
            [nn.Conv1d(6, depth, taps * stride, stride)]
            + [nn.Conv1d(c, d, taps) for _, taps, c, d in rest]
        )
        self.dense = nn.ModuleList([nn.Linear(*dense)])
        self.pool = nn.MaxPool1d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From x (n, samples, 6) to logits."""
        x = x.permute(0, 2, 1)
        for layer, convolution in enumerate(self.convolutions):
            x = torch.relu(convolution(x))
            if layer < 2:
                x = self.pool(x)
        return self.dense[0](x.mean(dim=2))


def build(task: str, flat: NDArray[np.float32]) -> nn.Module:
    """A network of a task from the node's flat vector."""
    network = Cifar10() if task == "cifar10" else Activity()
    layers = [*network.convolutions, *network.dense]
    vector, at = torch.from_numpy(flat.copy()), 0
    with torch.no_grad():
        for layer, shape in zip(layers, SHAPES[task], strict=True):
            size = torch.Size(shape).numel()
            weights = vector[at : at + size].reshape(shape)
            if isinstance(layer, nn.Conv2d):
                layer.weight.copy_(weights.permute(3, 2, 0, 1))
            elif isinstance(layer, nn.Conv1d):
                taps = weights.reshape(layer.kernel_size[0], -1, shape[-1])
                layer.weight.copy_(taps.permute(2, 1, 0))
            else:
                layer.weight.copy_(weights.T)
            at += size
            layer.bias.copy_(vector[at : at + shape[-1]])
            at += shape[-1]
    return network.to(memory_format=torch.channels_last) if task == "cifar10" else network
