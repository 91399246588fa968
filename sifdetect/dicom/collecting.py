"""Making many small objects at once, without looking through all of them for garbage meanwhile.

A result is some ten thousand attributes, and the first one in a process brings the library's table
of all attributes of the standard, 40,000 dictionaries. Python's collector is set off by each few
hundred new objects and walks through those that live; here it finds nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collecting() -> Iterator[None]:
    """Pause the cyclic collector, as a block or as a decorator; it runs again afterwards.

    Where it stands already (another thread is inside, or the program turned it off) it is left so.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
