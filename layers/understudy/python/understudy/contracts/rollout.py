"""What the roll_out machine, its children and their doors say to each other (docs/seams.md, Rollout)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from understudy.contracts.traffic import BasisPoints, ReleaseId, Slot, Standing

StageKind = Literal["shadow", "share", "watch"]
LookAction = Literal["look_again", "next", "roll_back", "extend", "hold"]


class _Contract(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ApprovalDetail(BaseModel):
    """`SageMaker Model Package State Change`; AWS's event carries more than we read."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    package_arn: str = Field(alias="ModelPackageArn")
    group: str = Field(alias="ModelPackageGroupName")
    approval: str = Field(alias="ModelApprovalStatus")


class PackageApproved(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    detail: ApprovalDetail


class TakeStageEvent(_Contract):
    """`by_hand`: an operator wants it on stage although a newer one serves."""

    release_id: ReleaseId
    execution_arn: str
    by_hand: bool = False


class Stage(_Contract):
    """One stretch of a rollout between two traffic writes.

    `shadow` shows the candidate to nobody and copies requests to it, `share` shows it to `share_bp` of the users, `watch`
    is the time after promotion. `next` is the place of the stage that follows in the rollout's list; None after the last.
    """

    index: Annotated[int, Field(ge=0)]
    kind: StageKind
    share_bp: BasisPoints
    shadow_bp: BasisPoints = 0
    holdback_bp: BasisPoints = 0
    bake_s: Annotated[int, Field(ge=0)]
    next: int | None = None
    before_promotion: bool = False  # what follows is the promotion: the judge must show non-inferiority


class RolloutPlan(_Contract):
    """What a rollout may do now that it holds the stage.

    `first`: the stage is empty. `roll_out`: through `stages` in order. `leave`: nothing, for the reason given.
    """

    action: Literal["first", "roll_out", "leave"]
    release_id: ReleaseId
    slot: Slot | None = None
    fence: int = 0
    stages: list[Stage] = []
    previous: Standing | None = None  # still kept from the rollout before; its slot is needed
    reason: str


class SlotEvent(_Contract):
    release_id: ReleaseId
    slot: Slot


class MatchEndpointsEvent(_Contract):
    """`coming` is the release that fills a slot before traffic names it."""

    coming: Standing | None
    fence: int


class RaiseCapacityEvent(_Contract):
    """Weights and counts for `share_bp` on the release; without a release, for the shares that traffic names now."""

    release_id: ReleaseId | None = None
    slot: Slot | None = None
    share_bp: BasisPoints | None = None
    holdback_bp: BasisPoints = 0
    fence: int


class RestoreScalingEvent(_Contract):
    fence: int


class AskedEndpoint(_Contract):
    """An endpoint, the configuration it must come to, and the instances a variant must have by then."""

    endpoint: str
    config: str
    counts: dict[str, int] = {}


class AskedSlot(_Contract):
    endpoints: list[AskedEndpoint]


class PutOnStageEvent(_Contract):
    """Without a stage the release is the first and becomes champion at once."""

    release_id: ReleaseId
    slot: Slot
    fence: int
    rollout_id: str
    at: AwareDatetime
    stage: Stage | None = None


class RetirePreviousEvent(_Contract):
    rollout_id: str
    fence: int
    at: AwareDatetime


class JudgeStageEvent(_Contract):
    """`version`: the traffic version that the stage was written at. `held`: a hold was told of before. `looks` so far."""

    release_id: ReleaseId
    slot: Slot
    rollout_id: str
    stage: Stage
    version: int
    started_at: AwareDatetime
    extended: bool = False
    held: bool = False
    looks: int = 0


class Look(_Contract):
    """What one look at a stage led to.

    `rest`: the child that looks has done its looks and ends, so that no history grows without bound. `next` is the
    stage's own `next`: the machine looks it up and does not count.
    """

    action: LookAction
    wait_s: int = 0
    looks: int = 0
    rest: bool = False
    verdict: str
    reason: str


class NotifyEvent(_Contract):
    kind: Literal["started", "stage", "verdict", "ended", "stuck", "alarm"]
    release_id: ReleaseId
    rollout_id: str
    facts: dict[str, Any] = {}


class LeaseEvent(_Contract):
    """Asked by a machine's last state."""

    lease: Literal["night", "stage"]
    owner: str


class RunEnded(BaseModel):
    """`Step Functions Execution Status Change` of a run that failed, timed out or was stopped."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    detail: dict[str, Any]
