"""Sampled softmax with in-batch and uniform negatives.

Shape letters: B rows of this process, C candidate items (the whole batch's positives, then N uniform ones), D factors.
"""

from __future__ import annotations

import torch


def log_candidate_rate(share_I: torch.Tensor, batch: int, uniform: int) -> torch.Tensor:
    """log Q of every item: how often it is expected among the candidates of one step.

    Parameters
    ----------
    share_I : float tensor of shape (I,)
        Chance that a training row is the item's; sums to 1.
    batch, uniform : int
        Rows of the global batch and items drawn uniformly beside them.
    """
    return torch.log((batch * share_I + uniform / len(share_I)).clamp(min=1e-12))


def sampled_softmax(
    users_BD: torch.Tensor,
    candidates_CD: torch.Tensor,
    candidate_items_C: torch.Tensor,
    log_q_C: torch.Tensor,
    weights_B: torch.Tensor,
    first: int = 0,
) -> torch.Tensor:
    """Weighted sum of each row's cross entropy of its positive among the candidates.

    Logits are u·v − log Q, so that popular items are not pushed down for being drawn often. Row b's positive is
    candidate `first + b`; another candidate that is the same item is an accidental hit and left out.

    Parameters
    ----------
    first : int
        Where this process's rows begin among the candidates.

    References
    ----------
    Yi et al.: Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations (2019), eq. 3–5;
    Yang et al.: Mixed Negative Sampling for Learning Two-tower Neural Networks in Recommendations (2020).
    """
    logits_BC = users_BD @ candidates_CD.T - log_q_C
    rows = torch.arange(len(users_BD), device=users_BD.device)
    positive = rows + first
    hit_BC = candidate_items_C[positive][:, None] == candidate_items_C[None, :]
    hit_BC[rows, positive] = False
    logits_BC = logits_BC.masked_fill(hit_BC, float("-inf"))
    return (weights_B * torch.nn.functional.cross_entropy(logits_BC, positive, reduction="none")).sum()
