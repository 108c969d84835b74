from __future__ import annotations

import numpy as np
import pytest

from two_tower.encoding import EncodingError, Index, TowerColumn, Vocabulary

VOCABULARY = Vocabulary(
    Index(["ann", "bob"]),
    Index(["film", "song"]),
    (
        TowerColumn("user_age", "age", "number", edges=(20.0, 40.0)),
        TowerColumn("user_city", "city", "category", index=Index(["Oslo", "Turin"])),
        TowerColumn("user_last_2_clicks", "last_2_clicks", "ids", length=2),
    ),
    (TowerColumn("item_topic", "topic", "category", index=Index(["music"])),),
)


def encode(user: str = "ann", age: object = None, city: object = None, clicks: object = None) -> dict[str, list]:
    raw = {"user_age": [age], "user_city": [city], "user_last_2_clicks": [clicks]}
    return {name: rows.tolist()[0] for name, rows in VOCABULARY.encode_users([user], raw).items()}


def test_a_stranger_with_nothing_known_is_row_zero_everywhere() -> None:
    assert encode("eve") == {"user_id": 0, "user_age": 0, "user_city": 0, "user_last_2_clicks": [0, 0]}


@pytest.mark.parametrize(
    ("age", "bucket"),
    [
        pytest.param(19.99, 1, id="below the first edge"),
        pytest.param(20, 2, id="an edge belongs to the bucket above it"),
        pytest.param(1e9, 3, id="above the last edge"),
        pytest.param(float("nan"), 0, id="no number is unknown"),
        pytest.param(float("inf"), 0, id="infinity is unknown"),
    ],
)
def test_a_number_falls_in_the_bucket_between_its_edges(age: float, bucket: int) -> None:
    assert encode(age=age)["user_age"] == bucket


def test_only_the_newest_ids_of_a_list_are_read_and_strangers_among_them_are_padding() -> None:
    assert encode(clicks=["song", "unheard", "film"])["user_last_2_clicks"] == [2, 0]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        pytest.param({"age": "old"}, "age is 'old'; expected a number or null", id="text for a number"),
        pytest.param({"city": 7}, "city is 7; expected a string or null", id="a number for a category"),
        pytest.param({"clicks": "film"}, "last_2_clicks is 'film'; expected a list", id="one id for a list"),
        pytest.param({"clicks": [1]}, "last_2_clicks is 1; expected a list of strings", id="numbers for ids"),
    ],
)
def test_a_value_of_the_wrong_type_is_told_by_name(given: dict, sentence: str) -> None:
    with pytest.raises(EncodingError, match=sentence.replace("(", r"\(")):
        encode(**given)


def test_a_vocabulary_comes_back_from_its_file_as_it_was(tmp_path) -> None:
    VOCABULARY.save(tmp_path / "vocabulary.json")
    again = Vocabulary.load(tmp_path / "vocabulary.json")
    raw = {"user_age": [30], "user_city": ["Turin"], "user_last_2_clicks": [["film"]]}
    before, after = VOCABULARY.encode_users(["bob"], raw), again.encode_users(["bob"], raw)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert before.keys() == after.keys()
    assert again.item_columns == VOCABULARY.item_columns


def test_a_vocabulary_of_another_format_is_refused(tmp_path) -> None:
    (tmp_path / "v.json").write_text('{"format": 2}')
    with pytest.raises(EncodingError, match="no vocabulary of format 1"):
        Vocabulary.load(tmp_path / "v.json")
