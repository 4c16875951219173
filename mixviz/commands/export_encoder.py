"""``export-encoder``: a run's encoder as a file for use without mixviz."""

from pathlib import Path

from mixviz.commands.flags import Parser
from mixviz.encoder_files import SUFFIXES, export_encoder
from mixviz.errors import unknown
from mixviz.paths import check_writable

ABOUT = (
    "Write a run's encoder for use without mixviz: weights with mean, std and config (.safetensors, .pt; a ResNet's "
    "have the names of torchvision and timm), or a network from inputs in [0, 1] to features (.onnx)."
)


def main(argv: list[str]) -> None:
    parser = Parser("export-encoder", ABOUT)
    parser.add_argument("run", help="name or folder of a run, or name of a bundled run")
    parser.add_argument("--out", type=Path, required=True, help=f"the file: one of {', '.join(SUFFIXES)}")
    arguments = parser.parse_args(argv)
    if arguments.out.suffix not in SUFFIXES:
        raise unknown("kind of file", arguments.out.suffix or arguments.out.name, SUFFIXES)
    out = export_encoder(arguments.run, check_writable(arguments.out))
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
