"""Text of scanned pages, through the tesseract program."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

from santral.retrieval.document import UnreadableError

#: Points of a picture per inch. Source: tesseract's manual, best from 300 on.
_DPI = 300
#: Pixels of a page at most; larger pages are drawn smaller. Chosen: A3 at 300 dpi is 17 million.
_MOST_PIXELS = 40_000_000
_LANGUAGES = re.compile(r"[a-zA-Z_]{3,20}(?:\+[a-zA-Z_]{3,20}){0,9}")


def recognised(page: Any, languages: str, timeout_s: float) -> str:
    """Return the text of a page's picture, its paragraphs apart by empty lines.

    Raises:
        UnreadableError: the program or a language is missing, or it took too long; says what to do.
    """
    program = shutil.which("tesseract")
    if program is None:
        raise UnreadableError(
            "it has no text layer, and tesseract is not installed. Install it with: "
            f"sudo apt-get install {_packages(languages)}"
        )
    if not _LANGUAGES.fullmatch(languages):
        raise UnreadableError(f"'{languages}' are no languages of tesseract, like tur+eng")
    command = [program, "stdin", "stdout", "-l", languages, "--psm", "3", "--dpi", str(_DPI)]
    try:
        done = subprocess.run(  # noqa: S603 - our own command line, the picture comes by its input
            command, input=_picture(page), capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise UnreadableError(
            f"reading a scanned page took longer than {timeout_s:.0f} s"
        ) from None
    except OSError as error:
        raise UnreadableError(f"tesseract cannot be started: {error.strerror}") from None
    said = done.stderr.decode(errors="replace")
    # With one language of two it goes on, and reads what it does not know as nonsense.
    if done.returncode or "Failed loading language" in said:
        raise UnreadableError(_complaint(said, languages))
    return done.stdout.decode(errors="replace").replace("\f", "")


def _picture(page: Any) -> bytes:
    """Return a page in grey as PGM, which needs no library to be written."""
    width, height = page.get_size()
    scale = _DPI / 72
    if width * height * scale * scale > _MOST_PIXELS:
        scale = (_MOST_PIXELS / max(width * height, 1.0)) ** 0.5
    bitmap = page.render(scale=scale, grayscale=True)
    try:
        pixels = bitmap.to_numpy()
        grey = pixels.reshape(bitmap.height, bitmap.width, -1)[:, :, 0]
        return b"P5\n%d %d\n255\n" % (bitmap.width, bitmap.height) + grey.tobytes()
    finally:
        bitmap.close()


def _complaint(said: str, languages: str) -> str:
    if "language" in said.lower():
        return (
            f"tesseract does not have all of {languages}. Install them with: "
            f"sudo apt-get install {_packages(languages)}"
        )
    return f"tesseract could not read it: {' '.join(said.split())[:200]}"


def _packages(languages: str) -> str:
    parts = [part for part in languages.split("+") if part != "eng"]
    return " ".join(
        ["tesseract-ocr", *(f"tesseract-ocr-{part.replace('_', '-')}" for part in parts)]
    )
