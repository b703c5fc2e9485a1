"""The home of FastAPI: who is calling, what they may do, and how errors and pages are answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any, Final, Protocol

import structlog
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from structlog.contextvars import bind_contextvars

from coachline.foundation import problems
from coachline.foundation.edge import REQUEST_ID, Edge
from coachline.foundation.errors import CoachlineError, Forbidden, Unauthenticated
from coachline.foundation.ids import TenantId
from coachline.foundation.paging import BadCursor, Page, decode_cursor, encode_cursor
from coachline.foundation.principal import ADMIN_SCOPE, Principal
from coachline.foundation.problems import Problem, Refusal

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_LONGEST_TOKEN: Final = 512

_bearer = HTTPBearer(
    auto_error=False, scheme_name="ApiKey", description="An API key of one tenant: `cl_…`."
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


class Authenticator(Protocol):
    """Turns a bearer token into a principal."""

    async def authenticate(self, token: str) -> Principal:
        """Return whom ``token`` belongs to.

        Raises:
            Unauthenticated: it is unknown, malformed, expired or revoked.
            Forbidden: it is known, but its tenant may not act now.
        """
        ...


class RequestLimiter(Protocol):
    """Counts what callers do."""

    async def take_request(self, tenant_id: TenantId) -> None:
        """Count one request of a tenant.

        Raises:
            TooManyRequests: the tenant has none left.
        """
        ...

    async def check_failures(self, address: str) -> None:
        """Refuse an address that has failed too often.

        Raises:
            TooManyRequests: it has.
        """
        ...

    async def note_failure(self, address: str) -> None:
        """Count one failed attempt of an address."""
        ...


class ScopeCheck:
    """The dependency of one guarded route; made by :meth:`Guard.scope`."""

    def __init__(self, scope: str, authenticator: Authenticator, limiter: RequestLimiter) -> None:
        self.scope = scope
        self._authenticator = authenticator
        self._limiter = limiter

    async def __call__(self, request: Request, credentials: Credentials) -> Principal:
        """Return the principal of a request, and keep it for :data:`Caller`.

        Raises:
            TooManyRequests: this address failed, or this tenant asked, too often.
            Unauthenticated: there is no valid token.
            Forbidden: the token has not this scope.
        """
        address = client_address(request)
        # Before the token is looked at: a guesser learns nothing while refused.
        await self._limiter.check_failures(address)
        try:
            principal = await self._authenticate(credentials)
        except Unauthenticated:
            await self._limiter.note_failure(address)
            raise
        bind_contextvars(tenant_id=str(principal.tenant_id))
        await self._limiter.take_request(principal.tenant_id)
        if not principal.may(self.scope):
            raise Forbidden(f"This API key has not the scope '{self.scope}'.")
        request.state.principal = principal
        return principal

    async def _authenticate(self, credentials: HTTPAuthorizationCredentials | None) -> Principal:
        if credentials is None or len(credentials.credentials) > _LONGEST_TOKEN:
            raise Unauthenticated("Send an API key as 'Authorization: Bearer cl_…'.")
        return await self._authenticator.authenticate(credentials.credentials)


class Guard:
    """Makes the dependencies that stand in front of routes."""

    def __init__(self, authenticator: Authenticator, limiter: RequestLimiter) -> None:
        self._authenticator = authenticator
        self._limiter = limiter

    def scope(self, scope: str) -> ScopeCheck:
        """A dependency that lets only credentials with ``scope`` pass.

        Give it to ``add_api_route(…, dependencies=[Depends(guard.scope("read"))])``; the handler
        takes ``caller: Caller``.
        """
        return ScopeCheck(scope, self._authenticator, self._limiter)

    async def still_lets(self, request: Request, scope: str) -> bool:
        """Whether the credential of a long answer has the scope now; not while nobody can tell.

        For what goes on after its guard let it pass: a key may be revoked meanwhile.
        """
        credentials = await _bearer(request)
        if credentials is None:
            return False
        try:
            return (await self._authenticator.authenticate(credentials.credentials)).may(scope)
        except CoachlineError:
            return False


def _current_principal(request: Request) -> Principal:
    principal = getattr(request.state, "principal", None)
    if not isinstance(principal, Principal):
        # A route that forgot its guard: closed, not open.
        raise Unauthenticated("This address needs an API key.")
    return principal


Caller = Annotated[Principal, Depends(_current_principal)]
"""The principal that the route's guard let pass."""


