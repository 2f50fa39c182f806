"""The live page's server in this process, on a free port, and requests to it as a browser sends them."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

for name in ("starlette", "uvicorn"):
    pytest.importorskip(name, reason=f"{name} is not installed (requirements-web.txt)")


class Answer:
    """status, headers and body of a response."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def text(self) -> str:
        return self.body.decode()


class Page:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Request a path exactly as it is written; an underscore in a header's name is a dash."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def events(self, path: str, *names: str) -> dict[str, Any]:
        """What a stream of events tells first under these names."""
        connection, found, name = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60), {}, ""
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            while set(names) - set(found):
                field, _, value = response.readline().decode().strip().partition(": ")
                name = value if field == "event" else name
                if field == "data":
                    found.setdefault(name, json.loads(value))
            return found
        finally:
            connection.close()

    def press(self, path: str, **headers: str) -> Answer:
        """As the page's own buttons do."""
        return self(path, "POST", **{"X_Robot_Finetune": "page", **headers})


@contextmanager
def served(folder: Path, **options: str) -> Iterator[Page]:
    """The page of a folder while the block runs. options: of create_app."""
    from robot_finetune.web.serve import listening, server_of

    listener, server = listening("127.0.0.1", 0), server_of(folder, **options)
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
