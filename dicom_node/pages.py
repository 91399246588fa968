"""The page on the studies, for people: a login by the token, a list, a button to try again.

No script runs in it and nothing is loaded from elsewhere. What changes something is a form that
carries the key of its session, sent from the page's own address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from dicom_node import logs
from dicom_node.board import ATTENTION, DONE, PROGRESS, Board, board_of
from dicom_node.spool import Spool
from dicom_node.tokens import SESSION_SECONDS, Sessions, Token
from sifdetect import __version__
from sifdetect.errors import SifdetectError

_FORM_BYTES = 8192
_FORM_SECONDS = 10.0
_WRONG_TOKEN_SECONDS = 1.0
_BUSY_SECONDS, _IDLE_SECONDS = 5, 30
_GROUPS = (("", "All"), (ATTENTION, "Needs attention"), (PROGRESS, "In progress"), (DONE, "Done"))
_KINDS = {"page.css": "text/css", "icon.svg": "image/svg+xml"}
_NOTES = {
    "again": ("It is being done again.", "good"),
    "refused": ("This report cannot be done again now.", "bad"),
}


class Pages:
    """The pages behind the login.

    Args:
        folder: the data folder.
        retry: has the last report on a study done again.
        alert: is told the address of who showed a wrong token, and that it was so.
        secure: whether the browser comes by HTTPS.
    """

    def __init__(
        self,
        folder: Path,
        token: Token,
        *,
        retry: Callable[[str], object],
        alert: Callable[[str, str], None],
        secure: bool,
    ) -> None:
        self._spool = Spool(folder)
        self._token = token
        self._retry, self._alert = retry, alert
        self._secure = secure
        self._cookie = "__Host-sifnode" if secure else "sifnode"
        self._sessions = Sessions()
        shipped = files("dicom_node").joinpath("templates")
        self._files = {name: shipped.joinpath(name).read_bytes() for name in _KINDS}
        self._environment = Environment(
            loader=PackageLoader("dicom_node"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def routes(self) -> list[Route]:
        """Their addresses."""
        return [
            Route("/", self.front, name="front"),
            Route("/login", self.login, name="login"),
            Route("/login", self.enter, methods=["POST"], name="enter"),
            Route("/logout", self.leave, methods=["POST"], name="leave"),
            Route("/studies", self.studies, name="studies"),
            Route("/studies/retry", self.again, methods=["POST"], name="retry"),
            *(Route(f"/{name}", self.static, name="static") for name in _KINDS),
        ]

    async def front(self, _: Request) -> Response:
        """To the list."""
        return RedirectResponse("/studies", 303)

    async def static(self, request: Request) -> Response:
        """What a page loads."""
        name = request.url.path.removeprefix("/")
        return Response(self._files[name], media_type=_KINDS[name])

    async def login(self, request: Request) -> Response:
        """The form that asks for the token."""
        return self._shown("login.html", wrong=False) if not self._session(request) else _listed()

    async def enter(self, request: Request) -> Response:
        """Open a session for who shows the token."""
        form = await _form(request)
        if form is None or not _is_own(request):
            return PlainTextResponse("This form was not sent from the node's own page.\n", 403)
        if not self._token.is_same(form.get("token", "")):
            host = request.client.host if request.client else ""
            logs.warning("login refused", audit=True, address=host)
            await asyncio.to_thread(self._alert, host, "a wrong token was shown at the login")
            await asyncio.sleep(_WRONG_TOKEN_SECONDS)
            return self._shown("login.html", status=401, wrong=True)
        answer = _listed()
        answer.set_cookie(
            self._cookie,
            self._sessions.open(),
            max_age=SESSION_SECONDS,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    async def leave(self, request: Request) -> Response:
        """End the session."""
        session = self._session(request)
        form = await _form(request)
        if session and form is not None and self._is_sent_by(request, session, form):
            self._sessions.close(session)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(self._cookie, path="/", secure=self._secure, httponly=True)
        return answer

    async def studies(self, request: Request) -> Response:
        """The list, a page of it."""
        session = self._session(request)
        if not session:
            return RedirectResponse("/login", 303)
        group = request.query_params.get("show", "")
        group = group if group in dict(_GROUPS) else ""
        asked = request.query_params.get("page", "1")
        number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 8 else 1
        board = await asyncio.to_thread(lambda: board_of(self._spool, group=group, page=number))
        note, tone = _NOTES.get(request.query_params.get("note", ""), ("", ""))
        return self._shown(
            "studies.html",
            board=board,
            group=group,
            groups=[(key, word, _count(board, key), _address(key)) for key, word in _GROUPS],
            before=_address(group, board.page - 1) if board.page > 1 else "",
            after=_address(group, board.page + 1) if board.page < board.pages else "",
            here=_address(group, board.page),
            seconds=_BUSY_SECONDS if board.counts[PROGRESS] else _IDLE_SECONDS,
            form_key=self._sessions.form_key(session),
            note=note,
            tone=tone,
        )

    async def again(self, request: Request) -> Response:
        """Have a report done again, and show the list."""
        session = self._session(request)
        if not session:
            return RedirectResponse("/login", 303)
        form = await _form(request)
        if form is None or not self._is_sent_by(request, session, form):
            return PlainTextResponse("This form was not sent from the node's own page.\n", 403)
        study = form.get("study", "")
        host = request.client.host if request.client else ""
        try:
            await asyncio.to_thread(self._retry, study)
        except SifdetectError:
            note = "refused"
        else:
            note = "again"
            logs.info("retry asked for", audit=True, study=study, address=host)
        return _listed(note=note, show=form.get("show", ""))

    def _session(self, request: Request) -> str:
        name = request.cookies.get(self._cookie, "")
        return name if self._sessions.is_open(name) else ""

    def _is_sent_by(self, request: Request, session: str, form: dict[str, str]) -> bool:
        return _is_own(request) and self._sessions.is_own_form(session, form.get("key", ""))

    def _shown(self, name: str, *, status: int = 200, **values: Any) -> Response:
        text = self._environment.get_template(name).render(version=__version__, **values)
        return HTMLResponse(text, status)


def _listed(**query: str) -> Response:
    more = urlencode({key: value for key, value in query.items() if value})
    return RedirectResponse(f"/studies?{more}" if more else "/studies", 303)


def _address(group: str, page: int = 1) -> str:
    query = {"show": group, "page": str(page) if page > 1 else ""}
    more = urlencode({key: value for key, value in query.items() if value})
    return f"/studies?{more}" if more else "/studies"


def _count(board: Board, group: str) -> int:
    return board.counts[group] if group else sum(board.counts.values())


def _is_own(request: Request) -> bool:
    """Whether the browser says that the form stood on this site, as far as it says anything."""
    origin = request.headers.get("origin", "")
    site = request.headers.get("sec-fetch-site", "same-origin")
    own = not origin or urlsplit(origin).netloc == request.headers.get("host", "")
    return own and site in ("same-origin", "none")


async def _form(request: Request) -> dict[str, str] | None:
    """The fields of a small form; None where it is none, is too long or does not come in time."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return None
    body = bytearray()
    try:
        async with asyncio.timeout(_FORM_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > _FORM_BYTES:
                    return None
    except (TimeoutError, ClientDisconnect):
        return None
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=8)
    except ValueError:
        return None
    return {name: values[0] for name, values in fields.items()}
