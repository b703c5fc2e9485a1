"""OpenID Connect as a client: the home of authlib and joserfc.

Authorization code with PKCE (S256), state and nonce; OpenID Connect Core 1.0 sections 3.1.2 and
3.1.3, RFC 9207 (``iss``), RFC 9700 (best current practice). What a provider says is believed only
as far as it has signed it with one of its own public keys.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote_plus, urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from coachline.console.errors import ProviderUnavailable, SignInRefused
from coachline.console.tickets import Departure
from coachline.foundation.clock import Clock
from coachline.foundation.outgoing import FetchFailed, Outgoing, fetch_json
from coachline.tenancy import ProvenIdentity

# Signatures that only the holder of a private key can make: never `none`, and nothing symmetric,
# for which a provider's public key would be the secret.
ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)

_KEY_TYPES: Final = ("RSA", "EC", "OKP")
_REMEMBER_SECONDS: Final = 3600.0
# How often a key that is not known makes us ask the provider again.
_ASK_AGAIN_SECONDS: Final = 60.0
_REMEMBER_PROVIDERS: Final = 256
_MOST_KEYS: Final = 64
_LEEWAY_SECONDS: Final = 60
_LONGEST_SUBJECT: Final = 255  # OpenID Connect Core 1.0 section 2
_LONGEST_TOKEN: Final = 16_384


@dataclass(frozen=True, slots=True)
class Provider:
    """A tenant's provider of identities and what it knows us by."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Endpoints:
    """What a provider says about itself (OpenID Connect Discovery 1.0 section 3)."""

    authorization: str
    token: str
    keys: str
    posts_secret: bool
    tells_issuer: bool


@dataclass(slots=True)
class _Known:
    """A provider's endpoints and keys, as they were last read."""

    endpoints: _Endpoints
    read_at: float
    keys: KeySet | None = None
    keys_at: float = float("-inf")


