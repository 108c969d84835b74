"""What the roll_back machine, its doors and whoever starts it say to each other (docs/seams.md, Rollout)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from understudy.contracts.traffic import ReleaseId

Cause = Literal["verdict", "alarm", "operator", "ended", "superseded"]
RolloutId = Annotated[str, Field(min_length=1, max_length=40)]


class _Contract(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RollBackInput(_Contract):
    """Input of the roll_back machine.

    `asked_at` and `attempt` tell a rollback that was started anew after one that failed: when the first was asked for, and
    how many came before. `pause_s` is waited after the release left the stage, from the second one on, so that what fails at once does not spin.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    release_id: ReleaseId
    rollout_id: RolloutId
    reason: str
    cause: Cause
    asked_at: AwareDatetime | None = None
    attempt: Annotated[int, Field(ge=0)] = 0
    pause_s: Annotated[int, Field(ge=0)] = 0


class TakeDownEvent(_Contract):
    """`change_id` is the name of the roll_back execution."""

    release_id: ReleaseId
    rollout_id: RolloutId
    reason: str
    change_id: str
    at: AwareDatetime


class SeizeStageEvent(_Contract):
    """As TakeDownEvent, by the execution that will own the lease."""

    release_id: ReleaseId
    rollout_id: RolloutId
    reason: str
    execution_arn: str
    at: AwareDatetime


class SeizedStage(_Contract):
    """`clean`: the stage is ours under `fence`. `close`: somebody who runs has it and cleans up; only the word is ours to write."""

    action: Literal["clean", "close"]
    fence: int
    reason: str


class CollectLeftoversEvent(_Contract):
    """`leaving` is the release that is rolled back: its status says so only when everything else is done."""

    fence: int
    leaving: ReleaseId | None = None


class Leftovers(_Contract):
    """What was deleted."""

    endpoints: list[str] = []
    configs: list[str] = []
    models: list[str] = []
    indices: list[str] = []


class CloseRolloutEvent(_Contract):
    release_id: ReleaseId
    rollout_id: RolloutId
    cause: Cause
    reason: str
    fence: int


class EndedDetail(BaseModel):
    """`Step Functions Execution Status Change`; AWS's event carries more than we read. Times are epoch milliseconds."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)
    execution_arn: str = Field(alias="executionArn")
    machine_arn: str = Field(alias="stateMachineArn")
    name: str
    status: Literal["FAILED", "TIMED_OUT", "ABORTED"]
    input: str
    error: str | None = None
    cause: str | None = None
    started_ms: int = Field(alias="startDate")
    stopped_ms: int = Field(alias="stopDate")
    redrives: int = Field(alias="redriveCount", default=0)


class ExecutionEnded(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    detail: EndedDetail
