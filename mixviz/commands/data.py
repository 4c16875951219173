"""``data``: the data sets that are known by name, and fetching one before it is needed."""

from mixviz.commands.parser import Parser
from mixviz.commands.tables import print_table
from mixviz.data.published import FOLDERS
from mixviz.data.sources import PATH_SOURCES, SOURCES, get
from mixviz.domains import DOMAINS
from mixviz.errors import UserError, unknown
from mixviz.paths import datasets_root


def main(argv: list[str]) -> None:
    parser = Parser("data", "List the data sets, or fetch one with a progress bar; what is fetched is checked.")
    parser.add_argument("action", choices=("list", "get"), help="what to do")
    parser.add_argument("name", nargs="*", help="get: of data sets, such as cifar10")
    arguments = parser.parse_args(argv)
    if arguments.action == "list":
        about = {**SOURCES, **{f"{kind}:PATH": source for kind, source in PATH_SOURCES.items()}}
        print_table(["--data", "what it is"], [[name, source.about] for name, source in about.items()])
        return
    if not arguments.name:
        raise UserError("no data set given: data get NAME, with a name of data list")
    for name in arguments.name:
        if name not in SOURCES:
            raise unknown("data set", name, SOURCES)
        sizes = {split: len(part) for split, part in get(name).items()}
        examples = DOMAINS[SOURCES[name].domain].examples
        place = f", in {datasets_root() / FOLDERS[name]}" if name in FOLDERS else ""
        print(f"{name}: {' + '.join(f'{n:,} {split}' for split, n in sizes.items())} {examples}{place}")
