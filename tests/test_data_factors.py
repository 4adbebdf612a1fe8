"""data.draw_factors and data.check_factors: the numbers that pictures are drawn from."""

import re

import numpy as np
import pandas as pd
import pytest
from seeding import SEED

from vae_keras import data

RANGES = {"kind": ("a", "b", "c"), "angle": (-30.0, 30.0), "size": (1, 2)}


def test_classes_are_whole_numbers_and_the_others_floats():
    factors = data.draw_factors(RANGES, 7, seed=SEED)
    assert list(factors) == list(RANGES) and len(factors) == 7
    assert [dtype.kind for dtype in factors.dtypes] == ["i", "f", "f"]


def test_each_factor_is_drawn_evenly_over_its_range_and_independently():
    factors = data.draw_factors(RANGES, 20_000, seed=SEED)
    shares = np.bincount(factors["kind"], minlength=3) / len(factors)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.02)
    parts = np.linspace(0, 1, 11)
    np.testing.assert_allclose(np.quantile(factors["angle"], parts), -30 + 60 * parts, atol=1.5)
    np.testing.assert_allclose(np.quantile(factors["size"], parts), 1 + parts, atol=0.025)
    assert factors["angle"].between(-30, 30).all() and factors["size"].between(1, 2).all()
    np.testing.assert_allclose(factors.corr(), np.eye(3), atol=0.035)


def test_the_same_seed_draws_the_same_factors_for_ever():
    one, again, other = (data.draw_factors(RANGES, 5, seed=seed) for seed in (SEED, SEED, SEED + 1))
    pd.testing.assert_frame_equal(one, again)
    assert not np.array_equal(one["size"], other["size"])
    # The first number of MT19937 with the seed 0.
    assert data.draw_factors({"share": (0, 1)}, 1)["share"][0] == pytest.approx(0.5488135039273248)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ranges": {}}, "ranges are {}"),
        ({"ranges": ["hue"]}, "ranges are ['hue']"),
        ({"ranges": {"hue": (1, 0)}}, "The range of 'hue' is (1, 0). Expected names of classes, or a lowest"),
        ({"ranges": {"hue": (0, 1, 2)}}, "The range of 'hue' is (0, 1, 2)"),
        ({"ranges": {"hue": ()}}, "The range of 'hue' is ()"),
        ({"ranges": {"hue": (0, "red")}}, "The range of 'hue' is (0, 'red')"),
        ({"count": 0}, "count is 0. Expected a whole number, 1 or more"),
        ({"count": 2.5}, "count is 2.5"),
        ({"seed": -1}, "seed is -1"),
    ],
    ids=str,
)
def test_what_cannot_be_drawn_is_refused(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        data.draw_factors(**{"ranges": RANGES, "count": 3, **arguments})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": [0, 3]}, "The factor 'kind' runs from 0 to 3. Expected 0 to 2"),
        ({"kind": [-1, 0]}, "The factor 'kind' runs from -1 to 0"),
        ({"kind": [0, 0.5]}, "The factor 'kind' holds fractions. Expected whole numbers: a, b, c"),
        ({"kind": ["a", "b"]}, "The factor 'kind' is of type"),
        ({"size": [1, np.nan]}, "The factor 'size' is of type float64. Expected numbers, all of them finite"),
        ({"size": [1, 2.01]}, "The factor 'size' runs from 1 to 2.01. Expected 1 to 2"),
        ({"size": [0.99, 2]}, "The factor 'size' runs from 0.99 to 2"),
        ({"angle": [0, np.inf]}, "The factor 'angle' is of type float64"),
    ],
    ids=str,
)
def test_factors_outside_their_range_are_refused(changed, message):
    factors = pd.DataFrame({"kind": [0, 2], "angle": [500, -500], "size": [1, 2], "more": ["x", "y"]})
    data.check_factors(factors, RANGES, circular=("angle",))
    data.check_factors(factors.assign(kind=[0.0, 2.0]), RANGES, circular=("angle",))
    with pytest.raises(ValueError, match="The factor 'angle' runs from -500 to 500"):
        data.check_factors(factors, RANGES)
    with pytest.raises(ValueError, match=re.escape(message)):
        data.check_factors(factors.assign(**changed), RANGES, circular=("angle",))


def test_what_is_no_table_of_factors_is_refused():
    factors = data.draw_factors(RANGES, 3, seed=SEED)
    for wrong in (None, factors.to_numpy(), factors[:0]):
        with pytest.raises(ValueError, match="Expected a pandas table with a row for each picture"):
            data.check_factors(wrong, RANGES)
    with pytest.raises(ValueError, match=r"factors lack angle, size\. Expected the columns kind, angle, size"):
        data.check_factors(factors[["kind"]], RANGES)
