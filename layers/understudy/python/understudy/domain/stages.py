"""The stages of a rollout, made of its parameters once, when it takes the stage."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.contracts.rollout import Stage
from understudy.contracts.traffic import ALL_BP
from understudy.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A rollout's parameters: shares in basis points, times in seconds."""

    shares_bp: tuple[int, ...]
    bake_s: int
    shadow_s: int
    shadow_bp: int
    holdback_bp: int


def shares_of(text: str) -> tuple[int, ...]:
    """Shares as the parameter `RolloutStages` writes them.

    Raises
    ------
    InvalidInput
        Not whole numbers, not growing, the last is not everybody, or it is the only one: a promotion follows a rehearsal.

    Examples
    --------
    >>> shares_of("1000,5000,10000")
    (1000, 5000, 10000)
    """
    expected = f"growing basis points that end at {ALL_BP}, such as 1000,5000,10000"
    try:
        shares = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput(f"RolloutStages is {text!r}", expected) from None
    grows = all(low < high for low, high in zip((0, *shares), shares, strict=False))
    if not grows or shares[-1] != ALL_BP or len(shares) == 1:
        raise InvalidInput(f"RolloutStages is {text!r}", expected)
    return shares


def stages_of(plan: StagePlan) -> list[Stage]:
    """Every stage in order: a shadow stage if it has time, the shares, and the watch after promotion.

    Examples
    --------
    >>> [(s.kind, s.share_bp, s.next) for s in stages_of(StagePlan((1000, 10000), 60, 0, 1000, 500))]
    [('share', 1000, 1), ('watch', 10000, None)]
    """
    stages: list[Stage] = []
    if plan.shadow_s > 0 and plan.shadow_bp > 0:
        stages.append(Stage(index=0, kind="shadow", share_bp=0, shadow_bp=plan.shadow_bp, bake_s=plan.shadow_s, next=1))
    for share in plan.shares_bp[:-1]:
        index = len(stages)
        last = share == plan.shares_bp[-2]
        stages.append(
            Stage(index=index, kind="share", share_bp=share, bake_s=plan.bake_s, next=index + 1, before_promotion=last)
        )
    stages.append(
        Stage(index=len(stages), kind="watch", share_bp=ALL_BP, holdback_bp=plan.holdback_bp, bake_s=plan.bake_s)
    )
    return stages
