"""The request's CSV: read as written, or refused with the row, what was found and what was expected."""

from __future__ import annotations

import numpy as np
import pytest

from ranker.inference import input_fn
from ranker.requests import ROWS_LIMIT, read_cells, to_raw

COLUMNS = (("age", "number"), ("city", "category"), ("clicks", "number"))


def test_cells_become_columns_and_empty_ones_missing_values():
    raw = to_raw(read_cells(b'31,"St. John\'s, NL",2\n,Oslo,2\n1e1,,2.0\n'), COLUMNS)
    np.testing.assert_array_equal(raw["age"], [31, np.nan, 10])
    assert raw["city"] == ["St. John's, NL", "Oslo", ""]
    np.testing.assert_array_equal(raw["clicks"], [2, 2, 2])


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(b"", "body is empty; expected one CSV row a candidate", id="nothing"),
        pytest.param(b"1,Oslo,2\n1,Oslo\n", "row 2 has 2 cells; expected 3: age,city,clicks", id="a cell too few"),
        pytest.param(b"1,Oslo,2,9\n", "row 1 has 4 cells; expected 3", id="a cell too many"),
        pytest.param(b"1,Oslo,2\n\n", "row 2 has 0 cells", id="a blank line"),
        pytest.param(b"1,Oslo,2\nold,Oslo,2\n", "row 2: age is 'old'; expected a number", id="a word for a number"),
        pytest.param(
            b"old,Oslo,2\nold,Oslo,2\n", "row 1: age is 'old'; expected a number", id="the same word in every row"
        ),
        pytest.param(b"1,Oslo,2\n,Oslo,nan\n", "row 2: clicks is 'nan'; expected a finite number", id="NaN spelt out"),
        pytest.param(b"inf,Oslo,2\n", "row 1: age is 'inf'; expected a finite number", id="infinity"),
        pytest.param(b"1,\xff,2\n", "not UTF-8 at byte 2", id="another encoding"),
        pytest.param(b'1,"Oslo,2\n', "body is no CSV", id="a quote left open"),
        pytest.param(b"1\n" * (ROWS_LIMIT + 1), f"expected at most {ROWS_LIMIT}", id="too many rows"),
    ],
)
def test_a_bad_body_is_answered_with_one_sentence(body, sentence):
    with pytest.raises(ValueError, match=sentence) as refused:
        to_raw(read_cells(body), COLUMNS)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content_type", "as_given"),
    [("text/csv", False), ("text/csv; charset=utf-8", False), ("Text/CSV; position=given", True)],
)
def test_the_content_type_says_whether_the_position_counts(content_type, as_given):
    assert input_fn(b"1,Oslo,2", content_type)["position_as_given"] is as_given


@pytest.mark.parametrize("content_type", ["application/json", "text/csv; position=logged", ""])
def test_another_content_type_is_refused(content_type):
    with pytest.raises(ValueError, match="expected"):
        input_fn(b"1,Oslo,2", content_type)
