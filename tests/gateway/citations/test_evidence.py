"""A citation's place: the sentence that bears the claim, its characters in the document, its page."""

from __future__ import annotations

import pytest

from santral.gateway.citations.evidence import bearing, moved_pieces, spot_of
from santral.retrieval.document import PageBreak, StoredChunk
from santral.retrieval.search.layout import lay
from santral.wire.delta import Piece, Source

RULES = (
    "The library opens at nine. It closes at eight in the evening on working days.\n"
    "A reader may borrow up to five books. The fine is 40 cents for each day that a book is late."
)
KURALLAR = (
    "Kütüphane sabah dokuzda açılır. Bir okur en çok beş kitap ödünç alabilir. "
    "Geciken her gün için 40 kuruş ceza ödenir."
)


@pytest.mark.parametrize(
    ("passage", "claim", "borne"),
    [
        (RULES, "You may borrow five books at once", "A reader may borrow up to five books."),
        (RULES, "Late books cost 40 cents a day", "The fine is 40 cents for each day"),
        (KURALLAR, "En fazla beş kitap ödünç alınabilir.", "Bir okur en çok beş kitap"),
        (KURALLAR, "Gecikmede günlük ceza 40 kuruştur.", "Geciken her gün için 40 kuruş"),
        (RULES, "Nothing in common whatsoever with quantum physics", RULES),
        (RULES, "", RULES),
    ],
)
def test_the_sentence_that_bears_a_claim(passage: str, claim: str, borne: str) -> None:
    start, end = bearing(claim, passage)
    assert passage[start:end].startswith(borne)


def chunk(position: int, text: str, start: int, pages: list[tuple[int, int]]) -> StoredChunk:
    return StoredChunk(
        f"c{position}", "d", "p", position, "S", pages[0][1] if pages else None, "\n\n", text, 9,
        start, start + len(text), tuple(PageBreak(at, page) for at, page in pages),
    )  # fmt: skip


def test_the_page_is_the_one_on_which_the_sentence_stands() -> None:
    """A chunk over three pages, the mistake that peers make: they cite the page it begins on."""
    first, second, third = "Cats sleep by day. ", "Dogs bark at night. ", "Owls hunt mice."
    text = first + second + third
    pages = [(0, 4), (len(first), 5), (len(first + second), 6)]
    laid = lay([chunk(0, text, 1000, pages)])
    source = Source(
        number=1, chunk_id="c0", document="a.pdf", text=laid.text, page=4, pieces=laid.pieces
    )
    for claim, page, sentence in (
        ("Cats sleep", 4, first), ("dogs bark at night", 5, second), ("owls hunt mice", 6, third),
    ):  # fmt: skip
        spot = spot_of(source, *bearing(claim, laid.text))
        assert (spot.page, spot.end_page) == (page, None)
        assert spot.start is not None
        assert spot.end is not None
        assert text[spot.start - 1000 : spot.end - 1000] == sentence.strip()
    spot = spot_of(source, 0, len(laid.text))
    assert (spot.page, spot.end_page, spot.start, spot.end) == (4, 6, 1000, 1000 + len(text))


def test_a_heading_in_front_of_a_chunk_is_no_text_of_the_document() -> None:
    source = Source(
        number=1, chunk_id="c", document="a", text="Fines\nForty cents.",
        pieces=(Piece(chunk_id="c", at=6, end=18, start=70),),
    )  # fmt: skip
    spot = spot_of(source, 0, 18)
    assert (spot.at, spot.until, spot.start, spot.end) == (6, 18, 70, 82)
    assert spot_of(source, 0, 5).start is None


def test_pieces_move_with_masked_values_or_are_given_up() -> None:
    before = "Write to ada@example.com about fines, or to bob@example.com. Pay in cash."
    after = "Write to [EMAIL_1] about fines, or to [EMAIL_2]. Pay in cash."
    pieces = (Piece(chunk_id="c", at=0, end=len(before), start=500),)
    moved = moved_pieces(pieces, before, after)
    at = after.index("Pay in cash")
    source = Source(number=1, chunk_id="c", document="a", text=after, pieces=moved)
    spot = spot_of(source, at, at + 11)
    assert spot.start == 500 + before.index("Pay in cash")
    assert moved_pieces(pieces, before, "[EMAIL_1], [EMAIL_2]") == ()
    assert moved_pieces(pieces, before, "[EMAIL_1] another text altogether") == ()
    assert moved_pieces(pieces, before, before) == pieces
