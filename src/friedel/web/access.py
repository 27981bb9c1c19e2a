"""Who may see the page: loopback without a token, everybody else with one, and no other site's scripts. Pure functions.

Three attacks are refused here. A page of another site, open in the same browser, opens our socket: recognised by
`Origin`. It points a domain name of its own at this machine (DNS rebinding): recognised by `Host`. And on an address
that others can reach, anybody may connect: they need the token.
"""

import hmac
import ipaddress
import secrets
from urllib.parse import urlsplit

_TOKEN_BYTES = 24  # 192 bits of chance, 32 characters in an address; 16 bytes would do against guessing


def is_loopback(host: str) -> bool:
    """Say whether an address, or a name, is this machine's loopback."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def new_token() -> str:
    """Return a token that can't be guessed."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def host_is_ours(host_header: str | None, bound_to: str) -> bool:
    """Say whether a request names the machine as its users do.

    Parameters
    ----------
    host_header : str or None
        ``Host`` of the request, with or without a port.
    bound_to : str
        The address served. On loopback only loopback's names are ours; elsewhere the token protects, whatever the name.
    """
    if not is_loopback(bound_to):
        return True
    return host_header is not None and is_loopback(urlsplit(f"//{host_header}").hostname or "")


def origin_is_ours(origin: str | None, host_header: str | None) -> bool:
    """Say whether a socket is asked for by our own page; programs that aren't browsers send no ``Origin``."""
    if origin is None:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc != "" and parts.netloc == host_header


def token_fits(given: str | None, wanted: str | None) -> bool:
    """Say whether a token fits; where none is wanted, everything does. Takes equally long for any wrong token."""
    if wanted is None:
        return True
    return given is not None and hmac.compare_digest(given.encode("utf-8"), wanted.encode("utf-8"))
