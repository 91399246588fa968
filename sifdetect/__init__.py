"""sifdetect shows, measures and reports what may be a sacral insufficiency fracture."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "analyze": "sifdetect.app",
    "StudyFindings": "sifdetect.findings",
    "Fracture": "sifdetect.findings",
    "Presence": "sifdetect.findings",
    "Grid": "sifdetect.volume",
    "Volume": "sifdetect.volume",
    "LabelMap": "sifdetect.volume",
    "Side": "sifdetect.anatomy",
    "SacralLevel": "sifdetect.anatomy",
    "SifdetectError": "sifdetect.errors",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """Load a public name from its module when it is first asked for (keeps start-up short)."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'sifdetect' has no attribute {name!r}")
