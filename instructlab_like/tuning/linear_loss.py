"""The loss of trained tokens straight from their hidden states, a chunk at a time: their logits are never all there.

The head is frozen, so all that the backward pass needs of a token is the slope of its loss in its hidden state. That is
worked out with the loss, and no logit is kept or computed twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch.nn.functional import linear
from transformers import PreTrainedModel

CHUNK = 512 * 2**20  # bytes of a chunk's logits in float32
HEAD = "frozen_head"  # the attribute of a model whose head waits for the targets


@dataclass(frozen=True, slots=True)
class Unprojected:
    """Hidden states of trained tokens, (trained, hidden), which become losses once their targets are known."""

    hidden: torch.Tensor
    head: torch.nn.Linear

    def losses(self, targets: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of each token, in float32."""
        chunk = max(1, CHUNK // (4 * self.head.out_features))
        found = LinearLoss.apply(self.hidden, self.head.weight, self.head.bias, targets, chunk)  # type: ignore[no-untyped-call]
        return cast("torch.Tensor", found)


class LinearLoss(torch.autograd.Function):
    """(hidden, weight, bias, targets, chunk) to the loss of each token; a gradient for the hidden states alone."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        chunk: int,
    ) -> torch.Tensor:
        losses = hidden.new_empty(len(hidden), dtype=torch.float32)
        slopes = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for start in range(0, len(hidden), chunk):
            own = slice(start, start + chunk)
            logits = linear(hidden[own].to(weight.dtype), weight, bias).float()
            whole = logits.logsumexp(dim=-1, keepdim=True)
            losses[own] = (whole - logits.gather(1, targets[own, None]))[:, 0]
            if slopes is not None:
                shares = logits.sub_(whole).exp_()
                shares.scatter_add_(1, targets[own, None], shares.new_full((len(shares), 1), -1.0))
                slopes[own] = (shares.to(weight.dtype) @ weight).to(hidden.dtype)
        ctx.save_for_backward(slopes)
        return losses

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None, None]:
        (slopes,) = ctx.saved_tensors
        return slopes * gradients[0][:, None].to(slopes.dtype), None, None, None, None


class PassedOn(torch.nn.Linear):
    """A head that gives back what it reads. Models that scale their logits scale the hidden states instead, which
    comes to the same; a model that bends them does not pass the trial."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return input


def defer_head(model: PreTrainedModel) -> None:
    """Let `separate.forward` give Unprojected. The head stays in its place, under its name, with its weights.

    Raises NotImplementedError for a head that is not a plain frozen matrix.
    """
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if type(head) is not torch.nn.Linear:
        raise NotImplementedError("its head has an adapter, or is no plain matrix")
    if type(head.weight.data) is not torch.Tensor:
        raise NotImplementedError("its head is sharded or quantised")
    head.__class__ = PassedOn
    model.__dict__[HEAD] = head  # past nn.Module's own bookkeeping: it is a module of the model already


def deferred_head(model: torch.nn.Module) -> torch.nn.Linear | None:
    """The head that `defer_head` has set aside, also of a model that accelerate or PEFT has wrapped."""
    while isinstance(inner := getattr(model, "module", None), torch.nn.Module):
        model = inner
    return cast("torch.nn.Linear | None", getattr(model, HEAD, None))
