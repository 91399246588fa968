"""Who may use the HTTP port: one token from a file, and the sessions that it opens in a browser."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from sifdetect.errors import ConfigurationError

SESSION_SECONDS = 8 * 3600
_MOST_SESSIONS = 1000
_SHORTEST = 24
_LONGEST = 512
_FORBIDDEN_BITS = 0o077


class Token:
    """A secret that is only ever compared, in a time that says nothing about it."""

    def __init__(self, secret: str) -> None:
        self._digest = sha256(secret.encode()).digest()

    def is_same(self, given: str) -> bool:
        """Whether ``given`` is the token."""
        digest = sha256(given.encode("utf-8", "surrogateescape")).digest()
        return hmac.compare_digest(digest, self._digest)

    def admits(self, authorization: str) -> bool:
        """Whether an Authorization header carries the token (RFC 6750 2.1)."""
        scheme, _, given = authorization.partition(" ")
        return scheme.lower() == "bearer" and self.is_same(given.strip())


def read_token(path: str) -> Token | None:
    """The token in the first line of a file; None where no file is named.

    Raises:
        ConfigurationError: the file cannot be read, others may read it, or it holds no good token.
    """
    if not path:
        return None
    file = Path(path).expanduser()
    try:
        mode = file.stat().st_mode
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise ConfigurationError(
            f"The token file {file} cannot be read: {error.strerror}", hint="Check http.token_file"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"The token file {file} holds no plain text") from error
    if mode & _FORBIDDEN_BITS:
        raise ConfigurationError(
            f"The token file {file} may be read by others", hint="chmod 600 makes it private"
        )
    token = lines[0].strip() if lines else ""
    if not (_SHORTEST <= len(token) <= _LONGEST and token.isprintable() and " " not in token):
        raise ConfigurationError(
            f"The token in {file} is not {_SHORTEST} to {_LONGEST} characters without spaces",
            hint="`openssl rand -hex 32` makes a good one",
        )
    return Token(token)


class Sessions:
    """Browsers that have shown the token; all end with the process.

    What is kept is a digest, so that nobody who sees the memory of this table can enter.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._ends: dict[bytes, float] = {}
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()

    def open(self) -> str:
        """A new session, named by a secret for the browser's cookie; the oldest makes room."""
        name = secrets.token_urlsafe(32)
        with self._lock:
            now = self._now()
            self._ends = {key: end for key, end in self._ends.items() if end > now}
            while len(self._ends) >= _MOST_SESSIONS:
                self._ends.pop(next(iter(self._ends)))
            self._ends[_digest(name)] = now + SESSION_SECONDS
        return name

    def is_open(self, name: str) -> bool:
        """Whether the session of that name has been opened and has not ended."""
        with self._lock:
            return self._ends.get(_digest(name), 0.0) > self._now()

    def close(self, name: str) -> None:
        """End a session."""
        with self._lock:
            self._ends.pop(_digest(name), None)

    def form_key(self, name: str) -> str:
        """What each form of a session must carry: another site's form cannot know it."""
        return hmac.new(self._key, name.encode(), sha256).hexdigest()

    def is_own_form(self, name: str, given: str) -> bool:
        """Whether a form was made for this session."""
        return hmac.compare_digest(self.form_key(name).encode(), given.encode())


def _digest(name: str) -> bytes:
    return sha256(name.encode("utf-8", "surrogateescape")).digest()
