"""Formats of text become blocks that keep what their writers meant."""

from __future__ import annotations

from datetime import UTC, datetime
from textwrap import dedent

import pytest

from santral.retrieval.document import Block, Document, UnreadableError
from santral.retrieval.reading.read import read_document


def read(name: str, text: str | bytes, media_type: str = "") -> Document:
    content = text if isinstance(text, bytes) else dedent(text).encode()
    return read_document(name, content, media_type)


def shown(document: Document) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in document.blocks]


def test_front_matter_is_kept_as_it_stands() -> None:
    found = read(
        "a.md",
        """\
        ---
        title: "İzin: kurallar"
        author: Ada
        date: 2026-01-31
        allowed_groups: [hr, "legal"]
        ---
        Text.
        """,
    )
    assert (found.title, found.author) == ("İzin: kurallar", "Ada")
    assert found.front_matter["allowed_groups"] == ["hr", "legal"]
    assert found.front_matter["date"] == "2026-01-31"
    assert shown(found) == [("paragraph", "Text.")]


def test_front_matter_in_toml_is_read_too() -> None:
    found = read("a.md", '+++\ntitle = "T"\nallowed_groups = ["hr"]\n+++\nText.\n')
    assert (found.title, found.front_matter["allowed_groups"]) == ("T", ["hr"])


@pytest.mark.parametrize(
    "front",
    [
        "title: [open",
        "allowed_groups: *alias",
        "a: &x [1]\nb: *x",
        "title: \t- x\n  y: :",
        "a: !!python/object/apply:os.system [id]",
    ],
)
def test_front_matter_that_is_none_is_not_ignored(front: str) -> None:
    """What it says of access must not be lost."""
    with pytest.raises(UnreadableError, match="front matter is not YAML"):
        read("a.md", f"---\n{front}\n---\nText.\n")


def test_text_between_two_rules_is_text() -> None:
    found = read("a.md", "---\nJust a line between rules\n---\nText.\n")
    assert found.front_matter == {}
    assert "Just a line between rules" in " ".join(block.text for block in found.blocks)


def test_restructuredtext_is_read_without_its_marks() -> None:
    found = read(
        "guide.rst",
        """\
        =====
        Guide
        =====

        :author: Ada
        :date: 2026-02-03

        See :ref:`the plan <plan>`, ``code`` and `site <https://x.example>`_.

        Install
        -------

        .. note::

           Ask *first*.

        .. code-block:: python
           :linenos:

           run()

        .. a comment
           that goes on

        Run this::

            make

        - one
          goes on
        - two

        ===== =====
        Name  Price
        ===== =====
        Line  10
        ===== =====

        +---+---+
        | a | b |
        +===+===+
        | c | d |
        +---+---+

        .. include:: /etc/passwd
        """,
    )
    assert shown(found) == [
        ("heading", "Guide"),
        ("paragraph", "See the plan, code and site."),
        ("heading", "Install"),
        ("paragraph", "Ask *first*."),
        ("code", "run()"),
        ("paragraph", "Run this:"),
        ("code", "make"),
        ("item", "- one goes on"),
        ("item", "- two"),
        ("table", "Name | Price\nLine | 10"),
        ("table", "a | b\nc | d"),
    ]
    assert [block.level for block in found.blocks if block.kind == "heading"] == [1, 2]
    assert (found.author, found.created_at) == ("Ada", datetime(2026, 2, 3, tzinfo=UTC))


MAIL = """\
From: =?utf-8?q?I=C5=9F=C4=B1l?= <isil@example.com>
To: Ada <ada@example.com>
Subject: =?utf-8?b?xLB6aW4=?= plan
Date: Tue, 3 Feb 2026 10:00:00 +0300
Message-ID: <1@example.com>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="x"

--x
Content-Type: multipart/alternative; boundary="y"

--y
Content-Type: text/plain; charset=iso-8859-9
Content-Transfer-Encoding: quoted-printable

=DDzin on d=F6rt g=FCnd=FCr.

> quoted line

3 =DEubat 2026 Sal=FD tarihinde Ada <ada@example.com> =FEunu yazd=FD:
What did you say?
--y
Content-Type: text/html

<p>The same in HTML</p>
--y--
--x
Content-Type: text/plain
Content-Disposition: attachment; filename="notes.txt"

Attached notes.
--x
Content-Type: image/png
Content-Disposition: attachment; filename="photo.png"
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--x--
"""


