import numpy as np
import pytest

from vae_keras import claim


@pytest.mark.parametrize(
    ("bounds", "printed"),
    [
        ({"above": 1}, "The loss falls: 2.12, must be above 1.\n"),
        ({"below": 3}, "The loss falls: 2.12, must be below 3.\n"),
        ({"above": 1, "below": 3.5}, "The loss falls: 2.12, must be above 1 and below 3.5.\n"),
    ],
)
def test_a_claim_that_holds_prints_its_sentence_the_value_and_the_bound(capsys, bounds, printed):
    claim("The loss falls", 2.125, **bounds)
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("bounds", [{"above": 3}, {"below": 1}, {"above": 2.125}, {"below": 2.125}])
def test_a_broken_claim_raises_with_the_number_and_prints_nothing(capsys, bounds):
    with pytest.raises(AssertionError, match=r"The loss falls: 2\.125?, must be"):
        claim("The loss falls", 2.125, **bounds)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("value", "bounds", "printed"),
    [
        (163.8125, {"above": 163.75, "below": 163.85}, "163.8"),
        (-1.5203, {"below": -1.52}, "-1.5203"),
        (0.99961, {"below": 1}, "0.9996"),
        (2e-9, {"below": 1e-5}, "2e-09"),
    ],
)
def test_as_many_digits_are_printed_as_the_bound_needs(capsys, value, bounds, printed):
    claim("The loss falls", value, **bounds)
    assert capsys.readouterr().out.startswith(f"The loss falls: {printed}, must be ")


@pytest.mark.parametrize(("value", "bounds"), [(5, {"above": 1, "below": 3}), (0, {"above": 1, "below": 3})])
def test_both_bounds_have_to_hold(value, bounds):
    with pytest.raises(AssertionError):
        claim("The loss falls", value, **bounds)


@pytest.mark.parametrize("bounds", [{"above": 1}, {"below": 1}])
def test_nan_never_holds(bounds):
    with pytest.raises(AssertionError, match="nan"):
        claim("The loss falls", float("nan"), **bounds)


def test_a_bound_of_zero_is_a_bound(capsys):
    claim("The loss falls", -1, below=0)
    assert capsys.readouterr().out == "The loss falls: -1, must be below 0.\n"
    with pytest.raises(AssertionError):
        claim("The loss falls", 1, below=0)


def test_a_claim_without_a_bound_is_refused():
    with pytest.raises(ValueError, match=r"The loss falls.*no bound"):
        claim("The loss falls", 1)


def test_a_broken_claim_that_is_not_strict_prints_its_number(capsys):
    claim("The loss falls", 2.125, above=3, strict=False)
    assert capsys.readouterr().out == "Does not hold here. The loss falls: 2.12, must be above 3.\n"


def test_a_claim_that_holds_reads_the_same_where_it_is_not_strict(capsys):
    claim("The loss falls", 2.125, above=1, strict=False)
    assert capsys.readouterr().out == "The loss falls: 2.12, must be above 1.\n"


@pytest.mark.parametrize("value", [None, "high", [1, 2], {}])
def test_what_is_no_number_is_refused_as_value_and_as_bound(value):
    with pytest.raises(ValueError, match=r"The loss falls.*Expected numbers"):
        claim("The loss falls", value, above=1)
    if value is not None:
        with pytest.raises(ValueError, match=r"The loss falls.*Expected numbers"):
            claim("The loss falls", 1, below=value)


def test_numbers_of_numpy_are_numbers(capsys):
    claim("The loss falls", np.array([2.0])[0], above=np.float32(1), below=np.array(3))
    assert capsys.readouterr().out == "The loss falls: 2, must be above 1 and below 3.\n"
