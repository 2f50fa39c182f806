"""The server's application: pages, a stream of events for each session, images, and the buttons' requests."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from robot_finetune.config import ConfigError
from robot_finetune.data.episode_log import CorruptEpisode, EpisodeLogError
from robot_finetune.data.label_log import VERDICTS
from robot_finetune.robot.interfaces import RobotError
from robot_finetune.web.guard import Guard
from robot_finetune.web.lineages import retentions
from robot_finetune.web.live_state import LiveState, buttons
from robot_finetune.web.sessions import SessionLine, find_sessions, is_session, line_of
from robot_finetune.web.source import Source

STATIC = Path(__file__).parent / "static"
PERIOD = 0.5
"""Wall seconds between two events of a stream."""
ACTIONS = tuple(buttons(LiveState()))


class Sources:
    """The sessions below a folder by their names; each is opened when somebody looks at it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self._open: dict[str, Source] = {}

    @property
    def single(self) -> str:
        """The name of the session that the folder itself is, "" where it holds sessions."""
        return self.folder.name if is_session(self.folder) else ""

    def lines(self) -> list[SessionLine]:
        """The figures of each session; none in a folder that holds lineages alone."""
        try:
            return [line_of(path) for path in find_sessions(self.folder).values()]
        except ConfigError:
            return []

    def get(self, request: Request) -> Source:
        """The session in a request's path. Raises HTTPException."""
        name = request.path_params["name"]
        if name not in self._open:
            try:
                folder = find_sessions(self.folder).get(name)
            except ConfigError:
                folder = None
            if folder is None:
                raise HTTPException(404, "no such session")
            self._open[name] = Source(folder)
        return self._open[name]

    def close(self) -> None:
        for source in self._open.values():
            source.close()


def create_app(folder: Path, token: str = "", port: int = 0, ending: Callable[[], bool] = bool) -> Starlette:
    """The application for a session's folder, or one of sessions. token, port: see Guard. ending: whether the server is
    about to end. Raises ConfigError where no session is."""
    if not retentions(folder):
        find_sessions(folder)
    sources = Sources(folder)

    async def home(_: Request) -> Response:
        name = sources.single
        return RedirectResponse(f"session/{quote(name, safe='')}/", 303) if name else FileResponse(STATIC / "list.html")

    async def listed(_: Request) -> Response:
        lines = await run_in_threadpool(sources.lines)
        return JSONResponse([dataclasses.asdict(line) for line in lines])

    async def kept(_: Request) -> Response:
        found = await run_in_threadpool(retentions, sources.folder)
        return JSONResponse([dataclasses.asdict(one) for one in found])

    async def page(request: Request) -> Response:
        sources.get(request)
        return FileResponse(STATIC / "session.html")

    async def events(request: Request) -> Response:
        return StreamingResponse(stream(sources.get(request), ending), media_type="text/event-stream")

    async def image(request: Request) -> Response:
        data = await run_in_threadpool(sources.get(request).jpeg)
        return Response(data, media_type="image/jpeg") if data else Response("no image", 404)

    async def picture(request: Request) -> Response:
        place = request.path_params["place"]
        if place not in ("first", "last"):
            raise HTTPException(404)
        source, episode = sources.get(request), request.path_params["episode"]
        try:
            data = await run_in_threadpool(source.picture, episode, place == "last")
        except (EpisodeLogError, CorruptEpisode) as error:
            raise HTTPException(404, str(error)) from error
        return Response(data, media_type="image/png")

    async def judged(request: Request) -> Response:
        place = request.path_params["place"]
        data = await run_in_threadpool(sources.get(request).judged_jpeg, request.path_params["episode"], place)
        return Response(data, media_type="image/jpeg") if data else Response("no image", 404)

    async def do(request: Request) -> Response:
        source, action = sources.get(request), request.path_params["action"]
        if action not in ACTIONS:
            raise HTTPException(404, "no such button")
        try:
            value = request.query_params.get("value", "")
            return JSONResponse({"said": await run_in_threadpool(source.do, action, value)})
        except RobotError as error:
            return JSONResponse({"said": str(error)}, 409)

    async def label(request: Request) -> Response:
        source, verdict = sources.get(request), request.path_params["verdict"]
        if verdict not in VERDICTS:
            raise HTTPException(404, f"a grasp is one of {', '.join(VERDICTS)}")
        episode = request.path_params["episode"]
        try:
            await run_in_threadpool(source.relabel, episode, verdict)
        except EpisodeLogError as error:
            return JSONResponse({"said": str(error)}, 409)
        return JSONResponse({"said": f"{episode}: {verdict}"})

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(sources.close)

    routes = [
        Route("/", home),
        Route("/sessions.json", listed),
        Route("/retention.json", kept),
        Mount("/static", StaticFiles(directory=STATIC)),
        Route("/session/{name}/", page),
        Route("/session/{name}/events", events),
        Route("/session/{name}/image.jpg", image),
        Route("/session/{name}/grasps/{episode}/{place}.png", picture),
        Route("/session/{name}/grasps/{episode}/{place}.jpg", judged),
        Route("/session/{name}/do/{action}", do, methods=["POST"]),
        Route("/session/{name}/grasps/{episode}/label/{verdict}", label, methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, token=token, port=port)], lifespan=lifespan)


async def stream(source: Source, ending: Callable[[], bool]) -> AsyncIterator[str]:
    """Server-sent events until the server ends: each part of the page when it has changed, and a sign of life."""
    sent: dict[str, str] = {}
    while not ending():
        for name, text in (await run_in_threadpool(source.parts)).items():
            if sent.get(name) != text:
                sent[name] = text
                yield f"event: {name}\ndata: {text}\n\n"
        yield "event: alive\ndata: 1\n\n"
        await asyncio.sleep(PERIOD)
