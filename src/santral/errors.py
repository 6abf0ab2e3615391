"""Every error Santral raises.

    SantralError
    ├── ConfigError            settings, prompts, prices or policies cannot be used
    ├── StoreError             a database, index or spool cannot be used
    ├── SealBroken             what was sealed was changed or moved, or another key sealed it
    ├── RequestError           the caller must change something
    │   ├── BadRequest             400  malformed, unknown or contradictory
    │   ├── Unauthenticated        401  no key, unknown key, revoked or expired key
    │   ├── NotAllowed             403  the key may not use this
    │   ├── NotFound               404  no such route, collection, prompt, trace
    │   │   └── DataKeyGone            404  erased: the key that opened it was destroyed
    │   ├── MethodNotAllowed       405  the path has other methods
    │   ├── TooSlow                408  the body took longer than the limit
    │   ├── Conflict               409  it stands against what is there now
    │   ├── TooLarge               413  body over the limit
    │   ├── HeldForReview          423  the answer waits for a reviewer
    │   ├── UnsupportedMedia       415  the body says it is no JSON
    │   ├── NoSupport              422  the documents hold no answer, and the route refuses then
    │   ├── GuardrailRefused       400  a check refused the input
    │   ├── OutputRefused          502  no answer passed the output checks
    │   └── QuotaExceeded          429  a limit is used up
    ├── Overloaded             503  this process cannot take more now
    ├── LimitsUnavailable      503  limits are kept where nobody answers, and a rule refuses then
    ├── SignInUnavailable      503  the OpenID provider does not answer, or not as it should
    ├── SourceUnreachable      502  a source of documents does not answer; what is known of it stays
    └── ProviderError          the provider, not the gateway, failed
        ├── ProviderUnreachable    502  no connection, or cut before the answer
        ├── ProviderTimeout        504  connect, first delta, between deltas, total
        ├── ProviderBusy           429  the provider's own rate limit
        │   └── DeploymentLimited      429  a limit of ours for this model; another may answer
        ├── ProviderFailed         502  5xx, or an error inside a 200
        ├── ProviderGarbled        502  bytes that are not the dialect
        ├── ProviderRefusedKey     502  401, 402 or 403 from upstream: never the caller's 401
        └── ProviderRefusedRequest 400  4xx that no other deployment of the same kind would take
            ├── ContextWindowExceeded  400  too long for this model; a longer one may take it
            ├── ContentPolicyRefused   400  the provider's own filter; a configured model may answer
            ├── ModelNotFound          502  the provider does not know the model; another may
            └── ParameterNotSupported  400  a strict route would have to drop or change a parameter

``code`` is stable and documented in docs/reference/errors.md; it says whether the gateway or the
provider refused. ``retryable`` says that another attempt or deployment may succeed: fallback looks
at it and never at a message.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class SantralError(Exception):
    """Something went wrong that a caller or operator can act on; the message says how."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    kind: ClassVar[str] = "api_error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail_code = code or self.code
        self.param = param
        self.retry_after_s = retry_after_s


class ConfigError(SantralError):
    """A file that configures Santral cannot be used; names file, place and remedy."""

    code = "config_invalid"


class StoreError(SantralError):
    """A database, index, spool or folder cannot be used."""

    code = "store_unavailable"
    status = 503
    retryable = True


class SealBroken(SantralError):
    """Sealed bytes do not open: they were changed, cut, moved, or sealed under another key."""

    code = "seal_broken"


class RequestError(SantralError):
    """The caller has to change the request."""

    code = "bad_request"
    status = 400
    kind = "invalid_request_error"


class BadRequest(RequestError):
    """The request is malformed, or asks for something that does not exist."""


class Unauthenticated(RequestError):
    """No valid virtual key came with the request."""

    code = "invalid_api_key"
    status = 401
    kind = "authentication_error"


class NotAllowed(RequestError):
    """The virtual key is valid but may not do this."""

    code = "not_allowed"
    status = 403
    kind = "permission_error"


class NotFound(RequestError):
    """The named thing does not exist for this caller."""

    code = "not_found"
    status = 404
    kind = "not_found_error"


class DataKeyGone(NotFound):
    """What was sealed is erased: the data key that could open it was destroyed."""

    code = "data_key_gone"


class TooSlow(RequestError):
    """The body took longer to arrive than the configured limit."""

    code = "request_timeout"
    status = 408


class Conflict(RequestError):
    """What is asked stands against what is there now; the message says how to go on."""

    code = "conflict"
    status = 409


class MethodNotAllowed(RequestError):
    """The path exists, but not with this method."""

    code = "method_not_allowed"
    status = 405


class TooLarge(RequestError):
    """The body is larger than the configured limit."""

    code = "request_too_large"
    status = 413


class UnsupportedMedia(RequestError):
    """The body is of a type that this endpoint does not take."""

    code = "unsupported_media_type"
    status = 415


