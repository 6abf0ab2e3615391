"""What AWS says when it refuses, as our errors: the name of the exception decides.

It comes in the header ``x-amzn-errortype``, in the body's ``__type``, or in the headers of a frame.
Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from santral.errors import (
    ContextWindowExceeded,
    ModelNotFound,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderRefusedKey,
    ProviderRefusedRequest,
    ProviderTimeout,
)
from santral.providers.bedrock.frames import Frame
from santral.providers.openai.error import built, kind_of_status, says_too_long, scrubbed
from santral.providers.openai.hints import retry_after


class _Body(Struct, rename={"type": "__type", "upper": "Message"}):
    message: str = ""
    upper: str = ""
    type: str = ""


_body = msgspec.json.Decoder(_Body)


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, *, now: float, secret: str = ""
) -> ProviderError:
    """Return the error for an answer with a status other than 200; see ``openai.error.refusal``."""
    said = _read(body)
    name = _name(headers.get("x-amzn-errortype", "") or said.type)
    text = scrubbed(said.message or said.upper, secret) or f"status {status}"
    wait_s = retry_after(headers, now)
    return _build(name, text, "The provider refused", status, status, wait_s)


def frame_error(frame: Frame, *, secret: str = "") -> ProviderError:
    """Return the error that a frame of the type ``exception`` or ``error`` is."""
    said = _read(frame.payload)
    headers = frame.headers
    name = _name(headers.get(":exception-type", "") or headers.get(":error-code", ""))
    message = said.message or said.upper or headers.get(":error-message", "")
    text = scrubbed(message, secret) or name or "no reason given"
    return _build(name, text, "The provider failed inside its answer", 0, 200, None)


def _read(body: bytes) -> _Body:
    try:
        return _body.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Body()


def _name(value: str) -> str:
    """Return an exception's bare name: ``com.amazon#ThrottlingException:http://...`` says more."""
    name = value.partition(":")[0].rpartition("#")[2]
    return name[:1].upper() + name[1:]


def _build(
    name: str, text: str, verb: str, code: int, status: int, wait_s: float | None
) -> ProviderError:
    kind = _KINDS.get(name) or kind_of_status(code) or ProviderFailed
    if kind is ProviderRefusedRequest:
        kind = _kind_of_words(text)
    message = f"{verb}: {text}" + (f" ({name})" if name else "")
    return built(kind, message, status, wait_s)


def _kind_of_words(text: str) -> type[ProviderError]:
    """A ValidationException says with its words alone what is not valid."""
    if _TOO_LONG.search(text) or says_too_long(text):
        return ContextWindowExceeded
    return ModelNotFound if _NO_MODEL.search(text) else ProviderRefusedRequest


_TOO_LONG = re.compile(
    r"input is too long|too many (?:input )?tokens|exceed.{0,20}context limit"
    r"|maximum (?:context|number of input) ",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model identifier is invalid|on-demand throughput isn.t supported|model.{0,40}end of its life",
    re.IGNORECASE,
)

#: Source: the errors of Converse and ConverseStream, and the common errors of AWS's APIs.
_KINDS: dict[str, type[ProviderError]] = {
    "ThrottlingException": ProviderBusy,
    "TooManyRequestsException": ProviderBusy,
    "ModelNotReadyException": ProviderBusy,
    "ServiceQuotaExceededException": ProviderBusy,
    "AccessDeniedException": ProviderRefusedKey,
    "UnrecognizedClientException": ProviderRefusedKey,
    "InvalidSignatureException": ProviderRefusedKey,
    "IncompleteSignatureException": ProviderRefusedKey,
    "MissingAuthenticationTokenException": ProviderRefusedKey,
    "ExpiredTokenException": ProviderRefusedKey,
    "ResourceNotFoundException": ModelNotFound,
    "ModelTimeoutException": ProviderTimeout,
    "ValidationException": ProviderRefusedRequest,
    "ModelErrorException": ProviderFailed,
    "ModelStreamErrorException": ProviderFailed,
    "InternalServerException": ProviderFailed,
    "ServiceUnavailableException": ProviderFailed,
}
