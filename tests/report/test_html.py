"""A report is one file that needs nothing else."""

import re

from mixviz.plots.style import figure
from mixviz.report.html import Report


def test_everything_is_inside_and_escaped(tmp_path):
    report = Report("A <title>")
    report.heading("Part & more")
    report.text("Run `a < b` now", note=True)
    report.table(["encoder", "accuracy"], [["moco-v2", "41.0"], ["<x>", "3"]])
    drawn = []

    def draw():
        drawn.append(figure(1, 1))
        drawn[-1].add_subplot().plot([1, 2])
        return drawn[-1]

    report.figure(draw, 'what "it" shows')
    text = report.write(tmp_path / "report.html").read_text("utf-8")
    assert len(drawn) == 2
    assert "<h1>A &lt;title&gt;</h1>" in text
    assert "<h2>Part &amp; more</h2>" in text
    assert "<code>a &lt; b</code>" in text
    assert "<td>&lt;x&gt;</td>" in text
    assert text.count("data:image/png;base64,") == 2
    assert 'alt="what &quot;it&quot; shows"' in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert {drawn[0].get_facecolor(), drawn[1].get_facecolor()} == {(1, 1, 1, 1), drawn[1].get_facecolor()}
    assert drawn[0].get_facecolor() != drawn[1].get_facecolor()
