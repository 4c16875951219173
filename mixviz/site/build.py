"""The site's folder: one page, its style and scripts, and all that they need as text in scripts.

Browsers let a page that is opened as a file read nothing but classic scripts, styles and images beside it. So modules
are joined into one script, and arrays, networks and runtime are written into scripts as compressed base64.
"""

import gzip
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mixviz.files import write_whole
from mixviz.site.contents import Contents, contents
from mixviz.site.runtime import LICENCE, runtime, version

PAGE = Path(__file__).parent / "page"
IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./(\w+)\.js";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)


def build(folder: Path) -> dict[str, int]:
    """Write the site into a folder; the bytes of each file. Raises UserError."""
    files = pages(contents())
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_whole(folder / name, lambda part, text=text: part.write_text(text, encoding="utf-8"))
    return {name: (folder / name).stat().st_size for name in files}


def pages(shown: Contents) -> dict[str, str]:
    """The text of every file of the site, by its name. Raises UserError if the runtime is damaged."""
    files = runtime()
    code = files.pop("ort.js").decode()
    about = {**shown.about, "runtime": version()}
    return {
        "index.html": (PAGE / "index.html").read_text(encoding="utf-8"),
        "style.css": (PAGE / "style.css").read_text(encoding="utf-8"),
        "page.js": script(PAGE / "main.js"),
        "data.js": as_script("data", packed(shown.arrays, about)),
        "networks.js": as_script("networks", packed(as_arrays(shown.networks))),
        "runtime.js": f"{code}\n{as_script('runtime', packed(as_arrays(files)))}",
        "onnxruntime-web.LICENSE.txt": LICENCE.read_text(encoding="utf-8"),
    }


def as_arrays(files: Mapping[str, bytes]) -> dict[str, np.ndarray]:
    """Files as arrays of bytes."""
    return {name: np.frombuffer(content, np.uint8) for name, content in files.items()}


def packed(arrays: Mapping[str, np.ndarray], about: Mapping[str, Any] | None = None) -> bytes:
    """Arrays of uint8, float16 or float32 as ``unpack`` of files.js reads them, compressed.

    A line of JSON with type, shape and place of each, then their bytes.
    """
    head, place = {}, 0
    for name, array in arrays.items():
        head[name] = {"type": array.dtype.name, "shape": array.shape, "start": place}
        place += array.nbytes
    line = json.dumps({"about": about or {}, "arrays": head}).encode() + b"\n"
    return gzip.compress(line + b"".join(array.tobytes() for array in arrays.values()), mtime=0)


def as_script(name: str, content: bytes) -> str:
    """A classic script that leaves the content, as base64, where the page finds it."""
    return f'(globalThis.mixviz ??= {{}}).{name} = "{b64encode(content).decode()}";\n'


def script(main: Path) -> str:
    """A module and those that it imports, each once and after what it imports, as one classic script."""
    parts: dict[str, str] = {}
    add_module(main, parts)
    return "\n".join(['"use strict";', "{", *parts.values(), "}", ""])


def add_module(path: Path, parts: dict[str, str]) -> None:
    """Add a module as a function that returns what it exports, unless it is there already."""
    if path.stem in parts:
        return
    text = path.read_text(encoding="utf-8")
    for _, name in IMPORT.findall(text):
        add_module(path.with_name(f"{name}.js"), parts)
    exported = EXPORT.findall(text)
    body = EXPORT.sub("", IMPORT.sub(r"const \1 = \2Module;", text))
    parts[path.stem] = f"const {path.stem}Module = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"
