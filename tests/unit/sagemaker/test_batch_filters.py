"""DataProcessing of transform jobs: JSONPaths that SageMaker takes, joins, and what is refused."""

from __future__ import annotations

import json

import pytest

from local_account.sagemaker.batch_filters import BadPath, Filters, select

RECORD = {"id": "u1", "features": {"age": 30, "topics": ["a", "b", "c"]}}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", RECORD),
        ("$.features.age", 30),
        ("$['features']['age']", 30),
        ("$['id','features']", RECORD),
        ("$.features.topics[0]", "a"),
        ("$.features.topics[-1]", "c"),
        ("$.features.topics[0,2]", ["a", "c"]),
        ("$.features.topics[1:]", ["b", "c"]),
        ("$.features.topics[:2]", ["a", "b"]),
    ],
)
def test_a_path_finds_its_part(path, found):
    assert select(RECORD, path) == found


@pytest.mark.parametrize("path", ["$.nothing", "$.features.topics[7]", "$.id[0]", "$..id", "$[?(@.id)]", "id"])
def test_a_path_that_finds_nothing_or_cannot_be_read_is_refused(path):
    with pytest.raises(BadPath):
        select(RECORD, path)


def test_json_records_get_their_answer_under_its_name_and_the_output_filter_comes_last():
    filters = Filters("$.features", "$['id','SageMakerOutput']", join=True)
    record = json.dumps(RECORD).encode()
    assert json.loads(filters.asked([record], "application/jsonlines")[0]) == RECORD["features"]
    line = filters.answered([record], b'{"score": 0.5}', "application/jsonlines", "application/jsonlines")
    assert json.loads(line) == {"id": "u1", "SageMakerOutput": {"score": 0.5}}


def test_cells_of_csv_stand_before_those_of_the_answer():
    filters = Filters("$[1:]", "$[0,-1]", join=True)
    records = [b'u1,"a,b",2', b"u2,c,3"]
    assert filters.asked(records, "text/csv") == [b'"a,b",2', b"c,3"]
    assert filters.answered(records, b"0.5\n0.7\n", "text/csv", "text/csv") == b"u1,0.5\nu2,0.7\n"


def test_fewer_answers_than_records_are_never_joined():
    with pytest.raises(BadPath, match="2 records were asked and 1 answered"):
        Filters(join=True).answered([b"{}", b"{}"], b"{}", "application/json", "")


def test_a_truncated_record_is_named_as_such():
    with pytest.raises(BadPath, match="cut off"):
        Filters("$.id").asked([b'{"id": "u1", "fea'], "application/json")


@pytest.mark.parametrize(
    ("content_type", "split"),
    [pytest.param("text/plain", True, id="neither CSV nor JSON"), pytest.param("text/csv", False, id="whole files")],
)
def test_processing_needs_records_that_can_be_read(content_type, split):
    with pytest.raises(BadPath):
        Filters("$[0]").check(content_type, split)
    Filters().check(content_type, split)
