"""Ranking and probability metrics, by their definitions.

Letters: U users (queries), K places, N rows, B bins. Metrics of lists are per user, so that whoever resamples users can;
metrics of rows take a weight per row for the same reason. numpy only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Statistic = Callable[[np.ndarray], float]  # weights of shape (N,) -> the metric under them
SMALLEST = 1e-7  # a probability of 0 or 1 would make the log loss infinite


def recall_at_k(hits: np.ndarray, relevant: np.ndarray, k: int) -> np.ndarray:
    r"""Share of each user's relevant items that reach the first k places.

    .. math:: \mathrm{recall@}k(u) = \frac{|\{\text{relevant items of } u \text{ in places } 1 \dots k\}|}{|\text{relevant items of } u|}

    Parameters
    ----------
    hits : bool array of shape (U, K)
        Whether the item in each place is relevant, best place first. Ties were broken by whoever ranked.
    relevant : int array of shape (U,)
        Relevant items of each user, ranked or not; all > 0.
    k : int
        1 <= k <= K.

    Returns
    -------
    float array of shape (U,)
        In [0, 1].

    Raises
    ------
    ValueError
        If k is out of range or a user has no relevant item: there is nothing to recall.

    References
    ----------
    Manning, Raghavan & Schütze (2008), Introduction to Information Retrieval, section 8.4.

    Examples
    --------
    >>> hits = np.array([[True, False, True], [False, False, False]])
    >>> recall_at_k(hits, np.array([4, 1]), k=3).tolist()
    [0.5, 0.0]
    """
    _check_lists(hits, relevant, k)
    return np.asarray(hits[:, :k].sum(axis=1) / relevant)


def ndcg_at_k(hits: np.ndarray, relevant: np.ndarray, k: int) -> np.ndarray:
    r"""Discounted cumulative gain of the first k places over the best possible one, gains 0 or 1.

    .. math:: \mathrm{NDCG@}k(u) = \frac{\sum_{p=1}^{k} \mathrm{hit}_{u,p} / \log_2(p + 1)}{\sum_{p=1}^{\min(k, |rel_u|)} 1 / \log_2(p + 1)}

    Parameters and errors are those of `recall_at_k`.

    Returns
    -------
    float array of shape (U,)
        In [0, 1]; 1 if the first min(k, relevant) places are all hits.

    References
    ----------
    Järvelin & Kekäläinen (2002), "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20(4), 422–446; with the
    discount log2(p + 1) from place 1 on, as Burges et al. (2005), "Learning to rank using gradient descent", ICML.

    Examples
    --------
    >>> hits = np.array([[True, False, True], [False, True, False]])
    >>> ndcg_at_k(hits, np.array([2, 1]), k=3).round(3).tolist()
    [0.92, 0.631]
    """
    _check_lists(hits, relevant, k)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(relevant, k) - 1]
    return np.asarray(hits[:, :k] @ discounts / ideal)


def coverage(shown: np.ndarray, items: int) -> float:
    """Share of the catalogue that is recommended to anybody.

    Parameters
    ----------
    shown : int array of any shape
        Item indices in [0, items); negative ones are empty places.
    items : int
        Size of the catalogue, > 0.

    References
    ----------
    Ge, Delgado-Battenfeld & Jannach (2010), "Beyond accuracy: evaluating recommender systems by coverage and
    serendipity", RecSys: catalogue coverage.

    Examples
    --------
    >>> coverage(np.array([[0, 1], [1, -1]]), items=4)
    0.5
    """
    if items <= 0:
        raise ValueError("an empty catalogue has no coverage")
    return float(len(np.unique(shown[shown >= 0])) / items)


def auc_statistic(labels: np.ndarray, scores: np.ndarray) -> Statistic:
    """`auc` as a function of row weights; the sorting is done once."""
    _check_rows(labels, scores)
    _, group = np.unique(scores, return_inverse=True)
    positive = labels > 0

    def under(weights: np.ndarray) -> float:
        positives = np.bincount(group[positive], weights=weights[positive], minlength=group.max() + 1)
        negatives = np.bincount(group[~positive], weights=weights[~positive], minlength=group.max() + 1)
        total = positives.sum() * negatives.sum()
        if not total:
            return float("nan")
        below = np.cumsum(negatives) - negatives / 2  # a tie counts half
        return float(positives @ below / total)

    return under


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    r"""Chance that a positive row scores above a negative one; ties count half.

    .. math:: \mathrm{AUC} = \frac{1}{N_+ N_-} \sum_{i \in +} \sum_{j \in -} [s_i > s_j] + \tfrac12 [s_i = s_j]

    Parameters
    ----------
    labels : array of shape (N,)
        Positive where > 0.
    scores : float array of shape (N,)
        Finite; only their order matters.

    Returns
    -------
    float
        In [0, 1]; NaN if only one class is there: the metric is then not defined, and the gate says so.

    Raises
    ------
    ValueError
        If there is no row, the shapes differ, or a score is not finite.

    References
    ----------
    Hanley & McNeil (1982), "The meaning and use of the area under a ROC curve", Radiology 143(1).

    Examples
    --------
    >>> auc(np.array([1, 0, 1, 0]), np.array([0.9, 0.1, 0.4, 0.4]))
    0.875
    """
    return auc_statistic(labels, scores)(np.ones(len(labels)))


def log_loss_statistic(labels: np.ndarray, probabilities: np.ndarray) -> Statistic:
    """`log_loss` as a function of row weights."""
    _check_rows(labels, probabilities)
    clipped = np.clip(probabilities, SMALLEST, 1 - SMALLEST)
    losses = -np.where(labels > 0, np.log(clipped), np.log1p(-clipped))
    return lambda weights: float(losses @ weights / weights.sum())


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative log likelihood in nats; probabilities are kept `SMALLEST` away from 0 and 1.

    References
    ----------
    Good (1952), "Rational decisions", JRSS B 14(1).

    Examples
    --------
    >>> round(log_loss(np.array([1, 0]), np.array([0.8, 0.4])), 4)
    0.367
    """
    return log_loss_statistic(labels, probabilities)(np.ones(len(labels)))


