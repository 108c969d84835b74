"""A function's environment as a value: one class per door, its fields the variables, the unit in the name."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.settings_base import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class RecommendSettings(Settings):
    """functions/recommend; RecommendFunction in template.yaml."""

    traffic_table: str
    releases_table: str
    user_features_table: str
    two_tower_endpoint: str
    ranker_endpoint: str
    opensearch_url: str
    served_stream: str  # Firehose delivery stream of served-list records
    token_secret_arn: str
    shadow_queue_url: str  # SQS queue of copies for a candidate that only rehearses
    deadline_ms: int = 250  # from the handler's start to the answer
    traffic_ttl_ms: int = 2000  # for how long a read of the traffic item is good
    candidates: int = 200  # how many items the index is asked for and the ranker scores
    exploration_bp: int = 200  # chance, in basis points, that a place is drawn from below the list
    max_per_author: int = 2  # of one author in a list
    max_per_topic_share: float = 0.5  # of one topic in a list
    token_ttl_s: int = 604800  # a week: for so long feedback to an answer is taken


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestEventsSettings(Settings):
    """functions/ingest_events; IngestEventsFunction in template.yaml."""

    feedback_stream: str  # Firehose delivery stream of canonical events
    token_secret_arn: str
    deadline_ms: int = 3000  # from the handler's start to the answer, retries of refused records included
    clock_skew_s: int = 300  # how far in the future a client's clock may be


@dataclass(frozen=True, kw_only=True, slots=True)
class AggregateOutcomesSettings(Settings):
    """functions/aggregate_outcomes; AggregateOutcomesFunction in template.yaml."""

    outcomes_table: str
    dead_letter_queue_url: str
    click_window_hours: int = 24  # feedback known later than this after its request counts as late only


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayShadowSettings(Settings):
    """functions/replay_shadow; ReplayShadowFunction in template.yaml. What shapes a list is as in RecommendSettings."""

    traffic_table: str
    releases_table: str
    outcomes_table: str
    two_tower_endpoint: str
    ranker_endpoint: str
    opensearch_url: str
    deadline_ms: int = 250
    traffic_ttl_ms: int = 2000
    candidates: int = 200
    max_per_author: int = 2
    max_per_topic_share: float = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanNightSettings(Settings):
    """functions/plan_night; PlanNightFunction in template.yaml."""

    lease_table: str
    traffic_table: str
    releases_table: str
    state_table: str
    artifact_bucket: str
    hyperparameters_path: str  # in Parameter Store: what searches found, one parameter a model
    lake_bucket: str
    window_days: int
    two_tower_parameters: str  # JSON object
    ranker_parameters: str  # JSON object
    opensearch_engine: str
    night_ttl_s: int = 46_800  # the machine's own limit of 12 h, and an hour


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanTuningSettings(Settings):
    """functions/plan_tuning; PlanTuningFunction in template.yaml."""

    traffic_table: str
    releases_table: str
    artifact_bucket: str
    hyperparameters_path: str
    two_tower_parameters: str  # JSON object: what the deployment fixes, a search leaves alone
    ranker_parameters: str
    tune_jobs: int  # trials of each model at most
    tune_parallel: int
    tune_strategy: str  # Bayesian, Random or Grid


@dataclass(frozen=True, kw_only=True, slots=True)
class AdoptParametersSettings(Settings):
    """functions/adopt_parameters; AdoptParametersFunction in template.yaml."""

    hyperparameters_path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FindFinishedWorkSettings(Settings):
    """functions/find_finished_work; FindFinishedWorkFunction in template.yaml. The event names the bucket."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisterReleaseSettings(Settings):
    """functions/register_release; RegisterReleaseFunction in template.yaml."""

    releases_table: str
    lease_table: str
    artifact_bucket: str
    two_tower_package_group: str
    ranker_package_group: str
    approval: str  # auto | manual
    inference_image_uri: str
    night_ttl_s: int = 46_800  # as PlanNightSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanMonitorSettings(Settings):
    """functions/plan_monitor; PlanMonitorFunction in template.yaml."""

    stack: str  # the metrics' MonitoringSchedule is <stack>-<kind>
    monitor_namespace: str  # of the metrics
    traffic_table: str
    releases_table: str
    lake_bucket: str
    artifact_bucket: str
    ranker_endpoint: str
    monitor_period_seconds: int
    settle_s: int = 180  # until a period's last objects are there: Firehose holds records for 60 s, endpoints captures
    label_days: int = 3  # until labels are complete


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseLeaseSettings(Settings):
    """functions/release_lease; ReleaseLeaseFunction in template.yaml."""

    lease_table: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StartRolloutSettings(Settings):
    """functions/start_rollout; StartRolloutFunction in template.yaml."""

    releases_table: str
    roll_out_machine_arn: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SettleApprovalsSettings(Settings):
    """functions/settle_approvals; SettleApprovalsFunction in template.yaml."""

    traffic_table: str
    releases_table: str
    opensearch_url: str
    roll_out_machine_arn: str
    notify_function: str
    approval_days: int = 7  # after which a release that nobody approved lapses


