"""The networks of the tutorial and of Kim 2014 in PyTorch, without Keras, as an expert does it.

Convolutions are two-dimensional, with a height of 1: for those PyTorch has a layout with channels
last, in which vectors leave the embedding and no array is copied. Bias and ReLU follow the maximum,
where fewer values are left.

What differs from PyTorch's habits is the optimizer: `torch.optim.RMSprop` has a decay of 0.99 and
adds epsilon, 1e-8, outside the root. Keras has 0.9 and adds 1e-7 inside it, and so has this one.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (so it is known)

MODES = {"eager": "none", "compile": "torch.compile"}
"""How the network is run -> what compiles it."""

_RATE, _RHO, _EPSILON = 1e-3, 0.9, 1e-7
_DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Tutorial(nn.Module):
    """Token ids, int64[examples, sequence_length], to logits, float32[examples, classes]."""

    def __init__(self, words: int, embedding_dim: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, embedding_dim)
        self.convolution_1 = nn.Conv2d(embedding_dim, 128, (1, 5))
        self.convolution_2 = nn.Conv2d(128, 128, (1, 5))
        self.convolution_3 = nn.Conv2d(128, 128, (1, 5))
        self.hidden = nn.Linear(128, 128)
        self.logits = nn.Linear(128, classes)
        self.dropout = dropout

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        """Returns the logits."""
        x = _as_image(self.embedding(token_ids))
        for layer in (self.convolution_1, self.convolution_2):
            maxima = F.max_pool2d(F.conv2d(x, layer.weight), (1, 5))
            x = F.relu(maxima + layer.bias[:, None, None])
        maxima = F.conv2d(x, self.convolution_3.weight).amax(dim=(2, 3))
        x = F.relu(maxima + self.convolution_3.bias)
        x = F.dropout(F.relu(self.hidden(x)), self.dropout, self.training)
        logits: torch.Tensor = self.logits(x)
        return logits


class Kim(nn.Module):
    """Token ids, int64[examples, sequence_length], to logits, float32[examples, classes]."""

    def __init__(self, words: int, embedding_dim: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, embedding_dim)
        self.convolution_3 = nn.Conv2d(embedding_dim, 100, (1, 3))
        self.convolution_4 = nn.Conv2d(embedding_dim, 100, (1, 4))
        self.convolution_5 = nn.Conv2d(embedding_dim, 100, (1, 5))
        self.logits = nn.Linear(300, classes)
        self.dropout = dropout

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        """Returns the logits; windows that begin with padding do not count."""
        x = _as_image(self.embedding(token_ids))  # padding has a vector of zeros
        is_padding = (token_ids == 0)[:, None, None, :]
        maxima = []
        for layer in (self.convolution_3, self.convolution_4, self.convolution_5):
            windows = F.conv2d(F.pad(x, (0, layer.kernel_size[1] - 1)), layer.weight)
            most = windows.masked_fill(is_padding, -torch.inf).amax(dim=(2, 3))
            maxima.append(F.relu(most + layer.bias))
        x = F.dropout(torch.cat(maxima, dim=1), self.dropout, self.training)
        logits: torch.Tensor = self.logits(x)
        return logits


def _as_image(x: torch.Tensor) -> torch.Tensor:
    """From [examples, time, channels] to [examples, channels, 1, time], without a copy."""
    return x.transpose(1, 2).unsqueeze(2)


class RMSprop(torch.optim.Optimizer):
    """Keras' RMSprop: `w -= rate * g / sqrt(mean(g * g) + epsilon)`."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {"lr": _RATE, "rho": _RHO, "epsilon": _EPSILON})

    def step(self, closure: Any = None) -> None:
        """Takes a step along the gradients."""
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    state, gradient = self.state[parameter], parameter.grad
                    if not state:
                        state["mean_square"] = torch.zeros_like(parameter)
                    mean_square = state["mean_square"].mul_(group["rho"])
                    mean_square.addcmul_(gradient, gradient, value=1 - group["rho"])
                    root = (mean_square + group["epsilon"]).sqrt_()
                    parameter.addcdiv_(gradient, root, value=-group["lr"])


class Peer:
    """The network with its optimizer.

    Args:
      weights: Keras' path -> float32[...], in Keras' order of axes.
      dropout: the rate.
      mode: a key of `MODES`.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], dropout: float, mode: str) -> None:
        words, embedding_dim = weights["embedding/embeddings"].shape
        make = Tutorial if "hidden/kernel" in weights else Kim
        network = make(words, embedding_dim, len(weights["logits/bias"]), dropout)
        network.embedding.weight.requires_grad_(False)
        with torch.no_grad():
            network.embedding.weight.copy_(torch.from_numpy(weights["embedding/embeddings"]))
            for path, parameter in _trainable(network).items():
                # Both kinds of kernel have their axes the other way round.
                value = torch.from_numpy(weights[path].T.copy())
                parameter.copy_(value.reshape(parameter.shape))
        self._network = network.to(_DEVICE, memory_format=torch.channels_last).train()
        self._optimizer = RMSprop(_trainable(self._network).values())
        self._run = torch.compile(self._network) if mode == "compile" else self._network

    def put(self, token_ids: np.ndarray, labels: np.ndarray) -> list[tuple[Any, Any]]:
        """Puts int32[steps, batch, sequence_length] and int32[steps, batch] on the device."""
        return [
            (torch.as_tensor(x, device=_DEVICE).long(), torch.as_tensor(y, device=_DEVICE).long())
            for x, y in zip(token_ids, labels, strict=True)
        ]

    def train(self, batches: list[tuple[Any, Any]]) -> float:
        """Takes a step for each batch, waits for the device, and returns the mean loss in nats."""
        loss_sum = torch.zeros((), device=_DEVICE)
        correct = torch.zeros((), device=_DEVICE, dtype=torch.int64)
        for token_ids, labels in batches:
            self._optimizer.zero_grad(set_to_none=True)
            logits = self._run(token_ids)
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            self._optimizer.step()
            # Keras keeps its metrics on the device too, and so this counts what it counts.
            loss_sum += loss.detach()
            correct += (logits.argmax(dim=1) == labels).sum()
        return float(loss_sum) / len(batches)

    def loss_and_gradients(self, batch: tuple[Any, Any]) -> tuple[float, dict[str, np.ndarray]]:
        """Returns the loss of a batch and its gradients by Keras' paths."""
        self._optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self._run(batch[0]), batch[1])
        loss.backward()
        trainable = _trainable(self._network).items()
        return loss.item(), {path: _as_in_keras(p.grad) for path, p in trainable}

    def weights(self) -> dict[str, np.ndarray]:
        """Returns the trainable weights by Keras' paths."""
        trainable = _trainable(self._network).items()
        return {path: _as_in_keras(p.detach()) for path, p in trainable}


def _as_in_keras(array: torch.Tensor) -> np.ndarray:
    """Return a kernel or bias with Keras' order of axes, and without the height of 1."""
    without_height = array.squeeze(2) if array.ndim == 4 else array
    values: np.ndarray = without_height.cpu().numpy().T.copy()
    return values


def _trainable(network: nn.Module) -> dict[str, Any]:
    return {
        name.replace(".weight", "/kernel").replace(".bias", "/bias"): parameter
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    }
