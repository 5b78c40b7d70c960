"""The relay as an ASGI application: handlers, OpenAPI, refusals.

Spec: API-001, API-003, API-010, API-030.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog
from litestar import Litestar, Request, Response, Router, get
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Server

from cloister import __version__, crypto
from cloister.errors import BadFormat, CheckFailed, CloisterError, Forbidden, Internal, RelayError, TooLarge
from cloister.protocol import api
from cloister.protocol.encoding import b64e
from cloister.server import accounts, admin, bundle, join_requests, logs, passing, signing_in, sphere_routes
from cloister.server.core import Relay
from cloister.server.settings import Settings
from cloister.server.shell import Shell

log = structlog.get_logger("cloister.app")
VERSIONS: Final = ["sph/1"]


@get("/server")
async def server(request: Request[Any, Any, Any]) -> api.ServerInfo:
    """What a client must know before it signs in."""
    relay: Relay = request.app.state.relay
    limits = api.Limits(
        body=relay.settings.max_body,
        header=4096,
        message=262_144,
        entry=65_536,
        state_slot=accounts.SLOT_LIMIT,
        page=sphere_routes.PAGE,
        socket_frame=relay.settings.max_body,
    )
    setup = relay.setup_code is not None
    return api.ServerInfo(b64e(relay.realm), relay.now, VERSIONS, relay.signup, relay.origins, setup, limits)


@get("/healthz")
async def healthz() -> api.Health:
    """The process runs."""
    return api.Health(True)


@get("/readyz")
async def readyz(request: Request[Any, Any, Any]) -> Response[api.Health]:
    """The database answers."""
    relay: Relay = request.app.state.relay
    try:
        if not relay.ready:
            raise RuntimeError
        await relay.store.read(lambda conn: conn.exec_driver_sql("SELECT 1").scalar())
    except Exception:  # noqa: BLE001 - whatever is wrong, the answer is: not ready
        return Response(api.Health(False, "the database does not answer"), status_code=503)
    return Response(api.Health(True))


def refused(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Every refusal in the words of the taxonomy (ERR-002); what went wrong inside stays in the log."""
    if isinstance(error, RelayError):
        refusal = error
    elif isinstance(error, CheckFailed):
        refusal = BadFormat(error.detail)
    elif isinstance(error, HTTPException):
        refusal = _of_status(error.status_code)
    elif isinstance(error, UnicodeDecodeError | RecursionError):
        refusal = BadFormat("body")  # how the JSON reader refuses bytes that are no text, or too deep
    else:
        name = b64e(crypto.random_bytes(6))
        log.error("internal", ref=name, kind=type(error).__name__, exc_info=error)
        refusal = Internal("internal", ref=name)
    headers = {} if refusal.retry_after is None else {"retry-after": str(max(1, round(refusal.retry_after)))}
    return Response(refusal.as_wire(), status_code=refusal.status, headers=headers)


def _of_status(status: int) -> RelayError:
    if status in (401, 403, 404, 405):
        return Forbidden("path")
    if status == 413:
        return TooLarge("body")
    return BadFormat("request") if status < 500 else Internal("http")


def _only_the_description(request: Request[Any, Any, Any]) -> None:
    """What the framework answers beside the description, in HTML, is refused in our words."""
    if request.url.path != "/v1/openapi.json":
        raise Forbidden("path")


def create_app(
    settings: Settings,
    *,
    clock: Callable[[], float] = time.time,
    rng: Callable[[int], bytes] = crypto.random_bytes,
    application: Path = bundle.FOLDER,
) -> Shell:
    """The relay on ``settings.data``; opened and closed by the ASGI lifespan.

    ``application``: folder of the browser application's files. Raises FormatError when one of them was altered.
    """
    if not structlog.is_configured():
        logs.configure(settings.log_level, settings.log_format)
    relay = Relay(settings, clock, rng)
    handlers = [
        server,
        *signing_in.HANDLERS,
        *accounts.HANDLERS,
        *join_requests.HANDLERS,
        *sphere_routes.HANDLERS,
        *passing.HANDLERS,
        *admin.HANDLERS,
    ]
    app = Litestar(
        [Router("/v1", route_handlers=handlers), healthz, readyz],
        state=State({"relay": relay}),
        exception_handlers={Exception: refused, CloisterError: refused, HTTPException: refused},
        openapi_config=OpenAPIConfig(
            title="Cloister relay",
            version=__version__,
            # The description alone: no page that would load a viewer from elsewhere.
            render_plugins=[JsonRenderPlugin()],
            openapi_router=Router(
                "/v1", route_handlers=[], before_request=_only_the_description, include_in_schema=False
            ),
            servers=[Server(url="/")],
            components=Components(security_schemes={"session": SecurityScheme(type="http", scheme="bearer")}),
        ),
        logging_config=None,
        request_max_body_size=settings.max_body,
        debug=False,
    )
    return Shell(relay, app, bundle.load(application))
