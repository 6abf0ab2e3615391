"""A good file of each format."""

from __future__ import annotations

from functools import cache

from tests.retrieval.reading.office import sheets, slides, word
from tests.retrieval.reading.paper import PageBreak, body, grid, heading, paper, prose


@cache
def samples() -> dict[str, bytes]:
    """Return the files by their names."""
    table = grid([["a", "b", "c"], ["1", "2", "3"], ["4", "5", "6"]])
    return {
        "a.md": b"---\ntitle: T\n---\n# A\n\nText *b*.\n\n- x\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\nx\n```\n",
        "a.txt": "Yıllık izin. On dört gün.\n\n1. Kapsam\n\nmetin   sütun\n".encode(),
        "a.html": b"<!doctype html><title>T</title><main><h1>A</h1><p>b<table><tr><td>c</table><ul><li>d</ul>",
        "a.pdf": paper(heading("A"), body(prose("A", 20)), table, PageBreak(), body(prose("B", 3)), head="H"),
        "a.docx": word(),
        "a.pptx": slides(),
        "a.xlsx": sheets(),
        "a.rst": b"A\n=\n\n:author: x\n\n.. note:: b\n\n   c\n\n=== ===\n a   b\n=== ===\n 1   2\n=== ===\n\nx::\n\n  y\n",
        "a.eml": (
            b"From: =?utf-8?q?a?= <a@b>\nSubject: s\nDate: Tue, 3 Feb 2026 10:00:00 +0300\nMIME-Version: 1.0\n"
            b'Content-Type: multipart/mixed; boundary="x"\n\n--x\n\nText\n> q\n--x\nContent-Type: text/html\n'
            b'Content-Disposition: attachment; filename="a.html"\n\n<p>b\n--x--\n'
        ),
        "a.mbox": b"From a@b Tue Feb  3 10:00:00 2026\nFrom: a@b\nSubject: s\n\nText\n" * 2,
        "a.csv": b'name;town\nAda;"x\ny"\nBob;z\n',
        "a.jsonl": b'{"a": {"b": [1, 2.5, "x"]}}\n{"c": null, "d": true}\n',
        "a.py": b"import os\n\n\n@x\ndef f(a):\n    return a\n\n\nclass B:\n    def c(self):\n        pass\n",
    }  # fmt: skip
