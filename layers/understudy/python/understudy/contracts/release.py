"""A release as the `releases` table and `releases/<id>/manifest.json` hold it (docs/seams.md, Release)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from understudy.contracts.traffic import ReleaseId

Status = Literal["registered", "pending", "approved", "rejected", "champion", "retired"]
ColumnKind = Literal["number", "category"]

# What a status may become. `retired -> champion` is the way back to `previous`, `retired -> approved` a rollout by hand, again;
# nothing leaves `rejected`.
MOVES: dict[Status, tuple[Status, ...]] = {
    "registered": ("pending", "approved", "rejected"),
    "pending": ("approved", "rejected"),
    "approved": ("champion", "rejected", "retired"),
    "champion": ("retired", "rejected"),
    "retired": ("champion", "rejected", "approved"),
    "rejected": (),
}
MUTABLE = frozenset({"status", "status_reason", "version", "fence"})


class Cross(BaseModel):
    """A ranker column that looks one value of the item up in a map of the user, e.g. topic_affinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    name: str
    user: str  # feature of the online user item: a {category: number} map
    item: str  # item feature whose value is looked up in it; `item_<item>` in the index
    default: float = 0.0


class IndexQuery(BaseModel):
    """How this release's index must be asked to reach the recall it was verified with.

    A Lucene graph loses recall under a filter at its default beam; the build measures which `candidates` factor
    reaches the goal, and the same factor is used when serving: k-NN for `ceil(k * factor)` of which k are kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    factor: Annotated[float, Field(ge=1, le=100)] = 1.0
    factor_filtered: Annotated[float, Field(ge=1, le=100)] = 1.0


class ReleaseRecord(BaseModel):
    """One release: everything but `status`, its reason, `version` and `fence` is written once.

    `ranker_columns` are (name, kind, default) in the order the ranker's container expects; `item_fields` are the
    `_source` fields of the index, `popular` the answer of last resort.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    release_id: ReleaseId
    run_id: str
    status: Status = "registered"
    status_reason: str = ""  # why it was rejected or retired, in words for people
    created_at: AwareDatetime
    version: Annotated[int, Field(ge=1)] = 1
    fence: Annotated[int, Field(ge=0)] = 0
    index: str
    tower_id: str
    ranker_id: str
    two_tower_model_s3: str
    ranker_model_s3: str
    vectors_s3: str
    prepared_s3: str
    evaluation_s3: str
    model_card_s3: str
    baseline_s3: str  # folder; what this release's monitors compare its traffic with
    feature_set: str
    ranker_columns: list[tuple[str, ColumnKind, float | str | None]]
    crosses: list[Cross] = []
    item_fields: list[str]
    index_query: IndexQuery = IndexQuery()
    popular: Annotated[list[str], Field(max_length=100)]
    two_tower_package_arn: str | None = None
    ranker_package_arn: str | None = None
    gate: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    lineage: dict[str, Any] = {}

    def immutable(self) -> dict[str, Any]:
        """The part that is written once, as JSON values: what two registrations of one release must agree on."""
        return self.model_dump(mode="json", exclude=set(MUTABLE))
