"""One call of the model for all requests that arrived together, each answered as if alone.

Only for models whose rows do not see each other, and only for rows of plain numbers and one width;
if the common call raises, each request is tried alone, so that one caller's mistake stays his.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from stagezero.inference.errors import InvalidPayload
from stagezero.modelserver.errors import InvalidInput, PredictionFailed
from stagezero.modelserver.runtimes.base import RowModel

Outcome = Any | BaseException


def predict_together(
    model: RowModel, requests: Sequence[list[Any] | InvalidPayload]
) -> Iterator[Outcome]:
    """One prediction, or the error to answer with, a request; in order."""
    good = [rows for rows in requests if not isinstance(rows, InvalidPayload)]
    shared = _shared(model, good)
    # Alone they are predicted one by one as they are asked for: the first need not wait.
    results = iter(shared) if shared is not None else (_alone(model, rows) for rows in good)
    for request in requests:
        yield request if isinstance(request, InvalidPayload) else next(results)


def _alone(model: RowModel, rows: list[Any]) -> Outcome:
    try:
        return model.predict(rows)
    except (InvalidInput, PredictionFailed) as error:
        return error


def _shared(model: RowModel, requests: Sequence[list[Any]]) -> list[Any] | None:
    """The results of one common call, or None if there cannot be one."""
    if len(requests) < 2 or not model.is_row_wise or not _are_alike(requests):
        return None
    try:
        result = model.predict([row for rows in requests for row in rows])
    except (InvalidInput, PredictionFailed):
        return None
    if not isinstance(result, list) or len(result) != sum(map(len, requests)):
        return None
    parts, start = [], 0
    for rows in requests:
        parts.append(result[start : start + len(rows)])
        start += len(rows)
    return parts


_NUMBERS = {int, float}


def _are_alike(requests: Sequence[list[Any]]) -> bool:
    first = requests[0][0] if requests[0] else None
    if not isinstance(first, list):
        return False
    width = len(first)
    # An int in one request and a float in another give the same float64 matrix either way, but
    # other types would change what their neighbours are converted to.
    return all(
        rows
        and all(
            isinstance(row, list) and len(row) == width and {*map(type, row)} <= _NUMBERS
            for row in rows
        )
        for rows in requests
    )
