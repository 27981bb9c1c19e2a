"""Where the page is served, and to whom."""

from typing import Annotated

from pydantic import Field

from friedel.core.options import Options


class ServeOptions(Options):
    """How the page is served."""

    host: str = "127.0.0.1"
    """Address to listen on. On any other than loopback a token is needed."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8765
    """Port; 0 takes a free one."""
    token: str | None = None
    """What a browser has to know on other addresses than loopback; None draws one."""
    updates_per_s: Annotated[float, Field(gt=0, le=20)] = 4.0
    """Most updates that a viewer gets."""
    viewers: Annotated[int, Field(ge=1, le=1000)] = 50
    """Most viewers at a time."""
    patience_s: Annotated[float, Field(gt=0)] = 5.0
    """A viewer that takes nothing for so long is dropped."""