class HeldForReview(RequestError):
    """The answer is made and waits for a reviewer; ``held_id`` is what to ask for it by."""

    code = "held_for_review"
    status = 423
    kind = "review_error"

    def __init__(self, message: str, *, held_id: str) -> None:
        super().__init__(message)
        self.held_id = held_id


class NoSupport(RequestError):
    """Nothing was found that supports an answer, and the route answers from documents alone."""

    code = "no_support"
    status = 422


class GuardrailRefused(RequestError):
    """A check refused the input; ``check`` names it."""

    code = "guardrail_refused"
    kind = "guardrail_error"

    def __init__(self, message: str, *, check: str, reason: str) -> None:
        super().__init__(message)
        self.check = check
        self.reason = reason


class OutputRefused(SantralError):
    """No answer passed the output checks."""

    code = "output_refused"
    status = 502
    kind = "guardrail_error"

    def __init__(self, message: str, *, check: str, reason: str) -> None:
        super().__init__(message)
        self.check = check
        self.reason = reason


class QuotaExceeded(RequestError):
    """A limit of the caller is used up; ``retry_after_s`` says when to come back.

    ``account`` is the one that opens last, ``patience_s`` how long its limit lets a request wait.
    """

    code = "rate_limit_exceeded"
    status = 429
    kind = "rate_limit_error"

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float,
        code: str | None = None,
        headers: dict[str, str] | None = None,
        account: str = "",
        patience_s: float = 0.0,
    ) -> None:
        super().__init__(message, code=code, retry_after_s=retry_after_s)
        self.headers = headers or {}
        self.account = account
        self.patience_s = patience_s


class Overloaded(SantralError):
    """This process cannot take more work now."""

    code = "gateway_overloaded"
    status = 503
    retryable = True


class LimitsUnavailable(SantralError):
    """Limits are kept in a Redis that cannot be asked, and a rule refuses while that is so."""

    code = "limits_unavailable"
    status = 503
    retryable = True


class SignInUnavailable(SantralError):
    """The OpenID provider does not answer, or its answer cannot be used."""

    code = "sign_in_unavailable"
    status = 503
    retryable = True


class SourceUnreachable(SantralError):
    """A source of documents cannot be had for now: nothing that is known of it is removed."""

    code = "source_unreachable"
    status = 502
    retryable = True


class ProviderError(SantralError):
    """The provider failed; ``deployment`` is filled in by routing, ``upstream_status`` by the dialect."""

    code = "provider_error"
    status = 502
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        upstream_status: int | None = None,
        retry_after_s: float | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s, param=param)
        self.upstream_status = upstream_status
        self.deployment: str | None = None


class ProviderUnreachable(ProviderError):
    """No connection, or it was cut before the answer was whole."""

    code = "provider_unreachable"


class ProviderTimeout(ProviderError):
    """The provider was silent for longer than a timeout; ``phase`` names which."""

    code = "provider_timeout"
    status = 504

    def __init__(self, message: str, *, phase: str) -> None:
        super().__init__(message)
        self.phase = phase


class ProviderBusy(ProviderError):
    """The provider's own rate limit refused the call."""

    code = "provider_rate_limited"
    status = 429
    kind = "rate_limit_error"


class DeploymentLimited(ProviderBusy):
    """A limit of ours for this model is used up; the code is the limit's own."""

    def __init__(self, message: str, *, code: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.detail_code = code


class ProviderFailed(ProviderError):
    """The provider answered 5xx, or with an error inside a 200."""

    code = "provider_failed"


class ProviderGarbled(ProviderError):
    """The provider's bytes are not the dialect it should speak."""

    code = "provider_garbled"


class ProviderRefusedKey(ProviderError):
    """The provider does not accept our credential: an operator must act, the caller cannot."""

    code = "provider_credentials_refused"


class ProviderRefusedRequest(ProviderError):
    """The provider refuses the request itself; another deployment of its kind would too."""

    code = "provider_refused_request"
    status = 400
    kind = "invalid_request_error"
    retryable = False


class ContextWindowExceeded(ProviderRefusedRequest):
    """The request is longer than the model takes; another deployment may have a longer window."""

    code = "context_window_exceeded"
    retryable = True


class ContentPolicyRefused(ProviderRefusedRequest):
    """The provider's own filter refused the request; a route may name a deployment for that."""

    code = "content_policy_refused"
    retryable = True


class ModelNotFound(ProviderRefusedRequest):
    """The provider does not know the model or endpoint: the operator's mistake, not the caller's."""

    code = "provider_model_not_found"
    status = 502
    kind = "api_error"
    retryable = True


class ParameterNotSupported(ProviderRefusedRequest):
    """A strict route will not drop or change a parameter, and this deployment would have to."""

    code = "parameter_not_supported"
    retryable = True


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known name nearest to ``name``, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""
