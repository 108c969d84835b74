from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from two_tower.losses import distinct_candidates, log_candidate_rate, sampled_softmax


def test_the_loss_is_the_corrected_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    users, items, log_q, weights = rng.normal(size=(4, 3)), rng.normal(size=(6, 3)), rng.normal(size=6), rng.random(4)
    place = np.array([2, 0, 2, 5])
    logits = users @ items.T - log_q
    expected = (weights * (np.log(np.exp(logits).sum(1)) - logits[np.arange(4), place])).sum()
    found = sampled_softmax(*map(torch.from_numpy, (users, items, place, log_q, weights)))
    assert float(found) == pytest.approx(expected, abs=1e-12)


def test_an_item_drawn_twice_is_one_candidate_so_no_row_meets_its_positive_as_a_negative() -> None:
    positives, uniform = torch.tensor([7, 3, 7, 9]), torch.tensor([3, 1, 1])
    candidates, real, place = distinct_candidates(positives, uniform, 3)
    assert candidates.tolist() == [1, 3, 7, 9, 1, 1]
    assert real.tolist() == [True] * 4 + [False] * 2
    assert candidates[place].tolist() == positives.tolist()


def test_what_was_filled_up_takes_no_part() -> None:
    users, items, place = torch.randn(2, 3), torch.randn(4, 3), torch.tensor([0, 1])
    log_q, ones = torch.tensor([0.1, 0.2, 0.3, math.inf]), torch.ones(2)
    whole, filled = (sampled_softmax(users, items[:n], place, log_q[:n], ones) for n in (3, 4))
    assert float(whole) == pytest.approx(float(filled), abs=1e-6)


def test_two_halves_of_a_batch_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(1)
    users, items, log_q, weights = (torch.from_numpy(rng.normal(size=size)) for size in ((6, 3), (5, 3), (5,), (6,)))
    place = torch.arange(6) % 5
    halves = [sampled_softmax(users[s], items, place[s], log_q, weights[s]) for s in (slice(0, 3), slice(3, 6))]
    assert float(halves[0] + halves[1]) == pytest.approx(
        float(sampled_softmax(users, items, place, log_q, weights)), abs=1e-12
    )


@pytest.mark.parametrize("batch", [pytest.param(4, id="rarely drawn"), pytest.param(64, id="nearly always drawn")])
def test_the_corrected_loss_learns_how_often_items_are_chosen(batch: int) -> None:
    """Its optimum are the full softmax's logits, here log shares; without the correction it would be far off."""
    share = torch.tensor([0.5, 0.25, 0.15, 0.1], dtype=torch.float64)
    scores = torch.zeros(4, 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([scores], lr=0.03)
    draw = torch.Generator().manual_seed(0)
    log_q = log_candidate_rate(share, batch, 2)
    late = []
    for step in range(250):
        positives = torch.multinomial(share, batch, replacement=True, generator=draw)
        candidates, _, place = distinct_candidates(positives, torch.randint(4, (2,), generator=draw), 1)
        weights = torch.full((batch,), 1 / batch, dtype=torch.float64)
        loss = sampled_softmax(torch.ones_like(weights)[:, None], scores[candidates], place, log_q[candidates], weights)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step >= 150:
            late.append(torch.softmax(scores.detach()[:, 0], 0))
    assert torch.allclose(torch.stack(late).mean(0), share, atol=0.05)


def test_the_rate_is_the_chance_of_being_drawn_at_least_once() -> None:
    rate = torch.exp(log_candidate_rate(torch.tensor([0.75, 0.25]).double(), 8, 4))
    assert rate.tolist() == pytest.approx([1 - 0.25**8 * 0.5**4, 1 - 0.75**8 * 0.5**4])
