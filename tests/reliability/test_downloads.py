"""Downloads that break off or are killed: one line, nothing left over, and the next one is whole."""

import gzip
import os
import shutil
import signal
import threading
import time
from hashlib import file_digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path

import pytest

from mixviz.data import load
from mixviz.data.archives import Archive, fetched
from mixviz.errors import MissingData, UserError

CUTS = ["nothing sent", "one byte", "half", "all but one byte", "half, of unknown length", "not found", "server error"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    """An archive with one file of 300 kB that cannot be compressed."""
    folder = tmp_path_factory.mktemp("publisher") / "words"
    folder.mkdir()
    (folder / "clip").write_bytes(os.urandom(300_000))
    return Path(shutil.make_archive(str(folder), "gztar", folder))


@pytest.fixture
def publisher(packed):
    """A server of the archive. Its ``fault``, one of CUTS or "stalls", can be set and taken back."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content, fault = packed.read_bytes(), self.server.fault
            if fault in ("not found", "server error"):
                self.send_error(404 if fault == "not found" else 503)
                return
            self.send_response(200)
            if "unknown length" not in fault:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            sent = {"": len(content), "nothing sent": 0, "one byte": 1, "all but one byte": len(content) - 1}
            self.wfile.write(content[: sent.get(fault, len(content) // 2)])
            self.wfile.flush()
            if fault == "stalls":
                self.server.stalled.set()
                self.server.freed.wait(60)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.fault, server.stalled, server.freed = "", threading.Event(), threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.freed.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def archive(packed, publisher) -> Archive:
    with packed.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return Archive(f"http://127.0.0.1:{publisher.server_port}/{packed.name}", digest)


def assert_whole(archive: Archive, folder: Path) -> None:
    """The next download is, and nothing else is left."""
    assert (fetched(archive, folder) / "clip").stat().st_size == 300_000
    assert {path.name for path in folder.parent.iterdir()} == {"words", ".download.lock"}


@pytest.mark.parametrize("fault", CUTS)
def test_a_download_that_breaks_off(publisher, archive, tmp_path, fault):
    folder = tmp_path / "datasets" / "words"
    publisher.fault = fault
    with pytest.raises(MissingData, match=r"^words is not in .* cannot be downloaded .*: unpack .* there$"):
        fetched(archive, folder)
    assert [path.name for path in folder.parent.iterdir()] == [".download.lock"]
    publisher.fault = ""
    assert_whole(archive, folder)


def test_a_download_that_is_killed(publisher, archive, tmp_path):
    folder = tmp_path / "datasets" / "words"
    publisher.fault = "stalls"
    process = get_context("spawn").Process(target=fetched, args=(archive, folder))
    process.start()
    assert publisher.stalled.wait(60)
    until = time.monotonic() + 30
    while not list(folder.parent.glob(".part-*/*")) and time.monotonic() < until:
        time.sleep(0.05)
    with pytest.raises(UserError, match="datasets is in use by process"):  # one at a time
        fetched(archive, folder)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert list(folder.parent.glob(".part-*/*")), "nothing was left by the kill"
    publisher.fault = ""
    assert_whole(archive, folder)


@pytest.mark.parametrize("kept", [0, 1, 20, 2000, -1])
def test_a_covtype_file_that_was_cut_off(tmp_path, monkeypatch, kept):
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path))
    whole = gzip.compress(b"\n".join(b",".join([b"%d" % (row % 7 + 1)] * 55) for row in range(16_000)))
    file = tmp_path / "datasets" / "covtype" / "covtype.data.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(whole[:kept])
    with pytest.raises(UserError, match="covtype") as caught:
        load("covtype", "train", progress=False)
    assert "\n" not in str(caught.value)
