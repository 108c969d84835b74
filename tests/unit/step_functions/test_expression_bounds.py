"""The bounds of an evaluation are that evaluation's own."""

from __future__ import annotations

import pytest

from local_account.step_functions.errors import StatesError
from local_account.step_functions.expressions import evaluate

CONDITIONAL = "$map($append([{'name': 'a'}], $x ? [{'name': 'b'}] : []), function($i) { {'Name': $i.name} })"


def test_an_expression_evaluated_a_thousand_times_does_not_run_out_of_depth():
    answers = [evaluate(CONDITIONAL, {"x": None if n % 2 else True}, 0, "Arguments") for n in range(1000)]
    assert answers[::2] == [[{"Name": "a"}, {"Name": "b"}]] * 500
    assert [list(a) if isinstance(a, list) else [a] for a in answers[1::2]] == [[{"Name": "a"}]] * 500


def test_a_recursion_without_end_is_an_error_of_the_query():
    with pytest.raises(StatesError, match="Stack overflow") as raised:
        evaluate("($f := function($n) { 1 + $f($n + 1) }; $f(0))", {}, 0, "Arguments")
    assert raised.value.error == "States.QueryEvaluationError"
