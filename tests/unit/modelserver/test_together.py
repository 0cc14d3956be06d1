"""One call for many requests: only where it cannot show, and each request answered as if alone."""

from contextlib import suppress
from typing import Any

import pytest

from stagezero.inference.errors import InvalidPayload
from stagezero.modelserver.errors import InvalidInput, PredictionFailed
from stagezero.modelserver.handlers.together import predict_together
from support.modelserver import RaisingModel, SumModel


def test_alike_requests_share_one_call() -> None:
    model = SumModel()
    outcomes = list(predict_together(model, [[[1, 2]], [[3, 4], [5, 6]], [[0, 0.5]]]))
    assert outcomes == [[3], [7, 11], [0.5]]
    assert len(model.calls) == 1


@pytest.mark.parametrize(
    "requests",
    [
        pytest.param([[[1, 2]]], id="one"),
        pytest.param([[[1, 2]], [[1, 2, 3]]], id="widths"),
        pytest.param([[[1, 2]], [[True, 2]]], id="booleans"),
        pytest.param([[[1, 2]], []], id="empty"),
        pytest.param([[], [[1, 2]]], id="empty-first"),
        pytest.param([[[1, 2]], [[None, 2]]], id="null"),
    ],
)
def test_requests_that_differ_are_predicted_alone(requests: list[list[Any]]) -> None:
    model = SumModel()
    with suppress(TypeError):  # null: the fake model is no estimator
        list(predict_together(model, requests))
    assert model.calls[0] == requests[0]


def test_a_model_that_is_not_row_wise_sees_each_request_alone() -> None:
    model = SumModel(is_row_wise=False)
    assert list(predict_together(model, [[[1, 2]], [[3, 4]]])) == [[3], [7]]
    assert model.calls == [[[1, 2]], [[3, 4]]]


def test_one_callers_mistake_stays_his() -> None:
    outcomes = list(predict_together(SumModel(), [[[1, 2]], [["a", 2]], [[13, 1]], [[5, 5]]]))
    assert outcomes[0] == [3]
    assert isinstance(outcomes[1], InvalidInput)
    assert isinstance(outcomes[2], PredictionFailed)
    assert outcomes[3] == [10]


def test_an_undecodable_request_keeps_its_place() -> None:
    error = InvalidPayload("no")
    assert list(predict_together(SumModel(), [error, [[1, 2]], error, [[3, 4]]])) == [
        error, [3], error, [7],
    ]  # fmt: skip


@pytest.mark.parametrize("result", [[1], "text", None, 7])
def test_a_result_that_is_not_one_a_row_is_not_divided(result: Any) -> None:
    model = RaisingModel(lambda: result)
    assert list(predict_together(model, [[[1, 2]], [[3, 4]]])) == [result, result]
