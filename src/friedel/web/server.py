"""The page's server: a few routes, all behind `gated`. Serves what `friedel.web` and the run's folder hold; no more."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from friedel.stream.display import Board
from friedel.web.access import host_is_ours, is_loopback, origin_is_ours, token_fits
from friedel.web.files import file_inside
from friedel.web.hub import Hub
from friedel.web.metrics import health, metrics_text, readiness
from friedel.web.options import ServeOptions

STATIC = Path(__file__).parent / "static"
COOKIE = "friedel_token"
HEALTH = "/health"
"""Needs no token, because it says nothing but that: container engines ask for it."""
_LARGEST_REQUEST = 4096  # bytes that a browser may send: a control is under 100, and nothing is uploaded
PAGE_RULES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A report is one file with everything in it, and needs nothing from here.
REPORT_RULES = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; sandbox allow-scripts"
)
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_HUB = web.AppKey("hub", Hub)


def make_app(boards: tuple[Board, Board], options: ServeOptions, folder: Path | None) -> web.Application:
    """Return the application.

    Parameters
    ----------
    boards : (Board, Board)
        Of the display: snapshots, and what is asked for.
    options : ServeOptions
        Address and token; on another address than loopback the token must be set.
    folder : Path or None
        The run's folder, whose reports may be read.
    """
    app = web.Application(middlewares=[gated(options)], client_max_size=_LARGEST_REQUEST)
    app[_HUB] = Hub(boards, options)

    async def report(request: web.Request) -> web.StreamResponse:
        found = await asyncio.to_thread(file_inside, folder, request.match_info["path"])
        if found is None:
            raise web.HTTPNotFound(text="no such file in this run's folder")
        return web.FileResponse(found, headers=HEADERS | {"Content-Security-Policy": REPORT_RULES})

    async def socket(request: web.Request) -> web.StreamResponse:
        hub = request.app[_HUB]
        if hub.viewers >= options.viewers:
            raise web.HTTPServiceUnavailable(text=f"{options.viewers} viewers are looking already")
        opened = web.WebSocketResponse(heartbeat=20.0, max_msg_size=_LARGEST_REQUEST, compress=False)
        await opened.prepare(request)
        await hub.serve(opened)
        return opened

    async def metrics(request: web.Request) -> web.StreamResponse:
        return web.Response(text=metrics_text(await request.app[_HUB].state()), headers=HEADERS)

    app.router.add_get("/metrics", metrics)
    app.router.add_get(HEALTH, _answer(health))
    app.router.add_get("/ready", _answer(readiness))
    app.router.add_get("/", _file("page.html"))
    app.router.add_get("/static/{name:[a-z]+\\.(?:js|css|svg)}", _static)
    app.router.add_get("/socket", socket)
    app.router.add_get("/run/{path:.+}", report)
    app.cleanup_ctx.append(_reading)
    return app


def gated(options: ServeOptions) -> Middleware:
    """Return a middleware that lets in this machine alone on loopback, and elsewhere requests that carry the token."""
    wanted = None if is_loopback(options.host) else options.token or ""

    @web.middleware
    async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host")
        if not host_is_ours(host, options.host):
            raise web.HTTPForbidden(text="this page is served to this machine only")
        if request.path == "/socket" and not origin_is_ours(request.headers.get("Origin"), host):
            raise web.HTTPForbidden(text="sockets are for this page's own scripts")
        in_address = request.query.get("token")
        # Monitoring programs send it as "Authorization: Bearer …".
        in_header = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.path != HEALTH and not token_fits(in_address or request.cookies.get(COOKIE) or in_header, wanted):
            raise web.HTTPForbidden(text="open the address with the token that the watch printed: …/?token=…")
        if wanted is not None and in_address is not None and request.path == "/":
            # The token moves from the address, which is easily shared, to a cookie.
            moved = web.HTTPFound("/")
            moved.set_cookie(COOKIE, wanted, httponly=True, samesite="Strict")
            raise moved
        return await handler(request)

    return gate


def _answer(asked: Callable[[dict[str, Any]], tuple[bool, str]]) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        well, words = asked(await request.app[_HUB].state())
        return web.Response(text=f"{words}\n", status=200 if well else 503, headers=HEADERS)

    return answer


def _file(name: str) -> Handler:
    async def send(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / name, headers=HEADERS | {"Content-Security-Policy": PAGE_RULES})

    return send


async def _static(request: web.Request) -> web.StreamResponse:
    path = STATIC / request.match_info["name"]
    if not path.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(path, headers=HEADERS)


async def _reading(app: web.Application):  # type: ignore[no-untyped-def]  # an async generator, as aiohttp wants it
    task = asyncio.create_task(app[_HUB].read())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
