"""What the roll_out machine and its doors say to each other."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from understudy.contracts.traffic import ReleaseId, Slot


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
    release_id: ReleaseId
    execution_arn: str


class Stage(_Contract):
    """`fill`: the slot is ours to fill. `leave`: another release serves, for the reason given."""

    action: Literal["fill", "leave"]
    release_id: ReleaseId
    slot: Slot | None = None
    fence: int = 0
    reason: str


class SlotEvent(_Contract):
    release_id: ReleaseId
    slot: Slot


class AskedEndpoint(_Contract):
    """An endpoint and the configuration it must come to."""

    endpoint: str
    config: str


class AskedSlot(_Contract):
    endpoints: list[AskedEndpoint]


class PutOnStageEvent(_Contract):
    release_id: ReleaseId
    slot: Slot
    fence: int
    rollout_id: str
    at: AwareDatetime


class LeaseEvent(_Contract):
    """Asked by a machine's last state."""

    lease: Literal["night", "stage"]
    owner: str


class RunEnded(BaseModel):
    """`Step Functions Execution Status Change` of a run that failed, timed out or was stopped."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    detail: dict[str, Any]
