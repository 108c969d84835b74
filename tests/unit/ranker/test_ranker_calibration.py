"""Calibration: two numbers, strictly increasing, least log loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranker.calibration import Calibration, fit_calibration


@given(
    margins=st.lists(st.floats(-20, 20), min_size=4, max_size=60),
    seed=st.integers(0, 99),
)
def test_whatever_it_was_fitted_on_it_never_turns_an_order_round(margins, seed):
    values = np.array(margins)
    labels = np.random.default_rng(seed).integers(0, 2, len(values)).astype(float)
    labels[:2] = 0, 1
    calibration = fit_calibration(values, labels)
    probabilities = calibration.probability(np.sort(values))
    assert (np.diff(probabilities) >= 0).all()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert calibration.slope > 0


def test_distinct_margins_keep_distinct_probabilities():
    calibration = Calibration(slope=0.7, intercept=-1.0)
    assert len(np.unique(calibration.probability(np.linspace(-8, 4, 1000)))) == 1000


def test_a_known_distortion_is_undone():
    rng = np.random.default_rng(0)
    truth = rng.normal(-2, 1, 200_000)
    labels = (rng.random(200_000) < 1 / (1 + np.exp(-truth))).astype(float)
    calibration = fit_calibration(2 * truth + 3, labels)  # truth = (margin - 3) / 2
    assert calibration.slope == pytest.approx(0.5, abs=0.01)
    assert calibration.intercept == pytest.approx(-1.5, abs=0.03)


def test_separable_rows_stay_finite():
    calibration = fit_calibration(np.array([-3.0, -2.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert np.isfinite([calibration.slope, calibration.intercept]).all()


@pytest.mark.parametrize(
    ("margins", "labels", "sentence"),
    [
        pytest.param([0.1, np.nan], [0, 1], "NaN or infinite", id="a NaN margin"),
        pytest.param([0.1, 0.2], [0, 0], "only one class", id="no positive"),
        pytest.param([0.1, 0.2], [1, 1], "only one class", id="no negative"),
    ],
)
def test_what_cannot_be_calibrated_on_is_refused(margins, labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit_calibration(np.array(margins), np.array(labels))


@pytest.mark.parametrize("change", [{"method": "isotonic"}, {"slope": 0}, {"slope": -1}, {"intercept": float("nan")}])
def test_a_stored_calibration_that_would_turn_scores_round_is_refused(change):
    document = Calibration(1.0, 0.0).to_document() | change
    with pytest.raises(ValueError, match="no calibration"):
        Calibration.from_document(document)
