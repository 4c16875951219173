"""The runtime of networks in the page, onnxruntime-web, kept compressed in the package with its licence and checksums.

Renew it from the package as npm packs it, without this project's users needing npm or a network:

    npm pack onnxruntime-web@VERSION
    python -m mixviz.site.runtime onnxruntime-web-VERSION.tgz
"""

import io
import json
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

from mixviz.errors import UserError
from mixviz.files import damaged, read_json, write_json, write_whole

VENDOR = Path(__file__).parent / "vendor"
ARCHIVE, ABOUT = VENDOR / "onnxruntime-web.tar.xz", VENDOR / "onnxruntime-web.json"
LICENCE = VENDOR / "onnxruntime-web.LICENSE"
FILES = {  # of the package, the smallest build with the operators of a convnet: its WebAssembly alone
    "ort.js": "dist/ort.wasm.min.js",
    "glue.mjs": "dist/ort-wasm-simd-threaded.mjs",
    "ort.wasm": "dist/ort-wasm-simd-threaded.wasm",
}


def runtime() -> dict[str, bytes]:
    """The runtime's files by the names in ``FILES``. Raises UserError if they are not those that were put there."""
    sums = read_json(ABOUT)["sha256"]
    with tarfile.open(ARCHIVE, "r:xz") as archive:
        files = {name: _read(archive, name) for name in FILES}
    for name, content in files.items():
        if sha256(content).hexdigest() != sums[name]:
            raise damaged(ARCHIVE, f"the checksum of {name} is another")
    return files


def version() -> str:
    """Of the runtime."""
    return read_json(ABOUT)["version"]


def renew(package: Path) -> None:
    """Take the runtime from a package as npm packs it. Raises UserError if it lacks a file."""
    with tarfile.open(package) as archive:
        about = json.loads(_read(archive, "package/package.json"))
        files = {name: _read(archive, f"package/{path}") for name, path in FILES.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz", preset=9) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    write_whole(ARCHIVE, lambda part: part.write_bytes(buffer.getvalue()))
    sums = {name: sha256(content).hexdigest() for name, content in files.items()}
    write_json(ABOUT, {"version": about["version"], "license": about["license"], "sha256": sums})


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    try:
        found = archive.extractfile(name)
    except KeyError:
        found = None
    if found is None:
        raise UserError(f"{archive.name} has no {name}: take the package of onnxruntime-web as npm packs it")
    return found.read()


if __name__ == "__main__":
    renew(Path(sys.argv[1]))
