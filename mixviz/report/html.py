"""A report: one HTML file with everything, including pictures, in a light and a dark theme."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from mixviz.plots.style import Theme, png, style

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1d2129; background: #fff; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #d9dde3; text-align: right; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1rem 0; overflow-x: auto; } img { max-width: 100%; } figcaption, .note { color: #5b626d; }
.dark { display: none; } code { background: #8882; padding: .1em .3em; border-radius: 3px; }
@media (prefers-color-scheme: dark) {
  body { color: #e6e8eb; background: #15181d; } th, td { border-color: #3a404a; }
  .light { display: none; } .dark { display: inline; } figcaption, .note { color: #a3a9b3; }
}
"""


class Report:
    """Gathers headings, text, tables and pictures in order; ``write`` puts them into one file."""

    def __init__(self, title: str):
        self.title = title
        self.parts: list[str] = [f"<h1>{escape(title)}</h1>"]

    def heading(self, text: str) -> None:
        self.parts.append(f"<h2>{escape(text)}</h2>")

    def text(self, text: str, note: bool = False) -> None:
        """A paragraph; `code` is between backquotes. note: in a muted colour."""
        pieces = escape(text).split("`")
        marked = "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))
        self.parts.append(f"<p{' class=note' if note else ''}>{marked}</p>")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        def line(cells: Sequence[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

        body = "".join(line(row, "td") for row in rows)
        self.parts.append(f"<table><thead>{line(header, 'th')}</thead><tbody>{body}</tbody></table>")

    def figure(self, draw: Callable[[], Figure], caption: str) -> None:
        """draw makes the figure; it is called once for light and once for dark."""
        images = "".join(self._image(draw, theme, caption) for theme in ("light", "dark"))
        self.parts.append(f"<figure>{images}<figcaption>{escape(caption)}</figcaption></figure>")

    def write(self, path: Path) -> Path:
        head = f'<meta charset="utf-8"><title>{escape(self.title)}</title><style>{STYLE}</style>'
        view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
        body = "\n".join(self.parts)
        path.write_text(f'<!doctype html><html lang="en"><head>{head}{view}</head><body>{body}</body></html>', "utf-8")
        return path

    @staticmethod
    def _image(draw: Callable[[], Figure], theme: Theme, caption: str) -> str:
        with style(theme):
            data = b64encode(png(draw())).decode()
        return f'<img class="{theme}" alt="{escape(caption, quote=True)}" src="data:image/png;base64,{data}">'
