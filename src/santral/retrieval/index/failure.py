"""What befalls an index that lives on a server: told with a remedy, and not asked again at once."""

from __future__ import annotations

from collections.abc import Callable

from santral.errors import StoreError

#: How long a server that did not answer is left alone. Chosen: long enough that searches do not pile
#: up behind a dead server, short enough that nobody notices when it is back.
PAUSE_S = 5.0


class Pause:
    """Makes searches fail at once for a while after a server did not answer."""

    def __init__(self, clock: Callable[[], float], pause_s: float = PAUSE_S) -> None:
        self._clock = clock
        self._pause_s = pause_s
        self._until = 0.0
        self._reason: StoreError | None = None

    def check(self) -> None:
        """Raise the last failure again while the pause lasts."""
        if self._reason is not None and self._clock() < self._until:
            raise StoreError(
                self._reason.message,
                code=self._reason.detail_code,
                retry_after_s=self._until - self._clock(),
            )

    def failed(self, error: StoreError) -> None:
        """Begin a pause, where the server is away or slow; other failures are told each time."""
        if error.detail_code == "index_unreachable":
            self._reason, self._until = error, self._clock() + self._pause_s

    def answered(self) -> None:
        """End the pause."""
        self._reason = None


def unreachable(server: str, why: str) -> StoreError:
    """Nobody answers at the address, or not in time."""
    return StoreError(
        f"The index server {server} {why}. Check that it runs, its address under [indexes] and the "
        "network; searches try again by themselves.",
        code="index_unreachable",
    )


def refused(server: str, why: str) -> StoreError:
    """The server does not let us in, or not do what we must."""
    return StoreError(
        f"The index server {server} refuses: {why}. Check the secret and the rights of its user under "
        "[indexes].",
        code="index_refused",
    )


def full(server: str) -> StoreError:
    """The server has no room left."""
    return StoreError(
        f"The index server {server} has no room left. Free some space there; the ingest goes on where "
        "it stopped.",
        code="index_full",
    )


def unfit(server: str, why: str) -> StoreError:
    """The server is too old, or what it holds is of another format."""
    return StoreError(f"The index server {server} cannot be used: {why}.", code="index_unfit")


def lost(server: str, what: str) -> StoreError:
    """What was published there is gone, and not through us."""
    return StoreError(
        f"The index server {server} no longer holds {what}: it was deleted there. "
        "Run santral ingest again to rebuild it.",
        code="index_lost",
    )


def busy(what: str) -> StoreError:
    """Somebody else writes the partition."""
    return StoreError(
        f"Another ingest of {what} is running. Wait until it has finished, then run this one again.",
        code="ingest_running",
    )


def failed(server: str, why: str) -> StoreError:
    """Something that none of the others tells."""
    return StoreError(
        f"The index server {server} failed: {why}. Look at its log.", code="index_failed"
    )


def misdirected(what: str) -> StoreError:
    """A scope of another tenant or collection: our own mistake."""
    return StoreError(f"The index of {what} was asked on behalf of another.", code="index_scope")


def wrong_dimension(given: int, held: int) -> StoreError:
    """A question was embedded by another model than the chunks."""
    return StoreError(
        f"The question's vector has {given} dimensions, and the index has {held}. Embed it with the "
        "model of this version.",
        code="wrong_dimension",
    )
