"""The tutorial's network in PyTorch, as one would write it without Keras.

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


class Network(nn.Module):
    """Token ids, int64[examples, sequence_length], to logits, float32[examples, classes]."""

    def __init__(self, words: int, embedding_dim: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, embedding_dim)
        self.embedding.weight.requires_grad_(False)
        self.convolution_1 = nn.Conv1d(embedding_dim, 128, 5)
        self.convolution_2 = nn.Conv1d(128, 128, 5)
        self.convolution_3 = nn.Conv1d(128, 128, 5)
        self.hidden = nn.Linear(128, 128)
        self.logits = nn.Linear(128, classes)
        self.dropout = dropout

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        """Returns the logits; PyTorch's convolutions take channels before time."""
        x = self.embedding(token_ids).transpose(1, 2)
        x = F.max_pool1d(F.relu(self.convolution_1(x)), 5)
        x = F.max_pool1d(F.relu(self.convolution_2(x)), 5)
        x = F.relu(self.convolution_3(x)).amax(dim=2)
        x = F.dropout(F.relu(self.hidden(x)), self.dropout, self.training)
        logits: torch.Tensor = self.logits(x)
        return logits


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
        network = Network(words, embedding_dim, len(weights["logits/bias"]), dropout)
        with torch.no_grad():
            network.embedding.weight.copy_(torch.from_numpy(weights["embedding/embeddings"]))
            for path, parameter in _trainable(network).items():
                # Both kinds of kernel have their axes the other way round.
                parameter.copy_(torch.from_numpy(weights[path].T.copy()))
        self._network = network.to(_DEVICE).train()
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
        return loss.item(), {path: p.grad.cpu().numpy().T for path, p in trainable}

    def weights(self) -> dict[str, np.ndarray]:
        """Returns the trainable weights by Keras' paths."""
        trainable = _trainable(self._network).items()
        return {path: p.detach().cpu().numpy().T.copy() for path, p in trainable}


def _trainable(network: nn.Module) -> dict[str, Any]:
    return {
        name.replace(".weight", "/kernel").replace(".bias", "/bias"): parameter
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    }
