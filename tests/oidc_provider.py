"""An OpenID provider on a free port: Authlib's server side, and ways to make it lie.

It checks client, secret, redirect URI, PKCE and the single use of codes like a real one. ``forge``
replaces the ID token that it is about to give; ``rotate`` changes its key; ``break_with`` makes an
endpoint answer something else.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import flask
import werkzeug.serving
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Request, grants
from authlib.oauth2.rfc6749.errors import AccessDeniedError
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import AuthorizationCodeMixin
from authlib.oidc.core.grants import OpenIDCode
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT_ID, CLIENT_SECRET = "santral-console", "s3cret of the client"

#: Left out of the ID token where ``is_thin``: they stand in the userinfo alone.
_OF_USERINFO = ("email", "email_verified", "groups", "name")


class Client(ClientMixin):
    """The one client that is registered."""

    def __init__(self, redirect_uris: list[str]) -> None:
        self.redirect_uris = redirect_uris

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uris[0]

    def get_allowed_scope(self, scope: Any) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


class Code(AuthorizationCodeMixin):
    """A code that was given to a browser."""

    def __init__(self, request: Any, subject: str) -> None:
        asked = request.payload.data
        self.redirect_uri, self.scope = request.payload.redirect_uri, request.payload.scope
        self.nonce, self.subject = asked.get("nonce"), subject
        self.code_challenge = asked.get("code_challenge")
        self.code_challenge_method = asked.get("code_challenge_method")

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> Any:
        return None

    def get_amr(self) -> Any:
        return None


class OpenIdProvider:
    """The provider; ``people`` are its accounts, by subject."""

    def __init__(self) -> None:
        self.people: dict[str, dict[str, Any]] = {}
        self.redirect_uris: list[str] = []
        self.is_thin = False  # claims of people stand in the userinfo alone
        self.forge: Callable[[dict[str, Any]], str] | None = None
        self.broken: dict[str, tuple[int, str]] = {}
        self.slow_s: dict[str, float] = {}
        self.asked: list[str] = []
        self.codes: dict[str, Code] = {}
        self.key = self._new_key()
        self._server = werkzeug.serving.make_server("127.0.0.1", 0, self._app(), threaded=True)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    def add(self, subject: str, email: str, *groups: str, **claims: Any) -> None:
        """Add an account, or change it."""
        self.people[subject] = {
            "name": email.partition("@")[0].title(),
            "email": email,
            "email_verified": True,
            "groups": list(groups),
            **claims,
        }

    def rotate(self) -> RSAKey:
        """Sign with another key from now on, and publish that one alone; return the old one."""
        old, self.key = self.key, self._new_key()
        return old

    def break_with(self, path: str, status: int, body: str = "") -> None:
        self.broken[path] = (status, body)

    def mend(self) -> None:
        self.broken.clear()
        self.slow_s.clear()
        self.forge, self.is_thin = None, False

    def claims(self, subject: str, **changes: Any) -> dict[str, Any]:
        """Return what a good ID token of this person says."""
        now = int(time.time())
        said = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "sub": subject,
            **self.people.get(subject, {}),
            **changes,
        }
        return {name: value for name, value in said.items() if value is not None}

    def token(self, subject: str, **changes: Any) -> str:
        """Return a token signed with the provider's own key."""
        return self.sign(self.claims(subject, **changes))

    def sign(self, claims: dict[str, Any], key: RSAKey | None = None, **head: Any) -> str:
        signer = key or self.key
        return jwt.encode({"alg": "RS256", "kid": signer.kid, **head}, claims, signer)

    @staticmethod
    def _new_key() -> RSAKey:
        key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"})
        key.ensure_kid()
        return key

    def _app(self) -> flask.Flask:
        os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # Authlib's leave to speak http, here alone
        app = flask.Flask("oidc-provider")
        app.config["OAUTH2_SCOPES_SUPPORTED"] = ["openid", "profile", "email", "groups"]
        server = AuthorizationServer(app, query_client=self._client, save_token=self._save_token)
        server.register_grant(self._grant(), [self._openid(), CodeChallenge(required=True)])
        app.before_request(self._intercept)
        app.add_url_rule("/.well-known/openid-configuration", "found", self._found)
        app.add_url_rule("/keys", "keys", self._keys)
        app.add_url_rule("/userinfo", "userinfo", self._userinfo)

        @app.route("/authorize", methods=["GET", "POST"])
        def authorize() -> Any:
            grant = server.get_consent_grant()
            subject = flask.request.form.get("subject")
            if flask.request.method == "GET":
                return _FORM
            if subject not in self.people:
                denied = AccessDeniedError(redirect_uri=grant.request.payload.redirect_uri)
                denied.state = grant.request.payload.state
                return server.handle_error_response(grant.request, denied)
            return server.create_authorization_response(grant=grant, grant_user=subject)

        @app.post("/token")
        def token() -> Any:
            return server.create_token_response()

        del authorize, token
        return app

    def _intercept(self) -> Any:
        path = flask.request.path
        self.asked.append(path)
        time.sleep(self.slow_s.get(path, 0))
        if path in self.broken:
            status, body = self.broken[path]
            return flask.Response(body, status, {"location": "/elsewhere"})
        return None

    def _client(self, client_id: str) -> Client | None:
        return Client(self.redirect_uris) if client_id == CLIENT_ID else None

    def _found(self) -> Any:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def _keys(self) -> Any:
        return KeySet([self.key]).as_dict(private=False)

    def _userinfo(self) -> Any:
        subject = flask.request.headers.get("authorization", "").removeprefix("Bearer token-of-")
        return {"sub": subject, **self.people[subject]}

    def _save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        token["access_token"] = f"token-of-{request.user}"

    def _grant(self) -> type[grants.AuthorizationCodeGrant]:
        provider = self

        class CodeGrant(grants.AuthorizationCodeGrant):
            TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]  # noqa: RUF012

            def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
                provider.codes[code] = Code(request, str(request.user))

            def query_authorization_code(self, code: str, client: Any) -> Code | None:
                return provider.codes.get(code)

            def delete_authorization_code(self, authorization_code: Code) -> None:
                provider.codes = {
                    text: kept
                    for text, kept in provider.codes.items()
                    if kept is not authorization_code
                }

            def authenticate_user(self, authorization_code: Code) -> str:
                return authorization_code.subject

        return CodeGrant

    def _openid(self) -> OpenIDCode:
        provider = self

        class OpenId(OpenIDCode):
            def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
                return any(code.nonce == nonce for code in provider.codes.values())

            def process_token(self, grant: Any, response: Any) -> Any:
                token = response[1]
                request = grant.request
                said = provider.claims(request.user, nonce=request.authorization_code.nonce)
                if provider.is_thin:
                    said = {k: v for k, v in said.items() if k not in _OF_USERINFO}
                token["id_token"] = (provider.forge or provider.sign)(said)
                return token

        return OpenId(require_nonce=True)


_FORM = """<!doctype html><title>Provider</title><form method="post">
<label>Account <input name="subject" id="subject"></label><button>Allow</button></form>"""
