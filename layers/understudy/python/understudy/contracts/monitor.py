"""What the monitor machine carries between its states: pointers only, never data."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

Kind = Literal["data-quality", "model-quality", "bias", "explainability", "ranking-quality"]
LabelsWanted = Literal["fresh", "complete"]


class _Contract(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MonitorRequest(_Contract):
    """Input of an execution of the monitor machine: which monitor, over which window [start, end)."""

    kind: Kind
    window_start: AwareDatetime | None = None  # None: the last whole period, or day where labels are complete
    window_end: AwareDatetime | None = None  # None: when the execution started
    labels: LabelsWanted = "fresh"
    reason: Annotated[str, Field(min_length=1, max_length=200)] = "by hand"

    @model_validator(mode="after")
    def _is_a_window(self) -> Self:
        start, end = self.window_start, self.window_end
        if end is not None and (start is None or end <= start):
            raise ValueError(f"window_end {end.isoformat()} needs a window_start before it")
        return self


class PlanMonitorEvent(_Contract):
    run_id: Annotated[str, Field(min_length=1, max_length=80)]  # name of the execution
    started_at: AwareDatetime
    request: MonitorRequest


class MonitorInput(_Contract):
    """One input of the job: a folder in S3, or a list of the objects that may hold something of the window."""

    name: str
    uri: str
    data_type: Literal["S3Prefix", "ManifestFile"] = "S3Prefix"


class MonitorPlan(_Contract):
    """Everything about a monitor's run that is decided before its job; without a job only `action` and why."""

    action: Literal["run", "nothing", "no_data"]
    reason: str
    kind: Kind
    release_id: str | None = None
    window_start: AwareDatetime
    window_end: AwareDatetime
    labels: LabelsWanted
    job: str  # beginning of the job's name
    endpoint: str
    schedule: str  # name that the metrics carry
    resolution: Literal["1", "60"]  # of the metrics, in seconds
    report_uri: str
    inputs: list[MonitorInput] = []
