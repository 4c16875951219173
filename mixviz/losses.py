"""The losses: pure functions of tensors, without state, modules or defaults.

Letters: n queries, P columns that may carry target mass, M columns that never do, D embedding size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of logits to target distributions, one value a query.

    logits:  (n, M); -inf marks a column that is no candidate of this query.
    targets: (n, M), rows sum to one; a column at -inf carries none.
    returns: (n,), in nats, lower is better.
    """
    log_p = F.log_softmax(logits, dim=1).masked_fill(logits == -torch.inf, 0.0)  # since 0 * -inf is nan
    return -(targets * log_p).sum(dim=1)


def info_nce(positives: Tensor, negatives: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """InfoNCE with soft targets (van den Oord et al. 2018, arXiv:1807.03748), one value a query.

    positives:   (n, P) similarities to the columns that may carry target mass.
    negatives:   (n, M) similarities to columns that never do; -inf leaves a column out.
    targets:     (n, P), rows sum to one; one-hot rows give the plain loss.
    temperature: > 0.
    returns:     (n,), in nats, lower is better.
    """
    logits = torch.cat([positives, negatives], dim=1) / temperature
    return soft_cross_entropy(logits, F.pad(targets, (0, negatives.shape[1])))


def cosine_regression(similarities: Tensor, targets: Tensor) -> Tensor:
    """BYOL's squared distance to a target mixture of unit keys, one value a query.

    2 - 2 <p, sum_j t_j k_j>: Grill et al. 2020, arXiv:2006.07733, eq. 2; for mixtures i-Mix,
    arXiv:2010.08887, eq. 6, where the mixture of keys is not normalised again.

    similarities: (n, P) cosines of the predictions to the keys.
    targets:      (n, P), rows sum to one.
    returns:      (n,), in [0, 4], lower is better.
    """
    return 2 - 2 * (targets * similarities).sum(dim=1)
