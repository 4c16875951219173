"""The losses: pure functions of tensors, without state, modules or defaults.

Letters: n queries, M candidates, of which the first P may carry target mass.
"""

from typing import Any

from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def info_nce(similarities: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """InfoNCE with soft targets (van den Oord et al. 2018, arXiv:1807.03748), one value a query.

    The cross entropy of the softmax over candidates to the targets; differentiable once.

    similarities: (n, M) to all candidates; -inf leaves one out.
    targets:      (n, P), P <= M, over the first P columns, rows sum to one; one-hot rows give the plain loss. A
                  column at -inf carries none.
    temperature:  > 0.
    returns:      (n,), in nats, lower is better.

    >>> import torch
    >>> similarities = torch.tensor([[0.9, 0.1, 0.0]])  # to the own key and two negatives
    >>> info_nce(similarities, torch.tensor([[1.0]]), temperature=0.2)
    tensor([0.0290])
    """
    return _InfoNCE.apply(similarities, targets, temperature)


class _InfoNCE(Function):
    """With a hand-written gradient: one pass over the candidates; that of log-softmax takes four."""

    @staticmethod
    def forward(ctx: Any, similarities: Tensor, targets: Tensor, temperature: float) -> Tensor:
        logits = similarities / temperature
        p = logits.softmax(dim=1)
        log_total = logits.amax(dim=1) - p.amax(dim=1).log()
        log_p = logits[:, : targets.shape[1]] - log_total[:, None]
        log_p.masked_fill_(targets == 0, 0.0)  # since 0 * -inf is nan
        ctx.save_for_backward(p, targets, log_p)
        ctx.temperature = temperature
        return -(targets * log_p).sum(dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        p, targets, log_p = ctx.saved_tensors
        gradient = gradient[:, None]
        scale = gradient / ctx.temperature
        of_similarities = p * (scale * targets.sum(dim=1, keepdim=True))
        of_similarities[:, : targets.shape[1]].addcmul_(targets, scale, value=-1)
        return of_similarities, -log_p * gradient if ctx.needs_input_grad[1] else None, None


def cosine_regression(similarities: Tensor, targets: Tensor) -> Tensor:
    """BYOL's squared distance to a target mixture of unit keys, one value a query.

    2 - 2 <p, sum_j t_j k_j>: Grill et al. 2020, arXiv:2006.07733, eq. 2; for mixtures i-Mix,
    arXiv:2010.08887, eq. 6, where the mixture of keys is not normalised again.

    similarities: (n, P) cosines of the predictions to the keys.
    targets:      (n, P), rows sum to one.
    returns:      (n,), in [0, 4], lower is better.
    """
    return 2 - 2 * (targets * similarities).sum(dim=1)