class OpenId:
    """Sends browsers to providers and finds out who came back.

    Args:
        http: reaches public addresses only.
        clock: tells whether a token is too old.
        redirect_url: where providers send browsers back to.
    """

    def __init__(self, http: Outgoing, clock: Clock, *, redirect_url: str) -> None:
        self._http = http
        self._clock = clock
        self._redirect_url = redirect_url
        self._known: dict[str, _Known] = {}

    async def authorization_url(self, provider: Provider, departure: Departure) -> str:
        """Where a browser goes to prove who sits before it.

        Raises:
            ProviderUnavailable: the provider does not answer, or not as one.
        """
        known = await self._discover(provider.issuer)
        url: str = prepare_grant_uri(
            known.endpoints.authorization,
            client_id=provider.client_id,
            response_type="code",
            redirect_uri=self._redirect_url,
            scope="openid email profile",
            state=departure.state,
            nonce=departure.nonce,
            code_challenge=create_s256_code_challenge(departure.verifier),
            code_challenge_method="S256",
        )
        return url

    async def identify(
        self, provider: Provider, departure: Departure, *, code: str, issuer: str | None
    ) -> ProvenIdentity:
        """Who came back with ``code``.

        Args:
            provider: whom the browser was sent to.
            departure: what it left with.
            code: good once, for the provider's token endpoint.
            issuer: the ``iss`` of the answer (RFC 9207), if there was one.

        Raises:
            SignInRefused: the answer is of another provider, or proves nobody.
            ProviderUnavailable: the provider does not answer, or not as one.
        """
        known = await self._discover(provider.issuer)
        is_told = issuer is not None or known.endpoints.tells_issuer
        if is_told and issuer != provider.issuer:
            raise SignInRefused("The answer came from another provider. Sign in anew.")
        tokens = await self._redeem(provider, known.endpoints, departure, code)
        claims = await self._verify(provider, known, tokens, departure.nonce)
        return _identity(provider, claims)

    async def _redeem(
        self, provider: Provider, endpoints: _Endpoints, departure: Departure, code: str
    ) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_url,
            "code_verifier": departure.verifier,
        }
        headers = {}
        if endpoints.posts_secret:
            form |= {"client_id": provider.client_id, "client_secret": provider.client_secret}
        else:
            # RFC 6749 section 2.3.1: both parts are encoded as in a form, then as Basic.
            pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        status, answer = await self._fetch(endpoints.token, form=form, headers=headers)
        if status != HTTPStatus.OK or not isinstance(answer, dict):
            raise SignInRefused("Your provider did not confirm the sign-in. Try again.")
        return answer

    async def _verify(
        self, provider: Provider, known: _Known, tokens: Mapping[str, Any], nonce: str
    ) -> Mapping[str, Any]:
        id_token = tokens.get("id_token")
        if not isinstance(id_token, str) or len(id_token) > _LONGEST_TOKEN:
            raise _unproven()
        try:
            token = await self._decode(known, id_token)
            found = CodeIDToken(
                token.claims,
                token.header,
                {
                    "iss": {"essential": True, "value": provider.issuer},
                    "aud": {"essential": True, "value": provider.client_id},
                    "sub": {"essential": True},
                },
                {
                    "nonce": nonce,
                    "client_id": provider.client_id,
                    "access_token": tokens.get("access_token"),
                },
            )
            found.validate(now=int(self._clock.now().timestamp()), leeway=_LEEWAY_SECONDS)
        except (JoseError, ValueError, TypeError):
            # The library meets claims of any type here, and not all of them politely.
            raise _unproven() from None
        return dict(found)

    async def _decode(self, known: _Known, id_token: str) -> jwt.Token:
        if known.keys is None:
            await self._read_keys(known)
        try:
            return jwt.decode(id_token, _keys(known), algorithms=ALGORITHMS)
        except JoseError:
            # Perhaps signed with a key that is newer than what we know.
            if self._clock.monotonic() < known.keys_at + _ASK_AGAIN_SECONDS:
                raise
        await self._read_keys(known)
        return jwt.decode(id_token, _keys(known), algorithms=ALGORITHMS)

    async def _read_keys(self, known: _Known) -> None:
        status, document = await self._fetch(known.endpoints.keys)
        listed = document.get("keys") if isinstance(document, dict) else None
        if status != HTTPStatus.OK or not isinstance(listed, list):
            raise ProviderUnavailable("Your provider does not show its keys; try again shortly.")
        public = [
            key
            for key in listed[:_MOST_KEYS]
            if isinstance(key, dict) and key.get("kty") in _KEY_TYPES and key.get("use") != "enc"
        ]
        try:
            known.keys = KeySet.import_key_set({"keys": public})
        except (JoseError, ValueError, TypeError):
            raise ProviderUnavailable("Your provider shows no keys that can be used.") from None
        known.keys_at = self._clock.monotonic()

    async def _discover(self, issuer: str) -> _Known:
        now = self._clock.monotonic()
        known = self._known.get(issuer)
        if known is not None and now < known.read_at + _REMEMBER_SECONDS:
            return known
        status, document = await self._fetch(get_well_known_url(issuer, external=True))
        if status != HTTPStatus.OK or not isinstance(document, dict):
            raise ProviderUnavailable("Your provider does not describe itself; check the issuer.")
        # A document of another issuer would have codes sent to one and keys taken from the other.
        if document.get("issuer") != issuer:
            raise ProviderUnavailable(
                "Your provider calls itself by another name than is set here."
            )
        if len(self._known) >= _REMEMBER_PROVIDERS:
            self._known.clear()
        self._known[issuer] = found = _Known(_endpoints(issuer, document), now)
        return found

    async def _fetch(
        self,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        try:
            return await fetch_json(self._http, url, form=form, headers=headers)
        except FetchFailed:
            raise ProviderUnavailable(
                "Your provider does not answer; try again shortly.", retry_after_seconds=10
            ) from None


def _endpoints(issuer: str, document: Mapping[str, Any]) -> _Endpoints:
    scheme = urlsplit(issuer).scheme

    def url(name: str) -> str:
        found = document.get(name)
        if not isinstance(found, str) or urlsplit(found).scheme != scheme:
            raise ProviderUnavailable(f"Your provider names no usable {name}.")
        return found

    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return _Endpoints(
        authorization=url("authorization_endpoint"),
        token=url("token_endpoint"),
        keys=url("jwks_uri"),
        posts_secret="client_secret_basic" not in methods,
        tells_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _keys(known: _Known) -> KeySet:
    if known.keys is None:
        raise _unproven()
    return known.keys


def _identity(provider: Provider, claims: Mapping[str, Any]) -> ProvenIdentity:
    subject, email = claims.get("sub"), claims.get("email")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise _unproven()
    if not isinstance(email, str) or claims.get("email_verified") is not True:
        raise SignInRefused("Your provider does not vouch for an email address of yours.")
    name = claims.get("name")
    return ProvenIdentity(
        issuer=provider.issuer,
        subject=subject,
        email=email,
        name=name if isinstance(name, str) else "",
    )


def _unproven() -> SignInRefused:
    return SignInRefused("Your provider's answer does not prove who you are. Sign in anew.")
