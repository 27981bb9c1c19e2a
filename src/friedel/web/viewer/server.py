"""The server of `friedel open`: a table, results and their volumes, behind the live page's gate and rules."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from friedel.bcdi.show.fields import described, packed, surface
from friedel.bcdi.show.page import STATIC as VIEWER
from friedel.core.errors import FriedelError, InputError
from friedel.web.files import file_inside
from friedel.web.options import ServeOptions
from friedel.web.page import listening_at, require_server, with_token
from friedel.web.server import HEADERS, PAGE_RULES, REPORT_RULES, STATIC, gated
from friedel.web.viewer.catalogue import Entry, filled, find_results, row_of
from friedel.web.viewer.frames import RawScans
from friedel.web.viewer.volumes import Shelf

OWN = Path(__file__).parent / "static"
_PLACES = {"live": STATIC, "viewer": VIEWER, "open": OWN}
_FIELDS = web.AppKey("shelf", Shelf)
_RAW = web.AppKey("raw", RawScans)
_ROWS = web.AppKey("rows", list[dict[str, Any]])


def make_open_app(entries: Sequence[Entry], options: ServeOptions) -> web.Application:
    """Return the application that shows some results.

    Parameters
    ----------
    entries : sequence of Entry
        The table's rows, in order.
    options : ServeOptions
        Address and token; on another address than loopback the token must be set.
    """
    app = web.Application(middlewares=[gated(options)])
    app[_FIELDS], app[_RAW] = Shelf(entries), RawScans(entries)
    app[_ROWS] = [row_of(entry) for entry in entries]
    app.router.add_get("/", _page)
    app.router.add_get("/static/{place:live|viewer|open}/{name:[a-z]+\\.(?:js|css|svg)}", _static)
    app.router.add_get("/api/results", _table)
    app.router.add_get("/api/result/{key:[0-9~-]+}", _about)
    app.router.add_get("/api/result/{key:[0-9~-]+}/volume/{number:[0-9]+}", _volume)
    app.router.add_get("/api/result/{key:[0-9~-]+}/surface", _surface)
    app.router.add_get("/api/result/{number:[0-9]+}/frames", _frames)
    app.router.add_get("/api/result/{number:[0-9]+}/frames/{place:[0-9]+}", _frame)
    app.router.add_get("/file/{number:[0-9]+}/{path:.+}", _file)
    app.cleanup_ctx.append(_filling)
    return app


def serve_results(folders: Sequence[Path], options: ServeOptions, *, ready: Callable[[str, int], None]) -> None:
    """Serve the results under some folders until Ctrl-C.

    Parameters
    ----------
    folders : sequence of Path
        Where to look; single ``.cxi`` files may be named too.
    options : ServeOptions
        Address, port and token.
    ready : function
        Called with the page's address and the number of results once browsers may come.

    Raises
    ------
    InputError
        If a folder doesn't exist, holds no result, or the port can't be had.
    MissingDependencyError
        If the server's library isn't installed.
    """
    require_server()
    missing = [folder for folder in folders if not folder.exists()]
    if missing:
        raise InputError(f"{missing[0]}: no such file or folder; check the path")
    entries = find_results(folders)
    if not entries:
        named = ", ".join(str(folder) for folder in folders)
        raise InputError(f"no result under {named}: looked for reconstruction.cxi, other .cxi files and scores.h5")
    options = with_token(options)
    listening = listening_at(options)
    host = "localhost" if options.host == "127.0.0.1" else options.host
    url = f"http://{host}:{listening.getsockname()[1]}/" + (f"?token={options.token}" if options.token else "")
    app = make_open_app(entries, options)
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(app, listening, lambda: ready(url, len(entries))))


async def _run(app: web.Application, listening: socket.socket, ready: Callable[[], None]) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listening, shutdown_timeout=1.0).start()
    ready()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def _page(request: web.Request) -> web.StreamResponse:
    return web.FileResponse(OWN / "open.html", headers=HEADERS | {"Content-Security-Policy": PAGE_RULES})


async def _static(request: web.Request) -> web.StreamResponse:
    path = _PLACES[request.match_info["place"]] / request.match_info["name"]
    if not path.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(path, headers=HEADERS)


async def _table(request: web.Request) -> web.StreamResponse:
    return web.json_response(request.app[_ROWS], headers=HEADERS)


async def _about(request: web.Request) -> web.StreamResponse:
    return await _answer(request, lambda fields: web.json_response(described(fields), headers=HEADERS))


async def _volume(request: web.Request) -> web.StreamResponse:
    number = int(request.match_info["number"])

    def bytes_of(fields: Any) -> web.StreamResponse:
        if number >= len(fields.fields):
            raise InputError(f"no field number {number}: there are {len(fields.fields)}")
        return web.Response(body=packed(fields.fields[number]), headers=HEADERS)

    return await _answer(request, bytes_of)


async def _surface(request: web.Request) -> web.StreamResponse:
    return await _answer(request, lambda fields: web.json_response(surface(fields), headers=HEADERS))


async def _frames(request: web.Request) -> web.StreamResponse:
    number = int(request.match_info["number"])
    return await _in_thread(lambda: web.json_response(request.app[_RAW].described(number), headers=HEADERS))


async def _frame(request: web.Request) -> web.StreamResponse:
    number, place = int(request.match_info["number"]), int(request.match_info["place"])

    def answer() -> web.StreamResponse:
        values, largest = request.app[_RAW].frame(number, place)
        return web.Response(body=values, headers=HEADERS | {"X-Largest": f"{largest:.9g}"})

    return await _in_thread(answer)


async def _answer(request: web.Request, make: Callable[[Any], web.StreamResponse]) -> web.StreamResponse:
    shelf, key = request.app[_FIELDS], request.match_info["key"]
    return await _in_thread(lambda: make(shelf.fields(key)))


async def _in_thread(make: Callable[[], web.StreamResponse]) -> web.StreamResponse:
    """Read, compute and pack in a thread, so that other requests are answered meanwhile."""
    try:
        return await asyncio.to_thread(make)
    except FriedelError as error:
        return web.json_response({"error": str(error)}, status=404, headers=HEADERS)


async def _file(request: web.Request) -> web.StreamResponse:
    entries, number = request.app[_FIELDS].entries, int(request.match_info["number"])
    folder = entries[number].folder if number < len(entries) else None
    found = await asyncio.to_thread(file_inside, folder, request.match_info["path"])
    if found is None:
        raise web.HTTPNotFound(text="no such file in this result's folder")
    return web.FileResponse(found, headers=HEADERS | {"Content-Security-Policy": REPORT_RULES})


async def _filling(app: web.Application):  # type: ignore[no-untyped-def]  # an async generator, as aiohttp wants it
    """Read, one after the other, what older results don't say in small files; the page asks again meanwhile."""

    async def fill() -> None:
        rows, entries = app[_ROWS], app[_FIELDS].entries
        for number, row in enumerate(rows):
            if row.get("waiting"):
                rows[number] = await asyncio.to_thread(filled, entries[number], row)

    task = asyncio.create_task(fill())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
