"""Puts a report of `santral eval run` on its pull or merge request: one comment, kept up to date.

    python comment.py santral-evals/report.md

Needs nothing but Python. On GitHub Actions it reads GITHUB_TOKEN, on GitLab CI SANTRAL_GITLAB_TOKEN (a
project access token with the scope `api` and the role Reporter: a job's own token may not write notes).
Where the token may only read, as in requests from forks, the report goes to the job's summary alone.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

TIMEOUT_S = 30
PER_PAGE = 100
MOST_PAGES = 50


class Place(NamedTuple):
    """Where comments of one request are listed and made, and how one is changed."""

    comments: str  # GET and POST
    comment: str  # with {id}
    update: str  # the method that changes one
    headers: Mapping[str, str]
    author: str  # the login of whoever writes with this token


class Forbidden(Exception):
    """The token may not write here."""


def main() -> int:
    if len(sys.argv) != 2:
        return fail("usage: comment.py REPORT.md")
    try:
        body = Path(sys.argv[1]).read_text(encoding="utf-8")
    except OSError as error:
        return fail(
            f"{sys.argv[1]} cannot be read ({error.strerror}): did `santral eval run` end before it wrote?"
        )
    summarise(body)
    try:
        place = github() if "GITHUB_ACTIONS" in os.environ else gitlab()
        if place is None:
            print("No pull or merge request: the report is in the job's summary and artefacts.")
            return 0
        print(put(place, body))
    except Forbidden as error:
        print(f"{error}: the report is in the job's summary and artefacts.")
    except (OSError, ValueError, KeyError) as error:
        return fail(f"the comment could not be written: {error}")
    return 0


def put(place: Place, body: str) -> str:
    """Change the comment that begins as this one does, if we wrote it; else make one."""
    marker = body.partition("\n")[0]
    for comment in listed(place):
        author = comment.get("user") or comment.get("author") or {}
        is_ours = author.get("login", author.get("username")) == place.author
        if is_ours and comment.get("body", "").startswith(marker):
            call(
                place.update, place.comment.format(id=comment["id"]), place.headers, {"body": body}
            )
            return f"Changed comment {comment['id']}."
    made = call("POST", place.comments, place.headers, {"body": body})
    return f"Wrote comment {made['id']}."


def listed(place: Place) -> Iterator[dict[str, Any]]:
    for page in range(1, MOST_PAGES + 1):
        found = call("GET", f"{place.comments}?per_page={PER_PAGE}&page={page}", place.headers)
        yield from found
        if len(found) < PER_PAGE:
            return


def github() -> Place | None:
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    number = (event.get("pull_request") or {}).get("number")
    if number is None:
        return None
    issues = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/issues"
    headers = {
        "authorization": f"Bearer {token('GITHUB_TOKEN')}",
        "accept": "application/vnd.github+json",
        "x-github-api-version": "2022-11-28",
    }
    author = os.environ.get("SANTRAL_COMMENT_AUTHOR", "github-actions[bot]")
    return Place(
        f"{issues}/{number}/comments", f"{issues}/comments/{{id}}", "PATCH", headers, author
    )


def gitlab() -> Place | None:
    number = os.environ.get("CI_MERGE_REQUEST_IID")
    if not number:
        return None
    api = os.environ["CI_API_V4_URL"]
    project = quote(os.environ["CI_MERGE_REQUEST_PROJECT_ID"], safe="")
    notes = f"{api}/projects/{project}/merge_requests/{number}/notes"
    headers = {"private-token": token("SANTRAL_GITLAB_TOKEN")}
    author = call("GET", f"{api}/user", headers)["username"]
    return Place(notes, f"{notes}/{{id}}", "PUT", headers, author)


def token(name: str) -> str:
    found = os.environ.get(name, "")
    if not found:
        raise Forbidden(f"{name} is not set")
    return found


def call(method: str, url: str, headers: Mapping[str, str], body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    sent = dict(headers) | {"content-type": "application/json", "user-agent": "santral-eval"}
    request = urllib.request.Request(url, data, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403):
            raise Forbidden(f"{method} {url} is refused ({error.code})") from None
        raise OSError(f"{method} {url} answered {error.code}") from None


def summarise(body: str) -> None:
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(body)


def fail(message: str) -> int:
    print(f"comment.py: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