def test_a_message_is_what_its_writer_wrote() -> None:
    found = read("a.eml", MAIL)
    assert (found.title, found.kind) == ("İzin plan", "email")
    assert found.created_at == datetime(2026, 2, 3, 7, tzinfo=UTC)
    assert found.author == "Işıl <isil@example.com>"
    assert found.attributes["to"] == "Ada <ada@example.com>"
    assert found.attributes["message_id"] == "<1@example.com>"
    assert found.attributes["attachments"] == "notes.txt, photo.png"
    assert shown(found) == [
        ("paragraph", "İzin on dört gündür."),
        ("heading", "Attachment: notes.txt"),
        ("paragraph", "Attached notes."),
        ("heading", "Attachment: photo.png"),
    ]


def test_a_mailbox_is_a_section_for_each_message() -> None:
    one = "From a@b Tue Feb  3 10:00:00 2026\nFrom: a@b\nSubject: {}\n\nText {}.\n\n"
    found = read("box.mbox", one.format("First", 1) + one.format("Second", 2))
    assert [block.text for block in found.blocks if block.kind == "heading"] == ["First", "Second"]
    assert "Text 2." in [block.text for block in found.blocks]


def test_a_page_of_html_in_a_message_is_read() -> None:
    found = read("a.eml", "Subject: x\nContent-Type: text/html\n\n<p>Only <b>HTML</b></p>")
    assert shown(found) == [("paragraph", "Only HTML")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_rows_are_records_with_the_names_of_their_columns(delimiter: str) -> None:
    rows = [["Ad", "Şehir", "Not"], ["Işıl", "İzmir", '"iki\nsatır"'], ["Ada", "", "x"]]
    text = "\n".join(delimiter.join(row) for row in rows)
    assert shown(read("a.csv", text)) == [
        ("item", "- Ad: Işıl; Şehir: İzmir; Not: iki satır"),
        ("item", "- Ad: Ada; Not: x"),
    ]


def test_rows_without_a_header_are_values() -> None:
    assert shown(read("a.csv", "1,2\n3,4\n")) == [("item", "- 1; 2"), ("item", "- 3; 4")]


def test_json_is_read_record_by_record() -> None:
    text = '{"id": 1, "name": "Ada", "address": {"town": "İzmir"}, "tags": ["a", "b"], "x": null}\n'
    assert shown(read("a.jsonl", text + '{"id": 2, "on": true}\n')) == [
        ("item", "- id: 1; name: Ada; address.town: İzmir; tags: a, b"),
        ("item", "- id: 2; on: true"),
    ]
    assert shown(read("a.json", '[{"a": 1}, "text"]')) == [
        ("item", "- a: 1"),
        ("paragraph", "text"),
    ]
    with pytest.raises(UnreadableError, match="line 2 is not JSON"):
        read("a.jsonl", '{"a": 1}\n{broken\n')


PYTHON = '''\
"""A till."""

import os


@cached
def open_till(name):
    """Open it."""
    return name


class Till:
    """Counts."""

    def add(self, amount):
        self.sum += amount
'''


def test_code_is_divided_where_something_is_defined() -> None:
    found = read("till.py", PYTHON)
    assert found.kind == "code"
    headings = [block.text for block in found.blocks if block.kind == "heading"]
    assert headings == ["def open_till", "class Till"]
    code = "\n".join(block.text for block in found.blocks if block.kind == "code")
    assert [line for line in code.split("\n") if line] == [
        line for line in PYTHON.split("\n") if line
    ]


def test_a_long_class_is_divided_at_its_methods() -> None:
    methods = "\n".join(f"    def part_{n}(self):\n" + "        x = 1\n" * 30 for n in range(4))
    found = read("a.py", f"class Big:\n    size = 1\n\n{methods}")
    assert [(block.text, block.level) for block in found.blocks if block.kind == "heading"] == [
        ("class Big", 1),
        *((f"def part_{n}", 2) for n in range(4)),
    ]


@pytest.mark.parametrize(
    ("name", "text", "headings"),
    [
        (
            "a.go",
            "package x\n\nfunc (t *Till) Add(n int) {\n\tt.n += n\n}\n\ntype Till struct {\n\tn int\n}\n",
            ["func Add", "type Till"],
        ),
        (
            "a.js",
            "const add = (a, b) => {\n  return a + b\n}\n\nexport default class Till {\n}\n",
            ["add", "class Till"],
        ),
        ("a.c", "int add(int a, int b)\n{\n    return a + b;\n}\n", ["add"]),
        ("a.sh", "set -e\n\nstart() {\n  run\n}\n", ["start"]),
        ("a.sql", "CREATE TABLE till (\n  id int\n);\n", ["TABLE till"]),
        ("a.yaml", "on: push\njobs:\n  test: x\n", []),
    ],
)
def test_definitions_of_many_languages_are_known(name: str, text: str, headings: list[str]) -> None:
    found = read(name, text)
    assert [block.text for block in found.blocks if block.kind == "heading"] == headings


def test_a_page_says_its_address_author_and_dates() -> None:
    found = read(
        "page",
        """\
        <!-- saved --><!doctype html><html><head><title>T</title>
        <link rel=canonical href="https://example.com/a"><meta name=author content=Ada>
        <meta property="article:published_time" content="2026-01-02T03:04:05Z">
        <meta property="article:modified_time" content="2026-02-03"></head>
        <body><ul><li><a>Home</a><li><a>News</a><li><a>Shop</a><li><a>Help</a></ul>
        <table><tr><td><h2>Part</h2><p>Text.</p></td></tr></table>
        <ul><li>A point with <a>a link</a></li></ul></body></html>
        """,
        "text/html; charset=utf-8",
    )
    assert found.url == "https://example.com/a"
    assert found.author == "Ada"
    assert found.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert found.modified_at == datetime(2026, 2, 3, tzinfo=UTC)
    assert shown(found) == [
        ("heading", "Part"),
        ("paragraph", "Text."),
        ("item", "- A point with a link"),
    ]


def test_an_address_that_is_no_page_is_not_taken() -> None:
    page = "<html><link rel=canonical href='javascript:alert(1)'><p>Text"
    assert read("a.html", page).url == ""


@pytest.mark.parametrize("encoding", ["utf-32", "utf-32-le", "utf-32-be", "utf-16-le", "cp1254"])
def test_wide_and_turkish_encodings_are_found(encoding: str) -> None:
    text = "Yıllık izin süresi on dört gündür. Şirket İzmir'de çalışır."
    assert read("a.txt", text.encode(encoding)).blocks[0].text == text


def test_the_encoding_that_a_server_names_is_believed_where_utf8_is_not() -> None:
    text = "Отпуск длится четырнадцать дней."
    named = read("a.txt", text.encode("koi8-r"), "text/plain; charset=koi8-r")
    assert named.blocks[0].text == text
    for charset in ("no-such", "zip", "idna", "unicode_escape", "utf-7"):
        assert (
            read("a.txt", "ışık".encode(), f"text/plain; charset={charset}").blocks[0].text
            == "ışık"
        )


@pytest.mark.parametrize(
    ("name", "content", "media_type", "kind"),
    [
        ("index.php", b"<!DOCTYPE html><html><p>x", "text/html", "html"),
        ("index.php", b"<?php\necho 1;", "", "code"),
        ("a.py", b"x = 1", "text/plain", "code"),
        ("guide", b"# x", "text/markdown", "markdown"),
        ("mail", b"Received: x\nFrom: a@b\nSubject: y\n\nText", "", "email"),
        ("Makefile", b"all:\n\tmake", "", "text"),
        ("notes.txt", b"# Markdown in text", "", "text"),
        ("data", b'{"a": 1}', "application/json", "jsonl"),
    ],
)
def test_name_media_type_and_content_say_the_kind_together(
    name: str, content: bytes, media_type: str, kind: str
) -> None:
    assert read_document(name, content, media_type).kind == kind


def test_a_page_under_the_name_of_another_format_names_both() -> None:
    with pytest.raises(UnreadableError, match="its name says pdf, its content is html"):
        read("report.pdf", "<html><p>Please sign in", "text/html")


def test_blocks_are_clean() -> None:
    found = read_document("a.json", b'["a\\u0000b", "  ", "c"]')
    assert found.blocks == (
        Block("paragraph", "ab"),
        Block("paragraph", "c"),
    )
