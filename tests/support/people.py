"""People at real browsers: each has a Chromium of their own with a camera, a microphone and a screen of their own.

What they do at which page is the story's; here is how they open, look, listen and keep pictures of what they saw.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    Request,
    WebSocket,
    sync_playwright,
)

from tests.support.devices import source_script
from tests.support.hands import Hands
from tests.support.marks import Mark, Rgb, draw_marks, is_near

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ARTIFACTS = ROOT / "artifacts"
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns,Translate,MediaRouter,OptimizationHints",
    "--force-color-profile=srgb",
)
WIDTHS = (360, 1440)
HEIGHT = 800
HEARD_DB = -55.0
"""A tone above this level in the spectrum is there; without it the level is below -70."""
MOST_WORDS = 140
DEVICE_NAMES = ("first", "second", "screen")


@dataclass(frozen=True, slots=True)
class Video:
    """One picture on a page, as `page/eyes.js` tells it."""

    id: str
    tile: str | None
    shown: bool
    rgb: Rgb
    bar: list[int]
    frames: int
    width: int
    height: int
    box: tuple[float, float, float, float]


@dataclass(repr=False)
class Person(Hands):
    """One browser with one page. `mark` is what the first camera and microphone show, `other` the second devices."""

    name: str
    browser: Browser
    base_url: str
    mark: Mark
    other: Mark
    screen: Mark
    size: tuple[int, int] = (1280, 800)
    failing: str | None = None
    keyboard: bool = False
    zoom: int = 1
    context: BrowserContext = field(init=False)
    page: Page = field(init=False)
    troubles: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    flashes: list[dict[str, float]] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    presses: int = 0

    def __post_init__(self) -> None:
        self.new_context()

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def new_context(self) -> None:
        """A browser that knows nothing yet: no cookie, nothing stored."""
        width, height = (side // self.zoom for side in self.size)
        self.context = self.browser.new_context(
            base_url=self.base_url,
            ignore_https_errors=True,
            viewport={"width": width, "height": height},
            device_scale_factor=self.zoom,
            locale="en-GB",
            timezone_id="Europe/Berlin",
            accept_downloads=True,
        )
        self.context.add_init_script(script=source_script(self.mark, self.other, self.screen, self.failing))
        self.context.add_init_script(path=HERE / "page" / "eyes.js")
        self.page = self.context.new_page()
        self._watch(self.page)

    def begin_anew(self, failing: str | None = None) -> None:
        """The same browser forgets everything; its devices fail in this way from now on."""
        self.context.close()
        self.failing = failing
        self.new_context()

    def new_page(self) -> Page:
        """Another window of the same browser; `page` stays the first."""
        page = self.context.new_page()
        self._watch(page)
        return page

    def _watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.troubles.append(f"{self.name}: {error}"))
        page.on("console", self._on_console)
        page.on("request", self._on_request)
        page.on("websocket", self._on_websocket)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.troubles.append(f"{self.name}: {message.text}")

    def _on_request(self, request: Request) -> None:
        if urlsplit(request.url).scheme in {"http", "https"} and not request.url.startswith(self.base_url):
            self.foreign.append(request.url)

    def _on_websocket(self, socket: WebSocket) -> None:
        """Everything the server tells this browser is kept as text, to be searched for what it must not say."""
        if urlsplit(socket.url).netloc != urlsplit(self.base_url).netloc:
            self.foreign.append(socket.url)
        socket.on("framereceived", lambda frame: self.received.append(str(frame)))

    # ── where they are ──

    def open(self, address: str) -> None:
        """Goes there; a page that was just leaving for somewhere of its own accord is waited for first."""
        try:
            self.page.goto(address)
        except Error as error:
            if "interrupted by another navigation" not in error.message:
                raise
            self.page.wait_for_load_state()
            self.page.goto(address)

    def reload(self) -> float:
        """Reloads and answers the moment it began (monotonic seconds); flashes noted so far are kept."""
        self.note_flashes()
        began = time.monotonic()
        self.page.reload(wait_until="domcontentloaded")
        return began

    # ── what they see and hear ──

    def videos(self, page: Page | None = None) -> list[Video]:
        found = (page or self.page).evaluate("() => window.__eyes ? window.__eyes.seen() : []")
        return [
            Video(
                v["id"], v["tile"], v["shown"], tuple(v["colour"]), v["bar"], v["frames"], v["width"], v["height"],
                tuple(v["box"]),
            )
            for v in found
        ]  # fmt: skip

    def tiles(self, mark: Mark) -> list[Video]:
        """The pictures of `mark` that this person sees now (a flash hides the colour for a moment)."""
        return [video for video in self.videos() if video.shown and is_near(video.rgb, mark.rgb)]

    def sees(self, mark: Mark) -> bool:
        return bool(self.tiles(mark))

    def hears(self, *marks: Mark) -> list[bool]:
        """For each mark, whether its tone is played aloud at this page now."""
        tones = [mark.tone_hz for mark in marks]
        levels = self.page.evaluate(
            "(tones) => window.__eyes ? window.__eyes.heard(tones) : tones.map(() => null)", tones
        )
        return [level is not None and level > HEARD_DB for level in levels]

    def wait_sees(self, mark: Mark, timeout_s: float = 15.0) -> None:
        self._wait(lambda: self.sees(mark), timeout_s, f"{self.name} sees {mark.name}")

    def wait_hears(self, mark: Mark, timeout_s: float = 15.0) -> None:
        self._wait(lambda: all(self.hears(mark)), timeout_s, f"{self.name} hears {mark.name}")

    def wait_not_sees(self, mark: Mark, timeout_s: float = 10.0) -> None:
        """Until the picture is gone for longer than a flash lasts."""
        self._wait_steady(lambda: not self.sees(mark), timeout_s, f"{self.name} no longer sees {mark.name}")

    def wait_not_hears(self, mark: Mark, timeout_s: float = 10.0) -> None:
        self._wait_steady(lambda: not any(self.hears(mark)), timeout_s, f"{self.name} no longer hears {mark.name}")

    def start_tape(self) -> None:
        """Begins to note, every 5 ms, what this person hears."""
        self.page.evaluate("() => window.__eyes.startTape()")

    def stop_tape(self, around_s: float = 1.0) -> list[dict[str, float]]:
        """For each time that the page went over to another sound: the longest silence and double sound around it."""
        found: list[dict[str, float]] = self.page.evaluate("(ms) => window.__eyes.stopTape(ms)", around_s * 1000)
        return found

    def is_moving(self, mark: Mark, over_s: float = 1.0) -> bool:
        """Whether the picture of `mark` got new frames during `over_s`; False when it isn't shown."""
        before = self._frames(mark)
        self.page.wait_for_timeout(over_s * 1000)
        after = self._frames(mark)
        return before is not None and after is not None and after[1] != before[1]

    def wait_still(self, mark: Mark, timeout_s: float = 5.0) -> None:
        """Until the picture of `mark` gets no more frames: what was on its way is drawn first."""
        self._wait(lambda: not self.is_moving(mark), timeout_s, f"the picture of {mark.name} stands still")

    def _frames(self, mark: Mark) -> tuple[int, list[int]] | None:
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            for video in self.tiles(mark):
                return video.frames, video.bar
            self.page.wait_for_timeout(50)
        return None

    def _wait(self, condition: Any, timeout_s: float, what: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout_s} s: {what} ({self.brief()})"
            self.page.wait_for_timeout(60)

    def _wait_steady(self, condition: Any, timeout_s: float, what: str, steady_s: float = 0.6) -> None:
        deadline = time.monotonic() + timeout_s
        since: float | None = None
        while True:
            now = time.monotonic()
            since = (since or now) if condition() else None
            if since is not None and now - since >= steady_s:
                return
            assert now < deadline, f"not within {timeout_s} s: {what} ({self.brief()})"
            self.page.wait_for_timeout(60)

    def brief(self) -> str:
        """Which page this is and its last trouble, in one short line, for a failed assertion."""
        with suppress(Exception):
            heading = " ".join(self.page.locator("h1").first.inner_text(timeout=1000).split())
            trouble = f"; {self.troubles[-1]}" if self.troubles else ""
            return f"{self.name} at …{urlsplit(self.page.url).path[-24:]} {heading!r}{trouble}"[:MOST_WORDS]
        return f"{self.name}'s page does not answer"

    def describe(self) -> str:
        """All that is on the page, to be kept beside its picture."""
        with suppress(Exception):
            videos = [f"{v.id or v.tile or '?'} {v.rgb}{'' if v.shown else ' hidden'}" for v in self.videos()]
            text = self.page.inner_text("body", timeout=1000)
            return f"{self.page.url}\nvideos: {videos}\n{text}\ntroubles: {self.troubles}"
        return "the page does not answer"

    # ── what their own devices did ──

    def note_flashes(self) -> None:
        """Keeps the flashes that this page's camera made, with their lateness against the beep."""
        with suppress(Exception):
            found = self.page.evaluate("() => window.__source?.flashes ?? []")
            known = {flash["at_ms"] for flash in self.flashes}
            self.flashes += [flash for flash in found if flash["at_ms"] not in known]

    # ── pictures kept, accessibility ──

    def keep(self, step: str, folder: str, page: Page | None = None, *, axe: bool = True) -> None:
        """Screenshots at 360 and 1440 px under artifacts/, and no finding of axe at either."""
        page = page or self.page
        findings: list[str] = []
        target = ARTIFACTS / folder
        target.mkdir(parents=True, exist_ok=True)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            page.wait_for_timeout(80)
            page.screenshot(path=target / f"{step}-{self.name}-{width}.png")
            if axe:
                findings += [f"{width} px: {finding}" for finding in axe_findings(page)]
        page.set_viewport_size({"width": self.size[0] // self.zoom, "height": self.size[1] // self.zoom})
        assert not findings, f"{self.name} at {step}: " + "\n".join(findings)

    def assert_untroubled(self, allowed: Sequence[str] = ()) -> None:
        """No script error, nothing refused by the page's policy, no request to another host."""
        wrong = [trouble for trouble in self.troubles if not any(part in trouble for part in allowed)]
        assert not wrong, "\n".join(wrong)
        assert not self.foreign, "\n".join(self.foreign)

    def close(self) -> None:
        with suppress(Exception):
            self.context.close()
        with suppress(Exception):
            self.browser.close()


def axe_findings(page: Page) -> list[str]:
    """What axe-core finds on the page as it is, one line a finding; empty when nothing."""
    source = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
    if not page.evaluate("() => typeof window.axe === 'object'"):
        page.evaluate(source.read_text(encoding="utf-8"))
    options = {
        "resultTypes": ["violations"],
        "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
    result = page.evaluate("(options) => window.axe.run(document, options)", options)
    return [
        f"{found['id']}: {found['help']}: {[node['target'] for node in found['nodes']][:3]}"
        for found in result["violations"]
    ]


class Cast:
    """Makes people and ends their browsers; their marks are drawn from one chance, printed for a second run."""

    def __init__(self, playwright: Playwright, base_url: str, names: Sequence[str], seed: int | None = None) -> None:
        self._playwright = playwright
        self.base_url = base_url
        self.seed = seed if seed is not None else random.SystemRandom().randrange(2**32)
        print(f"marks drawn from seed {self.seed}")
        devices = [f"{name} {device}" for name in names for device in DEVICE_NAMES]
        self._marks = draw_marks(devices, random.Random(self.seed))
        self.people: list[Person] = []

    def person(
        self,
        name: str,
        *,
        inside: Path | None = None,
        flags: Sequence[str] = (),
        base_url: str | None = None,
        size: tuple[int, int] = (1280, 800),
        failing: str | None = None,
        keyboard: bool = False,
        zoom: int = 1,
    ) -> Person:
        """Starts a Chromium for `name`; `inside` is an executable that starts it elsewhere (a namespace)."""
        browser = self._playwright.chromium.launch(
            executable_path=str(inside or CHROMIUM), args=[*FLAGS, *flags], chromium_sandbox=False
        )
        mark, other, screen = (self._marks[f"{name} {device}"] for device in DEVICE_NAMES)
        person = Person(
            name,
            browser,
            base_url or self.base_url,
            mark,
            other,
            screen,
            size=size,
            failing=failing,
            keyboard=keyboard,
            zoom=zoom,
        )
        self.people.append(person)
        return person

    def close(self) -> None:
        for person in self.people:
            person.close()


@contextmanager
def cast_of(base_url: str, *names: str, seed: int | None = None) -> Iterator[Cast]:
    with sync_playwright() as playwright:
        cast = Cast(playwright, base_url, names, seed)
        try:
            yield cast
        finally:
            cast.close()
