"""``tag``: your own tags for runs, by which ``list`` and ``compare`` can filter."""

from mixviz.commands.parser import Parser
from mixviz.commands.tables import print_table
from mixviz.run_folder import check_tag, find_run


def main(argv: list[str]) -> None:
    parser = Parser("tag", "Add tags to runs, remove them, and show them. They are stored in the run's tags.txt.")
    parser.add_argument("run", nargs="+", help="name or folder of a run")
    parser.add_argument("--add", nargs="+", default=[], metavar="TAG", help="letters, digits and . + = - _")
    parser.add_argument("--remove", nargs="+", default=[], metavar="TAG", help="tags that a run lacks are ignored")
    arguments = parser.parse_args(argv)
    added = {check_tag(tag) for tag in arguments.add}
    runs = [find_run(name) for name in arguments.run]
    for run in runs:
        wanted = {*run.tags, *added} - set(arguments.remove)
        if wanted != set(run.tags):
            run.set_tags(wanted)
    print_table(["run", "tags"], [[run.name, " ".join(run.tags)] for run in runs])
