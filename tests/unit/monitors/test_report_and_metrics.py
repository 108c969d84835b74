"""What a monitor tells people and alarms: the worst first, every name as CloudWatch takes it, metrics by the second when asked."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

import pytest

from monitors.emit import DATA_A_CALL, metric_data, put_metrics
from monitors.findings import Comparison, Findings, Metric
from monitors.formats import Kind
from monitors.report import PLOTS, render_report
from monitors.window import Window

WINDOW = Window(datetime(2026, 11, 24, 3, tzinfo=UTC), datetime(2026, 11, 24, 4, tzinfo=UTC))
VIOLATION = {
    "feature_name": "user_city",
    "constraint_check_type": "categorical_values_check",
    "description": "outside of the domain, such as <script>alert(1)</script>",
}


def comparison(name: str, badness: float) -> Comparison:
    return Comparison(name, ["a", "b"], [0.5, 0.5], [0.4, 0.6], badness, f"distance {badness}")


def page(findings: Findings) -> str:
    return render_report(findings, WINDOW, endpoint="e", schedule="s", release_id="r-1", notes=["6 lines read"])


def test_the_worst_feature_comes_first_and_what_is_not_drawn_is_listed():
    names = [f"feature_{number}" for number in range(PLOTS + 3)]
    findings = Findings(
        Kind.DATA_QUALITY, {}, comparisons=[comparison(name, number) for number, name in enumerate(names)]
    )
    drawn = re.findall(r"<figcaption>(\S+)", page(findings))
    assert drawn == names[::-1][:PLOTS]
    assert all(f"<td>{name}</td>" in page(findings) for name in names[:3])


def test_a_page_says_before_and_now_and_lets_no_value_of_the_data_become_markup():
    findings = Findings(Kind.DATA_QUALITY, {}, [VIOLATION], comparisons=[comparison("user_city <b>", 2.0)])
    text = page(findings)
    assert "1 violation<" in text
    assert "baseline and now" in text
    assert "<script" not in text
    assert "user_city <b>" not in text
    assert "6 lines read" in text


@pytest.mark.parametrize(("resolution", "stored"), [(60, None), (1, 1)])
def test_metrics_are_stored_by_the_second_only_when_asked(resolution, stored):
    (datum,) = metric_data([Metric("auc", 0.7)], "e", "s", resolution)
    assert datum.get("StorageResolution") == stored
    assert datum["Dimensions"] == [{"Name": "Endpoint", "Value": "e"}, {"Name": "MonitoringSchedule", "Value": "s"}]


def test_a_figure_that_is_not_defined_is_not_sent_and_zero_violations_are():
    findings = Findings(Kind.BIAS, {}, metrics=[Metric("auc", math.nan)])
    sent = {datum["MetricName"]: datum["Value"] for datum in metric_data(findings.all_metrics(), "e", "s")}
    assert sent == {"runs": 1.0, "violations": 0.0, "schema_violations": 0.0, "drift_violations": 0.0}


def test_broken_input_and_a_changed_world_are_counted_apart():
    drift = {"metric_name": "auc", "constraint_check_type": "LessThanThreshold", "description": "x"}
    sent = {one.name: one.value for one in Findings(Kind.DATA_QUALITY, {}, [VIOLATION, drift, drift]).all_metrics()}
    assert sent == {"runs": 1.0, "violations": 3.0, "schema_violations": 1.0, "drift_violations": 2.0}


def test_more_metrics_than_a_call_takes_go_in_several():
    class Client:
        calls: list[int] = []  # noqa: RUF012

        def put_metric_data(self, Namespace: str, MetricData: list) -> None:
            self.calls.append(len(MetricData))

    put_metrics(Client(), "N", [{}] * (DATA_A_CALL + 1))
    assert Client.calls == [DATA_A_CALL, 1]
