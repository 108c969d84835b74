"""What `domain.ab_readout` compares, out of the lake: users' outcomes with two releases, and what is known of the users."""

from __future__ import annotations

from cli.data_commands import lake_of
from cli.live_log import LiveLog
from cli.site import Site
from understudy.domain.ab_readout import Served, UserOutcome

GROUPS = ("segment", "city", "age", "new")
NEW_DAYS = 7  # a user who signed up less than this before meeting either release is new
_AGE_BAND = """CASE WHEN age IS NULL THEN 'unknown' WHEN age < 18 THEN 'under 18' WHEN age < 25 THEN '18-24' WHEN age < 35 THEN '25-34'
    WHEN age < 45 THEN '35-44' WHEN age < 55 THEN '45-54' ELSE '55 and over' END"""


def served_spans(log: LiveLog) -> dict[str, dict[int, Served]]:
    """What each release served, by version of traffic."""
    spans: dict[str, dict[int, Served]] = {}
    found = "SELECT release, version, count(*), min(asked_at), max(asked_at) FROM served WHERE version IS NOT NULL GROUP BY ALL"
    for release, version, requests, since, until in log.rows(found):
        spans.setdefault(release, {})[version] = Served(requests, since, until)
    return spans


def user_outcomes(log: LiveLog, site: Site, first: str, second: str, versions: list[int]) -> list[UserOutcome]:
    """One row a user, release and version of traffic; users without an impression that came back are left out."""
    _users_table(log, site)
    rows = log.rows(
        f"""WITH met AS (SELECT user_id, min(asked_at) AS first_at FROM served WHERE release IN ($1, $2) GROUP BY user_id),
        done AS (
            SELECT user_id, version, release, count(*) FILTER (what = 'impression' AND NOT late) AS impressions,
                count(*) FILTER (what = 'click' AND NOT late) AS clicks, count(*) FILTER (what = 'click' AND late) AS late_clicks
            FROM feedback WHERE release IN ($1, $2) AND version IN (SELECT unnest($3::INTEGER[])) GROUP BY ALL)
        SELECT done.user_id, version, release, impressions, clicks, late_clicks,
            coalesce(segment, 'unknown'), coalesce(city, 'unknown'), {_AGE_BAND},
            CASE WHEN signup_time IS NULL OR first_at IS NULL THEN 'unknown'
                WHEN signup_time > first_at - INTERVAL {NEW_DAYS} DAY THEN 'new' ELSE 'old' END
        FROM done LEFT JOIN users USING (user_id) LEFT JOIN met USING (user_id)
        ORDER BY done.user_id, version, release""",  # noqa: S608  nothing of a caller's is in the text
        first,
        second,
        versions,
    )
    return [
        UserOutcome(user, version, release, impressions, clicks, late, dict(zip(GROUPS, groups, strict=True)))
        for user, version, release, impressions, clicks, late, *groups in rows
    ]


def _users_table(log: LiveLog, site: Site) -> None:
    """The newest row known of each user: what a user is does not depend on the release met."""
    from features import duck

    lake = lake_of(site)
    files = lake.fetch("users", lake.pin("users"), log.folder / "users")
    known = (
        duck.parquet(files)
        if files
        else """(SELECT NULL::VARCHAR AS user_id, NULL::INTEGER AS age, NULL::VARCHAR AS city, NULL::VARCHAR AS segment,
            NULL::TIMESTAMPTZ AS signup_time, NULL::TIMESTAMPTZ AS known_at WHERE false)"""
    )
    log.database.execute(
        f"""CREATE OR REPLACE TABLE users AS
        SELECT DISTINCT ON (user_id) user_id, age, city, segment, signup_time FROM {known}
        WHERE user_id IS NOT NULL ORDER BY user_id, known_at DESC"""  # noqa: S608  file names are quoted
    )
