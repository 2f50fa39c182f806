"""The live page's server in this process, on a free port, and requests to it as a browser sends them."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="the live page needs requirements-web.txt")
pytest.importorskip("starlette", reason="the live page needs requirements-web.txt")


class Answer:
    """status, headers and body of a response; of a stream only its first lines."""

    def __init__(self, response: http.client.HTTPResponse, lines: int) -> None:
        self.status, self.headers = response.status, response.headers
        self.body = b"".join(response.readline() for _ in range(lines)) if lines else response.read()

    @property
    def text(self) -> str:
        return self.body.decode()


class Page:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(self, path: str, method: str = "GET", lines: int = 0, **headers: str) -> Answer:
        """Request a path exactly as it is written; an underscore in a header's name is a dash."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
            return Answer(connection.getresponse(), lines)
        finally:
            connection.close()

    def press(self, path: str, **headers: str) -> Answer:
        """As the page's own buttons do."""
        return self(path, "POST", **{"X_Robot_Finetune": "page", **headers})


@contextmanager
def served(folder: Path, **options: str) -> Iterator[Page]:
    """The page of a folder while the block runs. options: of create_app."""
    from robot_finetune.web.app import create_app
    from robot_finetune.web.serve import listening

    listener = listening("127.0.0.1", 0)
    config = uvicorn.Config(create_app(folder, **options), log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield Page(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(30)


def cookie(answer: Answer) -> Mapping[str, str]:
    """The header by which a browser brings back what it was given."""
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