def calibration_error_statistic(labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> Statistic:
    """`calibration_error` as a function of row weights, the bins those of the unweighted rows."""
    _check_rows(labels, probabilities)
    group = equal_mass_bins(probabilities, bins)

    def error(weights: np.ndarray) -> float:
        apart = np.bincount(group, weights=weights * (probabilities - labels))
        return float(np.abs(apart).sum() / weights.sum())

    return error


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> float:
    r"""Expected calibration error over bins of equal mass.

    .. math:: \mathrm{ECE} = \sum_{b=1}^{B} \frac{n_b}{N} \left| \bar p_b - \bar y_b \right|

    Equal mass rather than equal width: click probabilities crowd near 0, where equal widths would make one bin of them.
    Equal probabilities share a bin. Never 0 by chance alone: N rows of rate r add about sqrt(2 r B / (pi N)).

    Returns
    -------
    float
        In [0, 1].

    References
    ----------
    Naeini, Cooper & Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian binning", AAAI; equal mass as
    Nixon et al. (2019), "Measuring calibration in deep learning", CVPR workshops.

    Examples
    --------
    >>> round(calibration_error(np.array([1, 0, 0, 0]), np.array([0.25, 0.25, 0.25, 0.25])), 6)
    0.0
    >>> round(calibration_error(np.array([1, 1, 0, 0]), np.array([0.9, 0.9, 0.2, 0.2]), bins=2), 6)
    0.15
    """
    return calibration_error_statistic(labels, probabilities, bins)(np.ones(len(labels)))


def equal_mass_bins(values: np.ndarray, bins: int) -> np.ndarray:
    """Bin 0 … bins − 1 of each value, about as many rows in each; equal values are never parted.

    Examples
    --------
    >>> equal_mass_bins(np.array([0.1, 0.2, 0.2, 0.9]), bins=2).tolist()
    [0, 0, 0, 1]
    """
    edges = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf")
    return np.searchsorted(np.unique(edges), values, side="left")


def _check_lists(hits: np.ndarray, relevant: np.ndarray, k: int) -> None:
    if hits.ndim != 2 or len(hits) != len(relevant):
        raise ValueError(f"hits have shape {hits.shape}, relevant {relevant.shape}; expected (U, K) and (U,)")
    if not 1 <= k <= hits.shape[1]:
        raise ValueError(f"k is {k}; expected 1 to {hits.shape[1]}, the places that were ranked")
    if len(relevant) and relevant.min() < 1:
        raise ValueError("a user has no relevant item: leave such users out")


def _check_rows(labels: np.ndarray, scores: np.ndarray) -> None:
    if labels.shape != scores.shape or labels.ndim != 1 or not len(labels):
        raise ValueError(f"labels have shape {labels.shape}, scores {scores.shape}; expected the same (N,), N > 0")
    if not np.isfinite(scores).all():
        raise ValueError("a score is NaN or infinite")
