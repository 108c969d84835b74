"""The one item that says what serves: DynamoDB TrafficTable, `id` = "traffic" (DESIGN §2). Nothing else decides."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

Slot = Literal["blue", "green"]
Arm = Literal["champion", "candidate", "holdback"]
ReleaseId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,24}$")]
BasisPoints = Annotated[int, Field(ge=0, le=10_000)]
ALL_BP = 10_000


class Standing(BaseModel):
    """A release and the slot it stands in, on both endpoints alike."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    release: ReleaseId
    slot: Slot


class Traffic(BaseModel):
    """Who serves whom.

    `version` counts writes, `fence` says which writers may still write, `change_id` names the change that made this
    version: a writer whose reply was lost finds its own there and knows that it is done. `share_bp` of the users
    (lowest buckets) meet the candidate; `holdback_bp` of them (highest buckets, the last a rollout reaches) stay on
    `previous` after a promotion. Of the requests that the champion answers, those of `shadow_bp` of the users are copied to
    the candidate, whose answers nobody sees.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    version: Annotated[int, Field(ge=1)] = 1
    fence: Annotated[int, Field(ge=0)] = 0
    change_id: Annotated[str, Field(min_length=1, max_length=128)]
    rollout_id: str | None = None
    champion: Standing
    candidate: Standing | None = None
    share_bp: BasisPoints = 0
    shadow_bp: BasisPoints = 0
    salt: Annotated[str, Field(min_length=1, max_length=64)]
    previous: Standing | None = None
    holdback_bp: BasisPoints = 0
    reason: str
    changed_at: AwareDatetime

    @model_validator(mode="after")
    def _two_slots_hold_two_releases(self) -> Self:
        if self.candidate is not None and self.previous is not None:
            raise ValueError(
                "candidate and previous at once need a third slot: previous is retired before its slot is filled"
            )
        other = self.candidate or self.previous
        if other is not None and other.slot == self.champion.slot:
            raise ValueError(f"{other.release} and the champion both stand in slot {other.slot}")
        if self.candidate is None and (self.share_bp or self.shadow_bp):
            raise ValueError(f"share_bp is {self.share_bp}, shadow_bp {self.shadow_bp} without a candidate")
        if self.previous is None and self.holdback_bp:
            raise ValueError(f"holdback_bp is {self.holdback_bp} without a previous release")
        return self

    def next(self, *, change_id: str, reason: str, changed_at: datetime, **changes: object) -> Traffic:
        """This traffic with `changes` applied and validated; version and fence are set by the store that writes it.

        Examples
        --------
        >>> from datetime import UTC, datetime
        >>> now = datetime(2026, 1, 1, tzinfo=UTC)
        >>> blue, green = Standing(release="r-1", slot="blue"), Standing(release="r-2", slot="green")
        >>> first = Traffic(change_id="c1", champion=blue, salt="s", reason="first", changed_at=now)
        >>> stage = first.next(change_id="c2", reason="stage 1", changed_at=now, candidate=green, share_bp=1000)
        >>> (stage.candidate.release, stage.share_bp)
        ('r-2', 1000)
        """
        fields = {**dict(self), "change_id": change_id, "reason": reason, "changed_at": changed_at, **changes}
        return Traffic.model_validate(fields)

    @property
    def free_slot(self) -> Slot:
        """The slot in which the champion does not stand."""
        return "green" if self.champion.slot == "blue" else "blue"
