"""``site``: a folder with one page that runs bundled networks in the reader's browser."""

from pathlib import Path

from mixviz.commands.flags import Parser
from mixviz.paths import check_writable
from mixviz.site.build import build

OUT = Path("build/site")


def main(argv: list[str]) -> None:
    parser = Parser(
        "site",
        "Write a page in which trained networks answer as one moves sliders: open its index.html in a browser, or put "
        "the folder on any static host. It needs neither Python nor a network.",
    )
    parser.add_argument("--out", type=Path, default=OUT, help=f"the folder [default: {OUT}]")
    folder = parser.parse_args(argv).out
    check_writable(folder / "index.html")
    size = sum(build(folder).values())
    print(f"{folder / 'index.html'}: {size / 1e6:.1f} MB in all; open it in a browser")
