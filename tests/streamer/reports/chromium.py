"""A headless Chromium driven over its debugging pipe: just enough to click, hover and read a report."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
]


def found() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


class Browser:
    """One page. Use as a context manager; every wait is bounded."""

    def __init__(self, profile: Path) -> None:
        to_read, self.out = os.pipe()
        self.back, to_write = os.pipe()
        # Chromium speaks on descriptors 3 and 4; the shell puts them there
        command = f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}'
        self.process = subprocess.Popen(
            ["bash", "-c", command, str(found()), *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self.number, self.buffer, self.session = 0, b"", ""
        self.messages: list[dict[str, Any]] = []
        pages = [t for t in self.ask("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        self.session = self.ask("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        os.close(self.back)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            if not select.select([self.back], [], [], 60)[0]:
                raise TimeoutError("Chromium said nothing for 60 s")
            self.buffer += os.read(self.back, 1 << 20)
        line, self.buffer = self.buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        self.messages.append(message)
        return message

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.out, json.dumps(request).encode() + b"\0")
        while (answer := self._next()).get("id") != self.number:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, path: Path, width: int = 1200, height: int = 900) -> None:
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Page.navigate", url=path.as_uri())
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def js(self, code: str) -> Any:
        answer = self.ask("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def mouse(self, kind: str, selector: str) -> None:
        self.js(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
        centre = "(r => [r.x + r.width / 2, r.y + r.height / 2])"
        box = self.js(f"{centre}(document.querySelector({selector!r}).getBoundingClientRect())")
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])
        if kind == "click":
            for step in ("mousePressed", "mouseReleased"):
                self.ask("Input.dispatchMouseEvent", type=step, x=box[0], y=box[1], button="left", clickCount=1)

    def key(self, name: str) -> None:
        for step in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=step, key=name, code=name)

    def shot(self, width: int, height: int) -> bytes:
        """PNG of the upper left part of the page."""
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        return base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"])

    def complaints(self) -> list[str]:
        """Errors of the console and the content security policy so far."""
        self.js("1")
        logs = [m["params"]["entry"]["text"] for m in self.messages if m.get("method") == "Log.entryAdded"]
        thrown = [str(m["params"]) for m in self.messages if m.get("method") == "Runtime.exceptionThrown"]
        return logs + thrown

    def asked_for(self) -> list[str]:
        """Addresses the page has asked for, pictures inside the file left out."""
        sent = [m["params"]["request"]["url"] for m in self.messages if m.get("method") == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith(("data:", "about:", "blob:"))]
