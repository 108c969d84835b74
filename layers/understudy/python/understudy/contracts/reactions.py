"""What an alarm says, the episode it may belong to, and what was decided (docs/seams.md, Monitoring, alarms, reactions)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

StateValue = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Action = Literal["roll_back", "retrain", "page", "wait", "ignore"]
EpisodeId = Annotated[str, Field(pattern=r"^[0-9]{8}t[0-9]{6}-[0-9a-f]{4}$")]
AlarmText = Annotated[str, Field(min_length=1, max_length=255)]  # CloudWatch's own limit of an alarm's name


class _FromAws(BaseModel):
    """AWS's events carry more than we read."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class AlarmState(_FromAws):
    value: StateValue
    timestamp: AwareDatetime
    reason: str = ""


class AlarmDetail(_FromAws):
    alarm_name: AlarmText = Field(alias="alarmName")
    state: AlarmState


class AlarmStateChange(_FromAws):
    """EventBridge `CloudWatch Alarm State Change` (CONTRACTS, CloudWatch)."""

    source: Literal["aws.cloudwatch"]
    detail_type: Literal["CloudWatch Alarm State Change"] = Field(alias="detail-type")
    detail: AlarmDetail


class Occasion(BaseModel):
    """One thing to answer: an alarm's state, and since when. It is decided about once, however often it is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    alarm: AlarmText
    state: StateValue
    at: AwareDatetime


class Episode(BaseModel):
    """One drift until it is answered; StateTable `episode#recommender`, written by compare-and-set on `version`.

    `run` is the retrain's execution, named before it is started; `started_at` is null until it was. `opened_by` is the
    occasion that opened it, so that the same occasion asked again finds its own. `in_a_row` counts the episodes, this one
    included, since drift was last over. `request` is the retrain's input, so that whoever starts it starts the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: Annotated[int, Field(ge=1)] = 1
    episode_id: EpisodeId
    opened_at: AwareDatetime
    opened_by: Occasion
    alarms: list[AlarmText]
    attempt: Annotated[int, Field(ge=1)] = 1
    run: str
    request: dict[str, Any]
    started_at: AwareDatetime | None = None
    cool_down_until: AwareDatetime
    closed_at: AwareDatetime | None = None
    in_a_row: Annotated[int, Field(ge=1)] = 1


class Reaction(BaseModel):
    """A decision as ReactionsTable keeps it, one an occasion.

    `execution` is what the decision starts and `input` what with. `settled`: what was decided was also done. Until then a
    retrain, rollback or page is done again by whoever finds it; a `wait` is decided about again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    occasion: Occasion
    action: Action
    reason: str
    decided_at: AwareDatetime
    episode_id: str | None = None
    execution: str | None = None
    input: dict[str, Any] | None = None
    settled: bool = False

    def told(self) -> dict[str, Any]:
        """What a door answers with."""
        said = {"alarm": self.occasion.alarm, "state": self.occasion.state, "action": self.action}
        return {**said, "reason": self.reason, "execution": self.execution, "episode_id": self.episode_id}
