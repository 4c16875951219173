"""The losses: pure functions of tensors, without state, modules or defaults.

Letters: n queries, M candidates, of which the first P may carry target mass.
"""

from torch import Tensor


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of logits to target distributions, one value a query.

    logits:  (n, M); -inf marks a column that is no candidate of this query.
    targets: (n, P), P <= M, over the first P columns, rows sum to one; a column at -inf carries none.
    returns: (n,), in nats, lower is better.
    """
    log_p = logits.log_softmax(dim=1)[:, : targets.shape[1]]
    return -(targets * log_p.masked_fill(targets == 0, 0.0)).sum(dim=1)  # since 0 * -inf is nan


def info_nce(similarities: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """InfoNCE with soft targets (van den Oord et al. 2018, arXiv:1807.03748), one value a query.

    similarities: (n, M) to all candidates; -inf leaves one out.
    targets:      (n, P), P <= M, over the first P columns, rows sum to one; one-hot rows give the plain loss.
    temperature:  > 0.
    returns:      (n,), in nats, lower is better.
    """
    return soft_cross_entropy(similarities / temperature, targets)


def cosine_regression(similarities: Tensor, targets: Tensor) -> Tensor:
    """BYOL's squared distance to a target mixture of unit keys, one value a query.

    2 - 2 <p, sum_j t_j k_j>: Grill et al. 2020, arXiv:2006.07733, eq. 2; for mixtures i-Mix,
    arXiv:2010.08887, eq. 6, where the mixture of keys is not normalised again.

    similarities: (n, P) cosines of the predictions to the keys.
    targets:      (n, P), rows sum to one.
    returns:      (n,), in [0, 4], lower is better.
    """
    return 2 - 2 * (targets * similarities).sum(dim=1)
