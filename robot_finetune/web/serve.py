"""The server's process."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from robot_finetune.config import ConfigError
from robot_finetune.ros.node.signals import end_with_parent
from robot_finetune.web.app import create_app
from robot_finetune.web.guard import is_local


def serve(folder: Path, host: str, port: int, say: Callable[[str], None], of_session: bool = False) -> None:
    """Serve the page until a signal ends it. port: 0 for any that is free. say: is told the page's address, once it is
    reached. of_session: end with the process that started this one. Raises ConfigError."""
    if of_session:
        end_with_parent()
    token = "" if is_local(host) else secrets.token_urlsafe(24)
    listener = listening(host, port)
    port = listener.getsockname()[1]
    server = server_of(folder, token, port)
    say(address(host, port, token))
    server.run(sockets=[listener])


def server_of(folder: Path, token: str = "", port: int = 0) -> uvicorn.Server:
    """The page's server; see create_app."""
    app = create_app(folder, token, port, lambda: server.should_exit)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5))
    return server


def address(host: str, port: int, token: str) -> str:
    """Where a browser finds the page."""
    name = socket.gethostname() if host in ("", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises ConfigError."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(
            f"{host}:{port}: cannot be listened on ({error.strerror}); choose another port or address"
        ) from error