@dataclass(frozen=True, kw_only=True, slots=True)
class TakeStageSettings(Settings):
    """functions/take_stage; TakeStageFunction in template.yaml."""

    lease_table: str
    traffic_table: str
    releases_table: str
    rollout_stages: str  # shares in basis points, the last 10000
    bake_seconds: int
    shadow_seconds: int
    shadow_bp: int
    holdback_bp: int
    stage_ttl_s: int = 176_400  # the machine's own limit of 2 days, and an hour


@dataclass(frozen=True, kw_only=True, slots=True)
class MatchEndpointsSettings(Settings):
    """functions/match_endpoints; MatchEndpointsFunction in template.yaml."""

    traffic_table: str
    releases_table: str
    state_table: str
    two_tower_endpoint: str
    ranker_endpoint: str
    endpoint_role_arn: str
    inference_image_uri: str
    instance_type: str
    capture_s3_uri: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckSlotSettings(Settings):
    """functions/check_slot; CheckSlotFunction in template.yaml. The event names endpoints and configurations."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RaiseCapacitySettings(Settings):
    """functions/raise_capacity; RaiseCapacityFunction in template.yaml."""

    traffic_table: str
    two_tower_endpoint: str
    ranker_endpoint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreScalingSettings(Settings):
    """functions/restore_scaling; RestoreScalingFunction in template.yaml."""

    traffic_table: str
    state_table: str
    two_tower_endpoint: str
    ranker_endpoint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WarmUpSettings(Settings):
    """functions/warm_up; WarmUpFunction in template.yaml."""

    releases_table: str
    two_tower_endpoint: str
    ranker_endpoint: str
    opensearch_url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PutOnStageSettings(Settings):
    """functions/put_on_stage; PutOnStageFunction in template.yaml."""

    traffic_table: str
    releases_table: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RetirePreviousSettings(Settings):
    """functions/retire_previous; RetirePreviousFunction in template.yaml."""

    traffic_table: str


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeStageSettings(Settings):
    """functions/judge_stage; JudgeStageFunction in template.yaml."""

    traffic_table: str
    outcomes_table: str
    state_table: str
    artifact_bucket: str
    look_seconds: int
    delta: float  # relative change of clicks per impression that is tolerated
    minimum_requests: int  # of the candidate, in a stage
    inconclusive_policy: str  # abort | hold | promote


@dataclass(frozen=True, kw_only=True, slots=True)
class NotifySettings(Settings):
    """functions/notify; NotifyFunction in template.yaml."""

    topic_arn: str
    slack_webhook_secret_arn: str = ""  # empty: nobody is told in Slack


@dataclass(frozen=True, kw_only=True, slots=True)
class TakeDownSettings(Settings):
    """functions/take_down; TakeDownFunction in template.yaml."""

    traffic_table: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SeizeStageSettings(Settings):
    """functions/seize_stage; SeizeStageFunction in template.yaml."""

    traffic_table: str
    lease_table: str
    stage_ttl_s: int = 25_200  # the machine's own limit of 6 h, and an hour


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectLeftoversSettings(Settings):
    """functions/collect_leftovers; CollectLeftoversFunction in template.yaml."""

    traffic_table: str
    releases_table: str
    two_tower_endpoint: str
    ranker_endpoint: str
    opensearch_url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CloseRolloutSettings(Settings):
    """functions/close_rollout; CloseRolloutFunction in template.yaml."""

    traffic_table: str
    releases_table: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StartRollbackSettings(Settings):
    """functions/start_rollback; StartRollbackFunction in template.yaml."""

    traffic_table: str
    lease_table: str
    releases_table: str
    roll_back_machine_arn: str
    notify_function: str
    max_age_s: int = 86_400  # for so long after the first was asked for, a rollback that failed is started again


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanScoringSettings(Settings):
    """functions/plan_scoring; PlanScoringFunction in template.yaml. What shapes a list is as in RecommendSettings."""

    traffic_table: str
    releases_table: str
    state_table: str
    artifact_bucket: str
    list_length: int  # places of every user's list
    candidates: int = 200
    max_per_author: int = 2
    max_per_topic_share: float = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class ReactToAlarmSettings(Settings):
    """functions/react_to_alarm; ReactToAlarmFunction in template.yaml."""

    stack: str  # its alarms are those whose names begin with it
    traffic_table: str
    lease_table: str
    state_table: str
    reactions_table: str
    nightly_machine_arn: str
    roll_back_machine_arn: str
    notify_function: str
    cool_down_seconds: int  # at most one retrain by drift in so long
    drift_window_days: str  # JSON object: kind of drift -> days of events the retrain is made from
    settle_s: int = 900  # an alarm older than the release in its slot goes out in so long, or is that release's
    max_in_a_row: int = 3  # retrains that did not end a drift, before people are asked


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepAlarmsSettings(Settings):
    """functions/sweep_alarms; SweepAlarmsFunction in template.yaml. All as in ReactToAlarmSettings."""

    stack: str
    traffic_table: str
    lease_table: str
    state_table: str
    reactions_table: str
    nightly_machine_arn: str
    roll_back_machine_arn: str
    notify_function: str
    cool_down_seconds: int
    drift_window_days: str
    settle_s: int = 900
    max_in_a_row: int = 3
