"""What a request lost on its way to a provider: parameters that were dropped or changed."""

from __future__ import annotations

from santral.errors import ParameterNotSupported

#: Losses that are told, and letters of each: what a client's headers have room for. Chosen: 8 kB is
#: the least that clients and proxies take.
MOST_LOSSES = 64
_MOST_LETTERS = 100


def _shown(loss: str) -> str:
    """Return a loss as a header may say it: its name may be the caller's own, line feeds and all."""
    if loss.isascii() and loss.isprintable() and "," not in loss and len(loss) <= _MOST_LETTERS:
        return loss
    kept = (letter if " " <= letter <= "~" and letter != "," else "?" for letter in loss)
    return "".join(kept)[:_MOST_LETTERS]


class Losses:
    """The losses of one request: those of the gateway, and those of the attempt under way.

    What is lost goes into the header ``x-santral-loss`` and the trace; a strict route refuses
    instead. Names are paths in the caller's own request: ``n``, ``messages.2.content.0``.
    """

    __slots__ = ("_attempt", "_kept", "_mended", "strict_route")

    def __init__(self, strict_route: str = "") -> None:
        """``strict_route`` names the route, where it is strict."""
        self.strict_route = strict_route
        self._kept: list[str] = []
        self._attempt: list[str] = []
        self._mended: dict[str, bool] = {}

    def drop(self, name: str, reason: str = "") -> None:
        """Note a parameter that does not reach the provider.

        Raises:
            ParameterNotSupported: the route is strict.
        """
        self._add(name, reason)

    def change(self, name: str, value: object) -> None:
        """Note a parameter that reaches the provider with another value; raises as ``drop``."""
        self._add(f"{name}={value}", "")

    def note(self, name: str, value: object) -> None:
        """Note what the answer goes without by no fault of the request: strict routes go on, too."""
        self._kept.append(_shown(f"{name}={value}"))

    def keep(self) -> None:
        """Make what was noted so far part of every attempt: the gateway itself lost it."""
        if self._attempt:
            self._kept += self._attempt
            self._attempt = []

    def restart(self) -> None:
        """Forget what the last attempt lost: another deployment may take it."""
        self._attempt = []
        self._mended = {}

    def mend(self, name: str) -> None:
        """Say that the gateway itself does what ``name`` asks for, should a provider do less."""
        self._mended[name] = False

    def is_mended(self, name: str) -> bool:
        """Whether the attempt dropped or changed what the gateway does itself."""
        return self._mended.get(name, False)

    def fork(self) -> Losses:
        """Return losses for an attempt beside another one; ``take`` those of the one that wins."""
        fork = Losses(self.strict_route)
        fork._kept = self._kept
        return fork

    def take(self, fork: Losses) -> None:
        """Make the losses of a forked attempt those of the request."""
        self._attempt = fork._attempt

    def names(self) -> list[str]:
        """Return every loss once, in the order they were noted."""
        if not (self._kept or self._attempt):
            return []
        names = list(dict.fromkeys([*self._kept, *self._attempt]))
        return names if len(names) <= MOST_LOSSES else [*names[:MOST_LOSSES], "..."]

    def _add(self, loss: str, reason: str) -> None:
        loss = _shown(loss)
        name = loss.partition("=")[0]
        if name in self._mended:
            self._mended[name] = True
            return
        if self.strict_route:
            raise ParameterNotSupported(
                f"The route '{self.strict_route}' is strict and would have to drop or change "
                f"'{loss}'{': ' + reason if reason else ''}. Leave it out, or use another route.",
                param=loss.partition("=")[0],
            )
        self._attempt.append(loss)
