"""The encoding is what training and the container share; it is held to definitions written out row by row."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ranker.encoding import Encoder, Plan, fit
from ranker.statistics import out_of_fold

COLUMNS = (("age", "number"), ("clicks", "number"), ("city", "category"), ("topic", "category"))
PLAN = Plan(COLUMNS, crosses=(("city", "topic"), ("age", "topic")), smoothing=2.0, folds=3, bins=4)


def rows(count: int = 120, seed: int = 1) -> tuple[dict, np.ndarray]:
    rng = np.random.default_rng(seed)
    age = rng.uniform(10, 70, count)
    age[::7] = np.nan
    raw = {
        "age": age,
        "clicks": rng.integers(0, 9, count).astype(float),
        "city": rng.choice(["Oslo", "Turin", ""], count).tolist(),
        "topic": rng.choice(["film", "music"], count).tolist(),
    }
    return raw, (rng.random(count) < 0.3).astype(float)


def test_a_training_rows_rate_is_made_of_the_other_folds_only():
    rng = np.random.default_rng(3)
    keys, labels, folds = rng.integers(0, 5, 60), (rng.random(60) < 0.4).astype(float), rng.integers(0, 3, 60)

    rates, log_counts = out_of_fold(keys, labels, folds, smoothing=2.0)

    for row in range(60):
        others = folds != folds[row]
        same = others & (keys == keys[row])
        expected = (labels[same].sum() + 2.0 * labels[others].mean()) / (same.sum() + 2.0)
        assert math.isclose(rates[row], expected)
        assert math.isclose(log_counts[row], math.log1p((keys == keys[row]).sum()))


def test_a_training_rows_own_label_moves_nothing_of_its_own_encoding():
    raw, labels = rows()
    before = fit(PLAN, raw, labels, seed=0)[1]
    for row in (0, 41, 119):
        turned = labels.copy()
        turned[row] = 1 - turned[row]
        after = fit(PLAN, raw, turned, seed=0)[1]
        np.testing.assert_array_equal(before.statistics[row], after.statistics[row])


def test_rows_to_come_are_encoded_by_all_training_rows():
    raw, labels = rows()
    encoder, _ = fit(PLAN, raw, labels, seed=0)
    encoded = encoder.encode({"age": np.array([33.0]), "clicks": np.array([1.0]), "city": ["Oslo"], "topic": ["film"]})
    here = np.array([city == "Oslo" and topic == "film" for city, topic in zip(raw["city"], raw["topic"], strict=True)])
    rate = (labels[here].sum() + 2.0 * labels.mean()) / (here.sum() + 2.0)
    place = encoder.names("onnx").index("city*topic#rate")
    np.testing.assert_allclose(encoded.matrix("onnx")[0, place : place + 2], [rate, np.log1p(here.sum())], rtol=1e-6)


def test_a_value_never_seen_has_the_prior_no_count_and_no_code():
    raw, labels = rows()
    encoder, _ = fit(PLAN, raw, labels, seed=0)
    encoded = encoder.encode(
        {"age": np.array([33.0]), "clicks": np.array([1.0]), "city": ["Atlantis"], "topic": ["film"]}
    )
    names, matrix = encoder.names("booster"), encoded.matrix("booster")[0]
    assert np.isnan(matrix[names.index("city#code")])
    for key in ("city", "city*topic"):
        assert matrix[names.index(f"{key}#rate")] == np.float32(labels.mean())
        assert matrix[names.index(f"{key}#count")] == 0


def test_a_number_that_training_never_missed_is_filled_and_one_it_missed_stays_missing():
    raw, labels = rows()
    encoder, _ = fit(PLAN, raw, labels, seed=0)
    encoded = encoder.encode({"age": np.array([np.nan]), "clicks": np.array([np.nan]), "city": [""], "topic": ["film"]})
    assert np.isnan(encoded.numbers[0, 0])
    assert encoded.numbers[0, 1] == np.median(raw["clicks"])


def test_encoding_survives_json_to_the_bit():
    raw, labels = rows()
    encoder, _ = fit(PLAN, raw, labels, seed=0)
    again = Encoder.from_document(json.loads(json.dumps(encoder.to_document())))
    for form in ("onnx", "booster"):
        np.testing.assert_array_equal(encoder.encode(raw).matrix(form), again.encode(raw).matrix(form))
        assert encoder.names(form) == again.names(form)
        assert len(encoder.sources(form)) == len(encoder.names(form)) == encoder.encode(raw).matrix(form).shape[1]


def test_same_seed_same_encoding_and_another_seed_deals_other_folds():
    raw, labels = rows()
    first, same, other = (fit(PLAN, raw, labels, seed=seed)[1].statistics for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("columns", "crosses", "sentence"),
    [
        pytest.param((("a", "number"), ("a", "number")), (), "appears twice", id="a column twice"),
        pytest.param((("a", "ids"),), (), "kind 'ids'", id="a kind no tree can split on"),
        pytest.param((("a", "number"),), (("a", "b"),), "unknown columns: b", id="a cross of nothing"),
    ],
)
def test_a_plan_that_cannot_be_encoded_is_refused(columns, crosses, sentence):
    with pytest.raises(ValueError, match=sentence):
        Plan(columns, crosses)


def test_an_absent_column_is_named():
    raw, labels = rows()
    encoder, _ = fit(PLAN, raw, labels, seed=0)
    with pytest.raises(ValueError, match="absent: topic"):
        encoder.encode({name: raw[name] for name in ("age", "clicks", "city")})


def test_an_encoding_of_another_format_is_refused():
    with pytest.raises(ValueError, match="format 2; expected 1"):
        Encoder.from_document({"format": 2})
