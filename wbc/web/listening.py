"""Where a page or a service listens, and how it stops."""

from __future__ import annotations

import errno
import socket
from typing import Any

from wbc.errors import ConfigError
from wbc.utils.stopping import hand_signals_to

NEEDED = ("starlette", "uvicorn")  # packages, of the extra [review]


def listen(host: str, port: int) -> socket.socket:
    """A socket there; ConfigError where that cannot be."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except socket.gaierror as error:
        raise ConfigError(f"host={host}: no such address ({error.strerror}); leave it out") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            said = "is in use; give another, or port=0 for any that is free"
        else:
            said = (
                f"{error.strerror}; give a port above 1023, and host= an address of this machine, or neither"
            )
        raise ConfigError(f"host={host}, port={port}: {said}") from error
    return listening


def address_of(listening: socket.socket, host: str) -> str:
    """Of the start page, as a browser takes it; it ends in /."""
    name = f"[{host}]" if ":" in host else host
    if host in ("0.0.0.0", "::"):
        name = socket.gethostname()
    return f"http://{name}:{listening.getsockname()[1]}/"


def stopped_by_signals(app: Any, patience_s: int, most_connections: int = 256) -> Any:
    """A server of uvicorn for `app`, to be run, which Ctrl-C and SIGTERM stop from now on.

    It then takes no more requests, and waits up to `patience_s` seconds for those that are being answered; a
    second signal ends that.
    """
    import uvicorn

    settings = uvicorn.Config(
        app,
        log_config=None,  # the log of the run is there already
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=patience_s,
        h11_max_incomplete_event_size=64 * 2**10,
        limit_concurrency=most_connections,
        ws="none",
    )
    server = uvicorn.Server(settings)

    def stop() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    hand_signals_to(stop)
    return server