def client_address(request: Request) -> str:
    """The other end of the socket; ``Forwarded`` and ``X-Forwarded-*`` are anybody's to write."""
    return request.client.host if request.client else "unknown"


def request_id(request: Request) -> str:
    """The id of this request, as in the ``X-Request-Id`` header of its answer."""
    found: str = request.scope[REQUEST_ID]
    return found


def install(app: FastAPI, *, max_body_bytes: int) -> None:
    """Give an application its edge: ids, headers, body limit, problem documents, OpenAPI errors.

    Call it once, before the first request; routes may be added before or after.
    """
    app.add_middleware(Edge, max_body_bytes=max_body_bytes)
    app.add_exception_handler(CoachlineError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_status)
    # By number, for the framework's own; 500 is left to the edge.
    for status in HTTPStatus:
        if status >= HTTPStatus.BAD_REQUEST and status != HTTPStatus.INTERNAL_SERVER_ERROR:
            app.add_exception_handler(status.value, _answer_status)
    _document_problems(app)


class Presenter(Protocol):
    """Shows refusals of one request in the form its client reads, such as a page."""

    def __call__(self, request: Request, refusal: Refusal) -> Response | None:
        """The answer, or None for the problem document that programs read."""
        ...


def present_by(request: Request, presenter: Presenter) -> None:
    """Have whatever is refused from now on in this request shown by ``presenter``."""
    request.state.presenter = presenter


def greet_below(app: FastAPI, prefix: str, greet: Callable[[Request], Awaitable[None]]) -> None:
    """Have ``greet`` called for requests below ``prefix`` that no route takes.

    It may choose by :func:`present_by` how they are refused. One prefix an application.
    """
    app.state.greeter = (f"{prefix}/", greet)


async def _greet(request: Request) -> None:
    prefix, greet = getattr(request.app.state, "greeter", ("", None))
    if greet is not None and request.url.path.startswith(prefix):
        await greet(request)


def _answer(request: Request, refusal: Refusal) -> Response:
    presenter: Presenter | None = getattr(request.state, "presenter", None)
    shown = None if presenter is None else presenter(request, refusal)
    if shown is not None:
        return shown
    return Response(
        refusal.body(request_id(request)),
        status_code=refusal.status,
        headers=dict(refusal.headers),
        media_type=problems.MEDIA_TYPE,
    )


async def _answer_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, CoachlineError):
        raise error
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        # Without its trace: while a server is gone, every request ends here.
        structlog.get_logger().warning("request_refused", code=error.code)
    elif error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        structlog.get_logger().error("request_failed", code=error.code, exc_info=error)
    return _answer(request, problems.refuse_error(error))


async def _answer_invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return _answer(request, problems.refuse_fields(error.errors()))


async def _answer_status(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", HTTPStatus.BAD_REQUEST)
    if status != HTTPStatus.METHOD_NOT_ALLOWED:
        headers = getattr(error, "headers", None)
        if status == HTTPStatus.NOT_FOUND:
            await _greet(request)
        return _answer(request, problems.refuse_status(status, headers=headers))
    allow = {"Allow": ", ".join(_allowed_methods(request))}
    if request.method == "OPTIONS":
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=allow)
    return _answer(request, problems.refuse_status(status, headers=allow))


def _allowed_methods(request: Request) -> list[str]:
    # The framework names the methods of the first route of a path; RFC 9110 section 10.2.1 asks
    # for all that the resource knows.
    allowed = [method for method in _METHODS if _is_served(request, method)]
    return [*allowed, *(["HEAD"] if "GET" in allowed else []), "OPTIONS"]


def _is_served(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0].name == "FULL" for route in request.app.routes)


def _document_problems(app: FastAPI) -> None:
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_problems(generate())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs"), Problem=schema)
    components["responses"] = {
        "Problem": {
            "description": "Not a success; `code` says why.",
            "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    }
    for path in document.get("paths", {}).values():
        for operation in path.values():
            answers: dict[str, Any] = operation["responses"]
            # FastAPI documents its own 422, whose shape is never sent.
            answers.pop("422", None)
            answers["default"] = {"$ref": "#/components/responses/Problem"}
    return document


__all__ = [
    "ADMIN_SCOPE",
    "Authenticator",
    "BadCursor",
    "Caller",
    "Guard",
    "Page",
    "Presenter",
    "Principal",
    "Problem",
    "Refusal",
    "RequestLimiter",
    "ScopeCheck",
    "client_address",
    "decode_cursor",
    "encode_cursor",
    "greet_below",
    "install",
    "present_by",
    "request_id",
]
