"""The interface of a source, its address, and the registry that finds the plug-in for an address.

A plug-in is a module with a function that takes a `SourceAddress` and returns a `Source`; a line in `SOURCES`, or
`register_source`, makes it known. Modules are imported when such an address is met, so that a source's client library
is needed only then.
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from friedel.core.errors import InputError
from friedel.core.options import Options
from friedel.stream.sources.events import Ended, Event

SOURCES: dict[str, str] = {
    "file": "friedel.spi.live.file_source:open_source",  # single-particle imaging reads such files
    "replay": "friedel.stream.sources.replay:open_source",
    "tiff+dir": "friedel.stream.sources.tiff_folder:open_source",
    "hdf5+swmr": "friedel.stream.sources.hdf5_growing:open_source",
    "karabo": "friedel.stream.sources.karabo:open_source",
    "pva": "friedel.stream.sources.pva:open_source",
    "simplon": "friedel.stream.sources.simplon:open_source",
}
"""Plug-in of every scheme, as "module:function". Open: a user adds their own with `register_source`."""

Query = TypeVar("Query", bound=Options)


def register_source(scheme: str, plugin: str) -> None:
    """Make a kind of source known: ``plugin`` is "module:function", imported when such an address is met."""
    SOURCES[scheme] = plugin


class Source(Protocol):
    """A stream of frames.

    Attributes
    ----------
    uri : str
        The address it was opened from.
    patient : bool
        Whether frames that aren't taken now can be read later (files). Such a source is read as fast as frames are
        scored; of any other, frames that come faster than that are dropped.
    """

    uri: str
    patient: bool

    def open(self) -> None:
        """Connect.

        Raises
        ------
        InputError
            If the address can't be right: no such file, no such host.
        """

    def receive(self, timeout_s: float) -> Event | None:
        """Return the next event, or None if nothing came within this time.

        A `Begun` comes before the first message, and after an `Ended` nothing. Whatever arrives damaged is a
        `Malformed`, a broken connection a `Lost`, never an error: the source goes on trying. After `Lost`, frames
        simply come again.
        """

    def close(self) -> None:
        """Let go of everything; safe to call twice, and without `open`."""


@dataclass(frozen=True, kw_only=True)
class SourceAddress:
    """A URI in parts.

    Attributes
    ----------
    uri : str
        As typed.
    scheme : str
        Which plug-in.
    host : str
        Between "//" and the next "/": host and port, or a channel's name.
    path : str
        For files: everything between "//" and "?"; a relative path stays relative.
    query : dict of str to str
        Options after "?".
    """

    uri: str
    scheme: str
    host: str
    path: str
    query: dict[str, str]

    def options(self, model: type[Query]) -> Query:
        """Return the options after "?" as a checked record.

        Raises
        ------
        PlanError
            If a key is unknown (with the nearest valid one) or a value wrong.
        """
        return model.read(self.query, origin=self.uri)


def parse_uri(uri: str) -> SourceAddress:
    """Take a source's URI apart; a plain path is a ``file://``.

    Raises
    ------
    InputError
        If the scheme is unknown; the error lists the known ones.
    """
    if "://" not in uri:
        uri = f"file://{uri}"
    scheme = uri.partition("://")[0].lower()
    if scheme not in SOURCES:
        near = difflib.get_close_matches(scheme, SOURCES, n=1)
        hint = f"did you mean {near[0]}://? " if near else ""
        raise InputError(f"{uri}: unknown kind of source; {hint}known: {', '.join(f'{name}://' for name in SOURCES)}")
    parts = urlsplit(uri)
    rest = uri.partition("://")[2].partition("?")[0]
    return SourceAddress(
        uri=uri, scheme=scheme, host=parts.netloc, path=unquote(rest), query=dict(parse_qsl(parts.query))
    )


def find_source(uri: str) -> Source:
    """Return the source of an address, not yet open.

    Raises
    ------
    InputError
        If there is no such kind of source.
    PlanError
        If an option after "?" is wrong.
    MissingDependencyError
        If its client library isn't installed; the error names the line that installs it.
    """
    address = parse_uri(uri)
    module, _, name = SOURCES[address.scheme].partition(":")
    source: Source = getattr(import_module(module), name)(address)
    return source


def events(source: Source, *, timeout_s: float = 0.2, patience_s: float = float("inf")) -> Iterator[Event]:
    """Open a source and yield what it tells until it ends, or until nothing has come for ``patience_s``; close it."""
    idle = 0.0
    try:
        source.open()
        while idle < patience_s:
            event = source.receive(timeout_s)
            idle = idle + timeout_s if event is None else 0.0
            if event is not None:
                yield event
            if isinstance(event, Ended):
                return
    finally:
        source.close()
