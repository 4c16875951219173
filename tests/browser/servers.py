"""JupyterLab, Voila and Chromium for tests: on loopback, behind a token, and gone at the end."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
START = 120  # seconds a server may take to answer
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SETTINGS: Mapping[str, Mapping[str, Any]] = {  # no pop-up over the notebook, and nothing saved behind the tests' back
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
}


@dataclass(frozen=True)
class Server:
    """A running server. work: the folder that it serves."""

    address: str
    token: str
    work: Path

    def api(self, path: str, method: str = "GET") -> Any:
        """The answer of JupyterLab's interface, as read from JSON."""
        request = Request(f"{self.address}/api/{path}", method=method, headers={"Authorization": f"token {self.token}"})
        with urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def stop_kernels(self) -> None:
        """End every notebook's kernel."""
        for session in self.api("sessions"):
            self.api(f"sessions/{session['id']}", "DELETE")


@contextmanager
def jupyterlab(folder: Path) -> Iterator[Server]:
    """JupyterLab over an empty folder. folder: where its work, settings and log are kept."""
    for name, settings in SETTINGS.items():
        file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    work = folder / "work"
    work.mkdir()
    token, port = secrets.token_hex(16), free_port()
    environment = {
        "JUPYTER_TOKEN": token,
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    options = [f"--ServerApp.root_dir={work}", "--LabApp.expose_app_in_browser=True", "--allow-root"]
    options += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--no-browser"]
    with process(["jupyterlab", *options], environment, folder / "jupyterlab.log", f"http://127.0.0.1:{port}/api"):
        yield Server(f"http://127.0.0.1:{port}", token, work)


@contextmanager
def voila(folder: Path, work: Path) -> Iterator[Server]:
    """Voila over a folder of notebooks. folder: where its log is kept."""
    token, port = secrets.token_hex(16), free_port()
    options = [str(work), "--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1", f"--token={token}"]
    with process(["voila", *options], {}, folder / "voila.log", f"http://127.0.0.1:{port}/login"):
        yield Server(f"http://127.0.0.1:{port}", token, work)


@contextmanager
def process(command: list[str], environment: Mapping[str, str], log: Path, address: str) -> Iterator[None]:
    """A Python module that serves an address; ended at the end. Raises RuntimeError with its log if it does not."""
    inherited = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    with log.open("w") as written:
        running = subprocess.Popen(
            [sys.executable, "-m", *command], env=inherited | environment, stdout=written, stderr=subprocess.STDOUT
        )
        try:
            wait_for(running, address, log)
            yield
        finally:
            running.terminate()
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def wait_for(running: subprocess.Popen, address: str, log: Path) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end and running.poll() is None:
        try:
            urlopen(address, timeout=5).close()
        except (URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{running.args[2]} does not answer: {log.read_text()[-2000:]}")


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


@contextmanager
def chromium() -> Iterator[Any]:
    """A Chromium without a window, as a Playwright browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
