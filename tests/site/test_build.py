"""The site's files: all there, in need of nothing outside, and made of the package's own parts."""

import gzip
import io
import json
import re
import shutil
import tarfile
from base64 import b64decode
from html.parser import HTMLParser

import numpy as np
import pytest

from mixviz.__main__ import main
from mixviz.errors import UserError
from mixviz.pretrained import find
from mixviz.runs import Run
from mixviz.site import contents, runtime
from mixviz.site.build import packed, script

SVG = "http://www.w3.org/2000/svg"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "in" / "a folder"
    assert main(["site", "--out", str(folder)]) == 0
    return folder


class Links(HTMLParser):
    """What a page refers to, and its elements by id."""

    def __init__(self, text: str):
        super().__init__()
        self.found, self.names, self.alone = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.found += [given[name] for name in ("src", "href") if name in given]
        self.names += [given["id"]] if "id" in given else []


def arrays_of(text: str, name: str) -> tuple[dict, dict[str, np.ndarray]]:
    """What a script carries, read as files.js reads it."""
    (content,) = re.findall(rf'\.{name} = "([^"]*)";', text)
    line, _, data = gzip.decompress(b64decode(content)).partition(b"\n")
    head = json.loads(line)
    arrays = {}
    for key, entry in head["arrays"].items():
        count = int(np.prod(entry["shape"]))
        flat = np.frombuffer(data, np.dtype(entry["type"]), count, entry["start"])
        arrays[key] = flat.reshape(entry["shape"])
    return head["about"], arrays


def test_all_that_the_page_names_is_there_and_nothing_lies_outside(site):
    links = Links((site / "index.html").read_text("utf-8"))
    beside = [link for link in links.found if not link.startswith(("#", "data:"))]
    assert beside
    assert {link for link in beside if not (site / link).is_file()} == set()
    assert {link[1:] for link in links.found if link.startswith("#")} <= set(links.names)
    assert {path.name for path in site.iterdir()} == {*beside, "index.html"}
    for path in site.iterdir():
        if path.name != "runtime.js":
            text = path.read_text("utf-8").replace(SVG, "")
            assert not re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]|\bfetch\(|url\(|@import", text), path.name


def test_it_holds_the_bank_the_film_and_both_networks(site):
    about, arrays = arrays_of((site / "data.js").read_text(), "data")
    run = find(contents.PLAIN)
    assert arrays["pixels"].shape == (400, 32, 32, 3)
    assert arrays["film/points"].shape == (13, 400, 2)
    np.testing.assert_allclose(np.linalg.norm(arrays["looc/color"].astype(float), axis=1), 1, atol=1e-3)
    np.testing.assert_array_equal(arrays["film/embeddings"][3].astype("f4"), run.film.embedding(3))
    assert about["runs"]["looc"]["spaces"] == ["all", "color", "rotation"]
    assert about["shares"]["colour"]["values"][0] > about["shares"]["colour"]["values"][-1]  # as the page says
    assert len({about["labels"][row] for row in about["offered"]}) == len(about["offered"]) == contents.OFFERED
    _, networks = arrays_of((site / "networks.js").read_text(), "networks")
    assert set(networks) == {"plain", "looc"}
    halves = run.path / "weights.npz"
    assert networks["plain"].size < 1.3 * halves.stat().st_size  # weights are stored in float16


def test_a_bank_that_a_run_was_trained_on_is_refused(tmp_path):
    run = find(contents.PLAIN)
    shutil.copytree(run.path, tmp_path / "other")
    config = (run.path / "config.json").read_text().replace('"holdout": 2000', '"holdout": 100')
    (tmp_path / "other" / "config.json").write_text(config)
    with pytest.raises(UserError, match="other was trained on images of the film"):
        contents.bank_of(run, Run(tmp_path / "other"))


def test_modules_become_one_script_each_after_what_it_imports(tmp_path):
    (tmp_path / "main.js").write_text(
        'import { twice } from "./a.js";\nimport { ONE } from "./b.js";\nglobalThis.found = twice(ONE);\n'
    )
    (tmp_path / "a.js").write_text(
        'import { ONE } from "./b.js";\nexport function twice(x) {\n  return 2 * x * ONE;\n}\n'
    )
    (tmp_path / "b.js").write_text("export const ONE = 1;\nexport async function later() {}\n")
    joined = script(tmp_path / "main.js")
    assert [joined.count(f"const {name}Module") for name in "ab"] == [1, 1]
    assert joined.index("const bModule") < joined.index("const aModule") < joined.index("globalThis.found")
    assert "return { ONE, later };" in joined
    assert "const { twice } = aModule;" in joined
    assert not re.search(r"^\s*(import|export)\b", joined, re.MULTILINE)


def test_the_pages_own_modules_leave_no_import_or_export(site):
    joined = (site / "page.js").read_text()
    assert not re.search(r"^\s*(import|export)\b", joined, re.MULTILINE)


def test_arrays_keep_type_shape_and_place():
    given = {"a": np.arange(6, dtype=np.uint8).reshape(2, 3), "b": np.ones(2, np.float16), "c": np.ones(1, np.float32)}
    line, _, data = gzip.decompress(packed(given, {"x": 1})).partition(b"\n")
    head = json.loads(line)
    assert head["about"] == {"x": 1}
    assert head["arrays"]["b"] == {"type": "float16", "shape": [2], "start": 6}
    assert len(data) == 6 + 4 + 4


def test_a_changed_runtime_is_refused(tmp_path, monkeypatch):
    sums = json.loads(runtime.ABOUT.read_text())
    sums["sha256"]["ort.js"] = "0" * 64
    (tmp_path / "about.json").write_text(json.dumps(sums))
    monkeypatch.setattr(runtime, "ABOUT", tmp_path / "about.json")
    with pytest.raises(UserError, match=r"the checksum of ort\.js is another"):
        runtime.runtime()


def test_the_runtime_is_renewed_from_a_package(tmp_path, monkeypatch):
    package = tmp_path / "package.tgz"
    files = {name: path.encode() for name, path in runtime.FILES.items()}
    about = {"package.json": json.dumps({"version": "9.9.9", "license": "MIT", "more": 1}).encode()}
    write_package(package, about | {content.decode(): content for content in files.values()})
    monkeypatch.setattr(runtime, "ARCHIVE", tmp_path / "kept.tar.xz")
    monkeypatch.setattr(runtime, "ABOUT", tmp_path / "kept.json")
    runtime.renew(package)
    assert runtime.runtime() == files
    assert runtime.version() == "9.9.9"
    write_package(package, about)
    with pytest.raises(UserError, match=r"has no package/dist/ort\.wasm\.min\.js"):
        runtime.renew(package)


def write_package(path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
