"""Firefox without a window, asked by WebDriver BiDi: enough to open a page and evaluate JavaScript in it."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers import free_port

FIREFOX = shutil.which("firefox") or shutil.which("firefox-esr")
START, ANSWER = 60, 120  # seconds it may take


class Page:
    """One tab. log: errors of the page and its console."""

    def __init__(self, socket: Any):
        self.socket, self.number, self.log = socket, 0, []
        self.ask("session.new", capabilities={})
        self.ask("session.subscribe", events=["log.entryAdded"])
        self.tab = self.ask("browsingContext.getTree")["contexts"][0]["context"]

    def ask(self, method: str, **parameters: Any) -> Any:
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            said = json.loads(self.socket.recv())
            if said.get("method") == "log.entryAdded":
                self.log.append(said["params"]["text"])
            if said.get("id") == self.number:
                if said["type"] == "error":
                    raise RuntimeError(said["message"])
                return said["result"]

    def goto(self, address: str) -> None:
        self.ask("browsingContext.navigate", context=self.tab, url=address, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, or of the promise that it is, by way of JSON."""
        target = {"context": self.tab}
        said = self.ask(
            "script.evaluate",
            expression=f"Promise.resolve({expression}).then(JSON.stringify)",
            target=target,
            awaitPromise=True,
        )
        if said["type"] == "exception":
            raise RuntimeError(said["exceptionDetails"]["text"])
        return json.loads(said["result"]["value"]) if said["result"]["type"] == "string" else None


@contextmanager
def firefox(profile: Path) -> Iterator[Page]:
    """A tab of a Firefox with a profile of its own, ended at the end."""
    from websocket import WebSocketException, create_connection

    port = free_port()
    command = [
        str(FIREFOX),
        "--headless",
        "--no-remote",
        "--profile",
        str(profile),
        "--remote-debugging-port",
        str(port),
    ]
    with (profile / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as running:
        try:
            end = time.monotonic() + START
            while True:
                try:
                    socket = create_connection(f"ws://127.0.0.1:{port}/session", timeout=ANSWER, suppress_origin=True)
                    break
                except (OSError, WebSocketException):
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.2)
            yield Page(socket)
            socket.close()
        finally:
            running.terminate()
