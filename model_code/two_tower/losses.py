"""Sampled softmax with in-batch and uniform negatives.

Shape letters: B rows of this process, G rows of the global batch, N uniform items, C distinct candidates, I items, D factors.
"""

from __future__ import annotations

import torch


def log_candidate_rate(share_I: torch.Tensor, batch: int, uniform: int) -> torch.Tensor:
    """log Q of every item: the chance that it is among the candidates of a step.

    Parameters
    ----------
    share_I : float tensor of shape (I,)
        Chance that a training row is the item's; sums to 1.
    batch, uniform : int
        Rows of the global batch and items drawn uniformly beside them.
    """
    missed_I = batch * torch.log1p(-share_I.clamp(max=1 - 1e-12)) + uniform * torch.log1p(
        torch.tensor(-1 / max(len(share_I), 2), dtype=share_I.dtype)
    )
    return torch.log(-torch.expm1(missed_I).clamp(max=-1e-12))


def distinct_candidates(
    positives_G: torch.Tensor, uniform_N: torch.Tensor, multiple: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Every item of a step once: an item drawn twice is an accidental hit on itself, and counts as one candidate.

    Returns
    -------
    candidates_C : int64 tensor, ascending, filled up to a multiple of `multiple` with its first item
    real_C : bool tensor, False for what was filled up
    place_G : int64 tensor, each row's positive among the candidates
    """
    distinct, place = torch.unique(torch.cat([positives_G, uniform_N]), return_inverse=True)
    missing = -len(distinct) % multiple
    candidates_C = torch.cat([distinct, distinct[:1].expand(missing)])
    return candidates_C, torch.arange(len(candidates_C)) < len(distinct), place[: len(positives_G)]


def sampled_softmax(
    users_BD: torch.Tensor,
    candidates_CD: torch.Tensor,
    place_B: torch.Tensor,
    log_q_C: torch.Tensor,
    weights_B: torch.Tensor,
) -> torch.Tensor:
    """Weighted sum of each row's cross entropy of its positive among the candidates.

    Logits are u·v − log Q. With Q the chance of being a candidate at all, and every candidate there once, this is the
    exact posterior of the positive given the set: popular items are not pushed down for being drawn often, also where
    the catalogue is so small that they are drawn nearly always (counting them as often as drawn is biased there).

    Parameters
    ----------
    place_B : int64 tensor of shape (B,)
        The row's positive among the candidates.
    log_q_C : float tensor of shape (C,)
        Plus infinity leaves a candidate out.

    References
    ----------
    Yi et al.: Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations (2019), eq. 3–5;
    Jean et al.: On Using Very Large Target Vocabulary for Neural Machine Translation (2015), sec. 3;
    Yang et al.: Mixed Negative Sampling for Learning Two-tower Neural Networks in Recommendations (2020).
    """
    logits_BC = users_BD @ candidates_CD.T - log_q_C
    return (weights_B * torch.nn.functional.cross_entropy(logits_BC, place_B, reduction="none")).sum()
