"""Question sets: what is asked, and where the answer stands.

Where it stands is said by document, and by a quotation where the passage matters: never by chunk, so
that one set measures every way of splitting.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from santral.errors import BadRequest
from santral.retrieval.analysis.language import Language
from santral.retrieval.search.question import Question, Turn

#: Questions of one set. Chosen: above, a sample of them says the same.
MAX_QUESTIONS = 100_000


class Answer(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where one answer stands: a document, by its source, its id or its file's name; and a quotation.

    ``gain`` is how much it is worth, where some answers are better than others.
    """

    document: str
    quote: str = ""
    gain: float = 1.0


class Case(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A question with its answers; without one it is a question that must stay unanswered.

    ``turns`` is the conversation before it, ``groups`` are held by whoever asks (None: all of them),
    ``expected`` is an answer in words, which retrieval does not look at.
    """

    question: str
    relevant: tuple[Answer, ...] = ()
    turns: tuple[Turn, ...] = ()
    language: Language | None = None
    groups: tuple[str, ...] | None = None
    expected: str = ""
    id: str = ""

    def asked(self) -> Question:
        """Return the question as a search takes it."""
        hints = (self.language,) if self.language else ()
        return Question(self.question, self.turns, hints)


class QuestionSet(Struct, frozen=True):
    """The cases of one file or folder; ``digest`` names them."""

    name: str
    cases: tuple[Case, ...]
    digest: str


def load_questions(path: Path) -> QuestionSet:
    """Return a question set: a JSONL file of cases, or a folder of queries and judgements.

    A folder holds ``queries.jsonl`` {id or _id, text} and ``qrels.json`` {query: {document: gain}} or
    ``qrels/test.tsv`` (query, document, gain), as public collections come.

    Raises:
        BadRequest: the file is not there or not such a file; names the line.
    """
    try:
        cases = tuple(_from_folder(path) if path.is_dir() else _from_lines(path))
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(path, f"cannot be read: {error}") from None
    if not cases:
        raise _wrong(path, "holds no question")
    if len(cases) > MAX_QUESTIONS:
        raise _wrong(path, f"holds more than {MAX_QUESTIONS:,} questions")
    return QuestionSet(path.name, cases, sha256(msgspec.json.encode(cases)).hexdigest())


def _from_lines(path: Path) -> Iterator[Case]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                case = msgspec.json.decode(line, type=Case)
            except msgspec.MsgspecError as error:
                raise _wrong(path, f"line {number}: {error}") from None
            if not case.question.strip():
                raise _wrong(path, f"line {number}: the question is empty")
            yield case


def _from_folder(folder: Path) -> Iterator[Case]:
    judged = _judgements(folder)
    with (folder / "queries.jsonl").open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
                name, text = str(row.get("id", row.get("_id"))), str(row["text"])
            except (msgspec.MsgspecError, KeyError) as error:
                raise _wrong(folder / "queries.jsonl", f"line {number}: {error}") from None
            found = judged.get(name)
            if found:
                answers = [Answer(document, gain=gain) for document, gain in found.items()]
                yield Case(text, tuple(answer for answer in answers if answer.gain > 0), id=name)


def _judgements(folder: Path) -> Mapping[str, Mapping[str, float]]:
    plain = folder / "qrels.json"
    if plain.exists():
        try:
            return msgspec.json.decode(plain.read_bytes(), type=dict[str, dict[str, float]])
        except msgspec.MsgspecError as error:
            raise _wrong(plain, str(error)) from None
    judged: dict[str, dict[str, float]] = {}
    table = folder / "qrels" / "test.tsv"
    with table.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file, delimiter="\t"), 1):
            try:
                query, document, gain = row[0], row[-2], float(row[-1])
            except (IndexError, ValueError):
                if number == 1:
                    continue  # the names of the columns
                raise _wrong(table, f"line {number} is not query, document, gain") from None
            judged.setdefault(query, {})[document] = gain
    return judged


def _wrong(path: Path, reason: str) -> BadRequest:
    return BadRequest(f"The question set {path} {reason}.", code="bad_question_set")
