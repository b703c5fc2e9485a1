"""A provider of identities on the loopback, which tells the truth or lies on command.

It does what OpenID Connect asks of a provider with the authorization code flow, PKCE required, and
keeps what it was asked. :class:`Lie` names each way in which its answer can be wrong.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import unquote_plus, urlencode

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT_ID: Final = "coachline"
CLIENT_SECRET: Final = "a client's + secret / of Coachline"


class Lie(StrEnum):
    """What may be wrong with a signed answer or what carries it."""

    NONCE = "another nonce"
    NO_NONCE = "no nonce"
    ISSUER = "another issuer"
    AUDIENCE = "another audience"
    SECOND_AUDIENCE = "a second audience without azp"
    AZP = "another azp"
    EXPIRED = "expired"
    NO_EXPIRY = "no exp"
    NO_SUBJECT = "no sub"
    NUMERIC_SUBJECT = "a number as sub"
    UNVERIFIED = "an email address that is not verified"
    UNVERIFIED_TEXT = "email_verified as a text"
    NO_EMAIL = "no email address"
    ALG_NONE = "alg none"
    ALG_NONE_CASED = "alg nOnE"
    HS256_WITH_PUBLIC_KEY = "HS256 with the public key as the secret"
    HS256_WITH_CLIENT_SECRET = "HS256 with the client's secret"
    OTHER_KEY = "signed with another key under the same kid"
    OWN_JWK = "signed with a key that the header brings along"
    TAMPERED = "claims changed after signing"
    NOT_A_TOKEN = "no token at all"
    ACCESS_TOKEN_HASH = "at_hash of another access token"
    CALLBACK_ISSUER = "iss of the redirect names another provider"
    NO_CALLBACK_ISSUER = "no iss in the redirect though it is promised"
    REFUSES_CODE = "the token endpoint refuses the code"
    TURNED_STATE = "another state in the redirect"


@dataclass(frozen=True)
class Person:
    """Who sits before the browser, as the provider knows them."""

    subject: str
    email: str
    name: str = "Ann Example"


@dataclass
class _Grant:
    challenge: str
    nonce: str
    redirect_uri: str
    person: Person


@dataclass
class OpenIdProvider:
    """An async context manager; ``issuer`` is its address.

    Attributes:
        person: who signs in there now.
        lie: what is wrong with its answers, if anything.
        asked: the queries of the authorization endpoint, in order.
        redeemed: how many codes it gave tokens for.
        refused: why requests to the token endpoint were refused.
    """

    person: Person = field(default_factory=lambda: Person("sub-ann", "ann@example.org"))
    lie: Lie | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    redeemed: int = 0
    refused: list[str] = field(default_factory=list)
    discoveries: int = 0
    key_reads: int = 0
    issuer: str = ""

    async def __aenter__(self) -> Self:
        self._grants: dict[str, _Grant] = {}
        self.turn_keys()
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._describe)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        app.router.add_get("/keys", self._keys)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.issuer = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    def turn_keys(self) -> None:
        """Sign with a new key from now on, and show only that."""
        self._key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})

    async def _describe(self, _: web.Request) -> web.Response:
        self.discoveries += 1
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "authorization_response_iss_parameter_supported": True,
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def _keys(self, _: web.Request) -> web.Response:
        self.key_reads += 1
        return web.json_response(KeySet([self._key]).as_dict(private=False))

    async def _authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        self.asked.append(query)
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert "openid" in query["scope"].split()
        if query.get("code_challenge_method") != "S256" or not query.get("code_challenge"):
            return web.Response(status=400, text="PKCE is required")
        code = secrets.token_urlsafe(16)
        self._grants[code] = _Grant(
            query["code_challenge"], query["nonce"], query["redirect_uri"], self.person
        )
        back = {"code": code, "state": query["state"], "iss": self.issuer}
        match self.lie:
            case Lie.CALLBACK_ISSUER:
                back["iss"] = "https://other.example"
            case Lie.NO_CALLBACK_ISSUER:
                del back["iss"]
            case Lie.TURNED_STATE:
                back["state"] = back["state"][::-1]
        raise web.HTTPSeeOther(f"{query['redirect_uri']}?{urlencode(back)}")

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        grant = self._grants.pop(form.get("code", ""), None)
        problem = self._judge(request, form, grant)
        if problem or grant is None:
            self.refused.append(problem)
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.redeemed += 1
        access_token = secrets.token_urlsafe(16)
        return web.json_response(
            {
                "access_token": access_token,
                "token_type": "Bearer",
                "id_token": self._id_token(grant, access_token),
            }
        )

    def _judge(self, request: web.Request, form: dict[str, str], grant: _Grant | None) -> str:
        pair = request.headers.get("Authorization", "").removeprefix("Basic ")
        user, _, password = base64.b64decode(pair).decode().partition(":")
        verifier = form.get("code_verifier", "")
        challenge = _b64(hashlib.sha256(verifier.encode()).digest())
        if (unquote_plus(user), unquote_plus(password)) != (CLIENT_ID, CLIENT_SECRET):
            return "wrong client"
        if grant is None:
            return "unknown code"
        if form.get("redirect_uri") != grant.redirect_uri:
            return "another redirect"
        if challenge != grant.challenge:
            return "wrong verifier"
        return "told to" if self.lie is Lie.REFUSES_CODE else ""

    def _id_token(self, grant: _Grant, access_token: str) -> str:
        claims = self._claims(grant, access_token)
        header: dict[str, Any] = {"alg": "RS256", "kid": self._key.kid}
        match self.lie:
            case Lie.NOT_A_TOKEN:
                return "this is no token"
            case Lie.ALG_NONE | Lie.ALG_NONE_CASED:
                alg = "none" if self.lie is Lie.ALG_NONE else "nOnE"
                return f"{_json(header | {'alg': alg})}.{_json(claims)}."
            case Lie.HS256_WITH_PUBLIC_KEY:
                return _sign_symmetric(header, claims, self._key.as_pem(private=False))
            case Lie.HS256_WITH_CLIENT_SECRET:
                return _sign_symmetric(header, claims, CLIENT_SECRET.encode())
            case Lie.OTHER_KEY:
                return jwt.encode(header, claims, RSAKey.generate_key(2048))
            case Lie.OWN_JWK:
                own = RSAKey.generate_key(2048, {"kid": "own"})
                header = {"alg": "RS256", "jwk": own.as_dict(private=False), "kid": "own"}
                return jwt.encode(header, claims, own)
            case Lie.TAMPERED:
                head, _, signature = jwt.encode(header, claims, self._key).split(".")
                return f"{head}.{_json(claims | {'email': 'owner@example.org'})}.{signature}"
        return jwt.encode(header, claims, self._key)

    def _claims(self, grant: _Grant, access_token: str) -> dict[str, Any]:
        now = int(time.time())
        digest = hashlib.sha256(access_token.encode()).digest()
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": grant.person.subject,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": grant.nonce,
            "email": grant.person.email,
            "email_verified": True,
            "name": grant.person.name,
            "at_hash": _b64(digest[: len(digest) // 2]),
        }
        changed: dict[Lie, dict[str, Any]] = {
            Lie.NONCE: {"nonce": grant.nonce[::-1]},
            Lie.ISSUER: {"iss": "https://other.example"},
            Lie.AUDIENCE: {"aud": "another-client"},
            Lie.SECOND_AUDIENCE: {"aud": [CLIENT_ID, "another-client"]},
            Lie.AZP: {"azp": "another-client"},
            Lie.EXPIRED: {"iat": now - 7200, "exp": now - 3600},
            Lie.NUMERIC_SUBJECT: {"sub": 7},
            Lie.UNVERIFIED: {"email_verified": False},
            Lie.UNVERIFIED_TEXT: {"email_verified": "true"},
            Lie.ACCESS_TOKEN_HASH: {"at_hash": _b64(b"x" * 16)},
        }
        claims |= changed.get(self.lie, {}) if self.lie else {}
        missing = {
            Lie.NO_NONCE: "nonce",
            Lie.NO_EXPIRY: "exp",
            Lie.NO_SUBJECT: "sub",
            Lie.NO_EMAIL: "email",
        }
        if self.lie in missing:
            del claims[missing[self.lie]]
        return claims


def _sign_symmetric(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    # By hand: the library refuses to use a public key like this.
    signed = f"{_json(header | {'alg': 'HS256'})}.{_json(claims)}"
    return f"{signed}.{_b64(hmac.digest(secret, signed.encode(), 'sha256'))}"


def _json(value: object) -> str:
    return _b64(json.dumps(value).encode())


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
