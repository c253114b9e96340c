"""A headless Chromium, driven by its own debugging protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

SECONDS = 20.0
"""For the start, and for each answer or condition."""
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_LISTENING = re.compile(rb"DevTools listening on (ws://\S+)")


class Browser:
    """One page of a browser. Errors and messages of its console are kept in `console`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.console: list[str] = []
        self._socket = socket
        self._session = ""
        self._numbers = itertools.count(1)
        self._loaded = asyncio.Event()
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result. Raises `RuntimeError` where the browser refuses."""
        number = next(self._numbers)
        said: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session:
            said["sessionId"] = self._session
        waiting: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = waiting
        await self._socket.send_json(said)
        async with asyncio.timeout(SECONDS):
            answer = await waiting
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def attach(self) -> None:
        """Open the page."""
        target = await self.call("Target.createTarget", url="about:blank")
        found = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")

    async def open(self, url: str, *, width: int = 390, height: int = 844, theme: str = "light") -> None:
        """Load a page as a screen of that size and theme shows it."""
        await self.look(width=width, height=height, theme=theme)
        self._loaded.clear()
        found = await self.call("Page.navigate", url=url)
        if "errorText" in found:
            raise RuntimeError(f"{url}: {found['errorText']}")
        async with asyncio.timeout(SECONDS):
            await self._loaded.wait()

    async def look(self, *, width: int, height: int = 844, theme: str = "light") -> None:
        """Have a screen of that size and theme."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        feature = {"name": "prefers-color-scheme", "value": theme}
        await self.call("Emulation.setEmulatedMedia", features=[feature])

    async def evaluate(self, script: str) -> Any:
        """Return what a script evaluates to. Raises `RuntimeError` where it throws."""
        found = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"]["description"])
        return found["result"].get("value")

    async def until(self, script: str, what: str, *, holds: Callable[[Any], bool] = bool) -> Any:
        """Wait until a script's value holds, and return it."""
        try:
            async with asyncio.timeout(SECONDS):
                while not holds(value := await self.evaluate(script)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"waited {SECONDS:g} s for {what}; it is {value!r}") from None
        return value

    async def screenshot(self, file: Path, *, whole: bool = True) -> None:
        """Write the page as a picture."""
        taken = await self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(taken["data"]))

    async def listen(self) -> None:
        """Hand out what the browser says, until it says no more."""
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                waiting = self._answers.pop(said["id"])
                if not waiting.done():
                    waiting.set_result(said)
            elif said["method"] == "Page.loadEventFired":
                self._loaded.set()
            elif said["method"] == "Runtime.exceptionThrown":
                self.console.append(json.dumps(said["params"]["exceptionDetails"]))
            elif said["method"] == "Log.entryAdded":
                self.console.append(said["params"]["entry"]["text"])


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[Browser]:
    """Start a browser whose profile is in `folder`; on leaving, all of its processes end."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        raise RuntimeError("no Chromium is there: apt-get install chromium, or make test, which installs it")
    process = await asyncio.create_subprocess_exec(
        program,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--hide-scrollbars",
        "--no-first-run",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "--host-resolver-rules=MAP bot.evil.example 127.0.0.1",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    listening: asyncio.Task[None] | None = None
    try:
        address = await _address(process)
        async with aiohttp.ClientSession() as http, http.ws_connect(address, max_msg_size=0) as socket:
            browser = Browser(socket)
            listening = asyncio.create_task(browser.listen())
            await browser.attach()
            yield browser
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(SECONDS):
        while line := await process.stderr.readline():
            said += line
            if found := _LISTENING.search(line):
                return found[1].decode()
    raise RuntimeError(f"Chromium did not start: {said.decode(errors='replace')}")
