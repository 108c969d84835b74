"""How many instances and which weight each variant has: counts are raised before a share, never lowered during a rollout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from understudy.contracts.rollout import RaiseCapacityEvent
from understudy.contracts.traffic import ALL_BP, Standing, Traffic


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant as it is, or as it is to be. Weights mirror the shares for who looks in SageMaker's console."""

    weight: float
    count: int


def shares(traffic: Traffic) -> dict[str, int]:
    """Basis points of the users that each slot serves now."""
    found: dict[str, int] = {traffic.champion.slot: ALL_BP - traffic.share_bp - traffic.holdback_bp}
    if traffic.candidate is not None:
        found[traffic.candidate.slot] = traffic.share_bp
    if traffic.previous is not None:
        found[traffic.previous.slot] = traffic.holdback_bp
    return found


def shares_with(traffic: Traffic, release: Standing, share_bp: int, holdback_bp: int = 0) -> dict[str, int]:
    """Basis points by slot once `share_bp` of the users meet `release`; the champion serves the others.

    Asked again after the promotion, when the release is champion itself, the answer is what traffic names.
    """
    if traffic.champion == release:
        return shares(traffic)
    met = min(share_bp, ALL_BP - holdback_bp)
    return {traffic.champion.slot: ALL_BP - met, release.slot: met}


def wanted_variants(running: Mapping[str, Variant], share_by_slot: Mapping[str, int]) -> dict[str, Variant]:
    """Every running variant's weight and count for these shares.

    A variant gets the part of the largest count that its share needs, at least one instance, and never fewer than it
    has: the largest count is what all of the load took before the rollout.

    Examples
    --------
    >>> running = {"blue": Variant(1.0, 8), "green": Variant(0.0, 1)}
    >>> wanted_variants(running, {"blue": 9000, "green": 1000})["green"]
    Variant(weight=0.1, count=1)
    >>> wanted_variants(running, {"blue": 5000, "green": 5000})["green"]
    Variant(weight=0.5, count=4)
    """
    largest = max((variant.count for variant in running.values()), default=1)
    found: dict[str, Variant] = {}
    for slot, variant in running.items():
        share = share_by_slot.get(slot, 0)
        found[slot] = Variant(share / ALL_BP, max(variant.count, ceil(largest * share / ALL_BP), 1))
    return found


def shares_asked(traffic: Traffic | None, asked: RaiseCapacityEvent) -> dict[str, int]:
    """Basis points by slot that a door was asked to make room for; none while nobody serves."""
    if traffic is None:
        return {}
    if asked.release_id is None or asked.slot is None or asked.share_bp is None:
        return shares(traffic)
    coming = Standing(release=asked.release_id, slot=asked.slot)
    return shares_with(traffic, coming, asked.share_bp, asked.holdback_bp)
