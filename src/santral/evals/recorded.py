"""Files of examples with the answers that somebody recorded beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from santral.errors import BadRequest
from santral.evals.answer import Answer
from santral.evals.datasets.files import Row, examples_of_rows, iterate_rows
from santral.evals.example import Example

#: The column that holds what was answered: a text, or an object with the fields of an answer.
ANSWER = "answer"


def read_recorded(path: Path) -> tuple[list[Example], dict[str, Answer]]:
    """Return the examples of a file, and the recorded answers by the example's id.

    Raises:
        BadRequest: the file cannot be read, or a row is wrong; names the row.
    """
    said: list[Answer | None] = []
    examples = list(examples_of_rows(_without_answers(path, said), path.name))
    answers = zip(examples, said, strict=True)
    return examples, {one.id: answer for one, answer in answers if answer is not None}


def _without_answers(path: Path, said: list[Answer | None]) -> Iterator[Row]:
    for place, row in iterate_rows(path):
        if isinstance(row, BadRequest):
            yield place, row
            continue
        said.append(_answer(path, place, row[ANSWER]) if row.get(ANSWER) is not None else None)
        yield place, {name: value for name, value in row.items() if name != ANSWER}


def _answer(path: Path, place: str, value: object) -> Answer:
    if isinstance(value, str):
        return Answer(text=value)
    try:
        return msgspec.convert(value, Answer)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{path.name}, {place}: answer: {error}.", param=ANSWER) from None
