"""Tests; what their helpers assert is shown as fully as what they assert themselves."""

from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_HELPERS = {path.stem for path in _HERE.glob("*.py")} - {"__init__"}
_FOLDERS = {path.parent.name for path in _HERE.glob("*/__init__.py")}
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in sorted(_HELPERS | _FOLDERS)))
