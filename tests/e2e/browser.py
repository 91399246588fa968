"""A study in OHIF, in a real browser: what a radiologist clicks, and what is then to be seen."""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.conftest import ROOT

SCREENSHOTS = ROOT / "out" / "viewer"
TIMEOUT_MS = 150_000
SETTLED_MS = 700
"""Two pictures this far apart that are the same show a viewer at rest."""
_SWITCHES = (
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--no-proxy-server",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
"""WebGL without a graphics card, and no other machine than this one."""
_SHOWN = """() => {
  const enabled = cornerstone.getEnabledElements();
  if (enabled.length === 0) return null;
  const viewport = enabled[0].viewport;
  const annotations = cornerstoneTools.annotation.state.getAllAnnotations()
    .filter(one => one.metadata.referencedImageId);  // a scale bar is of no image
  return {
    image: viewport.getCurrentImageId(),
    contours: annotations.map(one => ({
      image: one.metadata.referencedImageId,
      points_px: one.data.handles.points.map(p => Array.from(viewport.worldToCanvas(p))),
      points_lps_mm: one.data.handles.points.map(p => Array.from(p)),
    })),
  };
}"""
_TOUCH = """() => {
  const viewport = cornerstone.getEnabledElements()[0].viewport;
  viewport.setCamera(viewport.getCamera());
}"""
_TO_WORLD = """points => {
  const viewport = cornerstone.getEnabledElements()[0].viewport;
  const canvas = viewport.canvas ?? viewport.getCanvas();
  const scale = canvas.clientWidth / canvas.width;  // its own pixels to those of the page
  return points.map(([x, y]) => Array.from(viewport.canvasToWorld([x * scale, y * scale])));
}"""
_CANVAS = "canvas => canvas.toDataURL('image/png')"


class Chromium:
    """Debian's Chromium without a window; it runs inside a ``with`` block."""

    def __init__(self, command: Path) -> None:
        self._command = command
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None

    def __enter__(self) -> Chromium:
        """Start it; root needs the switch that turns off the sandbox."""
        switches = [*_SWITCHES, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        self._playwright = sync_playwright().start()
        try:
            self._browser = self._playwright.chromium.launch(
                executable_path=self._command, args=switches, timeout=TIMEOUT_MS
            )
        except BaseException:
            self._playwright.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it and what it started."""
        assert self._browser is not None
        assert self._playwright is not None
        self._browser.close()
        self._playwright.stop()

    def page(self, *, width: int = 1280, height: int = 860, dark: bool = False) -> Page:
        """An empty page of a browser that shares nothing with others."""
        assert self._browser is not None
        scheme: Literal["dark", "light"] = "dark" if dark else "light"
        return self._browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )

    def open(self, url: str) -> Viewing:
        """A study in a page of its own."""
        assert self._browser is not None
        page = self._browser.new_page(viewport={"width": 1280, "height": 860})
        return Viewing(page, url)


class Viewing:
    """One study on the screen.

    Attributes:
        errors: what the page has thrown so far.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.errors: list[str] = []
        self._page = page
        page.set_default_timeout(TIMEOUT_MS)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.add_init_script("localStorage.setItem('shownTours', '[\"basicViewerTour\"]')")
        page.goto(url, wait_until="commit")
        page.wait_for_selector("[data-cy^=study-browser-thumbnail]")

    def close(self) -> None:
        """Close the page."""
        self._page.close()

    def show(self, description: str, *, until: str = "", whole: bool = False) -> None:
        """Double-click the series of that description; wait for a text, and until all is still.

        Args:
            until: a text that the viewer writes once the object is there.
            whole: the description is all of it; else others that contain it count too, and the
                first of the list is taken (a segmentation is described by its images' series).
        """
        thumbnail = self._page.locator("[data-cy^=study-browser-thumbnail]")
        if whole:
            named = thumbnail.filter(has=self._page.get_by_text(description, exact=True))
        else:
            named = thumbnail.filter(has_text=description)
        named.first.dblclick()
        if until:
            self._page.get_by_text(until).first.wait_for()
        self._page.get_by_text("Loading").first.wait_for(state="hidden")
        self._settle()

    def picture(self) -> NDArray[np.uint8]:
        """(height, width, 3) what the viewport shows, its texts and lines with it."""
        png = self._page.locator("[data-cy=viewport-pane]").first.screenshot()
        return np.asarray(Image.open(BytesIO(png)).convert("RGB"))

    def pixels(self) -> NDArray[np.uint8]:
        """(height, width, 3) what is drawn on the canvas: image and overlay, without any text."""
        url: str = self._page.locator("canvas.cornerstone-canvas").first.evaluate(_CANVAS)
        png = b64decode(url.partition(",")[2])
        return np.asarray(Image.open(BytesIO(png)).convert("RGB"))

    def text(self) -> str:
        """All text on the page."""
        return self._page.locator("body").inner_text()

    def state(self) -> dict[str, Any]:
        """Image on the screen, and the contours that are known, with their points on the canvas."""
        found: dict[str, Any] = self._page.evaluate(_SHOWN)
        return found

    def orientation(self) -> str:
        """Letters of the patient's side at the left edge, as "R".

        The viewer draws them only after the camera has moved since the viewport was made
        (``cameraModifiedTime === 0`` in its ``ViewportOrientationMarkers``), and an object over an
        image may make the viewport anew after the last move. A reader moves it sooner or later;
        here it is set to where it is.
        """
        self._page.evaluate(_TOUCH)
        marker = self._page.locator(".left-mid").first
        marker.wait_for()
        return marker.inner_text().strip()

    def places_lps_mm(self, points_px: Sequence[Sequence[float]]) -> NDArray[np.float64]:
        """(n, 3) LPS millimetres of points (x, y) of ``pixels`` in the first viewport."""
        points = [[float(x), float(y)] for x, y in points_px]
        return np.asarray(self._page.evaluate(_TO_WORLD, points), dtype=np.float64)

    def scroll(self, slices: int) -> None:
        """Go that many slices on in the first viewport, with the wheel."""
        self._page.locator("[data-cy=viewport-pane]").first.hover()
        for _ in range(slices):
            self._page.mouse.wheel(0, 100)
            self._page.wait_for_timeout(100)
        self._settle()

    def keep(self, name: str) -> None:
        """Write the page as a picture below ``out/viewer``."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self._page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def _settle(self) -> None:
        """Wait until the picture no longer changes, and is not all black."""
        before = self.picture()
        for _ in range(TIMEOUT_MS // SETTLED_MS):
            self._page.wait_for_timeout(SETTLED_MS)
            now = self.picture()
            if np.array_equal(before, now) and now.max() > 100:
                return
            before = now
        raise TimeoutError("the viewer did not come to rest")


def mask_of(
    picture: NDArray[np.uint8], rgb: Sequence[int], tolerance_deg: float = 15.0
) -> NDArray[np.bool_]:
    """Bool (height, width): pixels clearly coloured in the hue of ``rgb``, light or dark.

    An overlay is blended with gray: what is left of its colour is the direction away from gray.

    Args:
        picture: (height, width, 3) RGB.
        tolerance_deg: between the two directions; less than half of what parts our colours.
    """
    values = picture.astype(np.float64)
    wanted = np.array(rgb, dtype=np.float64)
    away = values - values.mean(axis=-1, keepdims=True)
    aim = wanted - wanted.mean()
    chroma = np.linalg.norm(away, axis=-1)
    cosine = away @ aim / np.maximum(chroma * np.linalg.norm(aim), 1e-9)
    return np.asarray((chroma > 40) & (cosine > np.cos(np.deg2rad(tolerance_deg))))
