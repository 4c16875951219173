"""Nonsense on the command line: one line with exit code 2, or a setting that makes sense; never a traceback."""

import math

import pytest

from mixviz import train as train_module
from mixviz.__main__ import COMMANDS, main
from mixviz.commands import train as train_command
from mixviz.config import RunConfig, flags
from mixviz.errors import UserError

VALUES = (
    *(
        "",
        " ",
        "nan",
        "inf",
        "-inf",
        "-1",
        "-0",
        "0",
        "1e400",
        "1e-400",
        "0x1F",
        "1,5",
        "1_000",
        "1e3",
        "½",
        "٣",
        "1 2",
    ),
    *("None", "true", "[]", "{}", "\x00", "\x1b[31m", "a\nb", "😀", "--", "$x", "../..", "/", "~", "%s", "a" * 10_000),
    *("9" * 40, "9" * 400, "meta", "sys:exit", "os:abort", "builtins:exit", "torch.nn:Linear", "no.such:Thing", ":"),
)

LINES = """
tran
Train
--data
-1
train --dat glyphs
train --data
train glyphs
train --data nothing
train --data glyphs extra
train --data folder:
train --data folder:/no/such/folder
train --data folder:/dev/null
train --data folder:/proc/self/fd
train --data numpy:
train --data numpy:/no/such.npz
train --data numpy:/dev/null
train --data numpy:/dev/zero
train --data numpy:/proc/self/mem
train --data numpy:/
train --data parquet:
train --data parquet:/no/such.parquet
train --data parquet:/dev/null
train --data parquet:/dev/zero
train --data csv:
train --data csv:/no/such.csv
train --data csv:/dev/null
train --data csv:/dev/zero
train --data csv:/etc/passwd
train --data csv:/etc
train --data sounds:
train --data sounds:/no/such/folder
train --data sounds:/dev/null
train --data :
train --data ::
train --data http://example.org/x.zip
train --data cifar10:x
train --data glyphs:x
train --data GLYPHS
train --data=
train --data digits --rotation 1
train --data digits --image-size 32
train --data digits --mixing imix --imix-kind cutmix
train --data digits --backbone convnet
train --data digits --backbone resnet18
train --data tones --backbone mlp
train --data glyphs --backbone mlp
train --data glyphs --backbone resnet19
train --data glyphs --backbone sys:exit
train --data glyphs --backbone os:abort
train --data glyphs --backbone builtins:exit
train --data glyphs --backbone signal:pause
train --data glyphs --backbone os:fork
train --data glyphs --backbone builtins:print
train --data glyphs --backbone builtins:dict
train --data glyphs --backbone torch.nn:Linear
train --data glyphs --backbone torch.nn:Identity.forward
train --data glyphs --backbone no.such.module:Net
train --data glyphs --backbone :
train --data glyphs --backbone torch:
train --data glyphs --backbone :Net
train --framework moco
train --framework moco-v3
train --framework n-pair --queue-length 64
train --framework byol --mixing mochi
train --mixing mixup
train --mixing mixco mixco
train --mixing mochi imix nothing
train --mixing looc --looc-left-out nothing
train --mixing looc --looc-left-out
train --mochi-hardest -5 --mixing mochi
train --mochi-hardest 9999999 --mixing mochi
train --mochi-pairs 1000000000000 --mixing mochi
train --mixco-alpha 0 --mixing mixco
train --mixco-alpha inf --mixing mixco
train --mixco-temperature 0 --mixing mixco
train --temperature 0
train --temperature -1
train --temperature nan
train --lr -1
train --lr nan
train --lr inf
train --lr 1e400
train --momentum 1.5
train --epochs 0
train --epochs -3
train --epochs 1.5
train --epochs many
train --epochs 9999999999999999999999
train --batch-size 0
train --batch-size 1
train --batch-size 1000000000
train --batch-size 7 --bn-splits 4
train --bn-splits 0
train --bn-splits 100000
train --queue-length 0
train --queue-length -1
train --queue-length 100000000000000
train --queue-length 99999999999999999999999
train --dim 0
train --dim 1000000000000
train --hidden 1000000000000
train --image-size 1
train --image-size 50000
train --image-size 99999999999
train --holdout -1
train --holdout 1000000000.5
train --seed -1
train --seed 1e3
train --seed 99999999999999999999999999
train --device tpu
train --device cuda:99
train --device meta
train --device privateuseone
train --device cpu:x
train --device ""
train --dtype float8
train --dtype int8
train --schedule linear
train --schedule step --decay-epochs -1
train --name ../out
train --name /abs
train --name .
train --name ..
train --name a/b
train --name con:sole
train --name " "
train --name a\tb
train --resume
train --resume nothing
train --resume ../..
train --resume /
train --resume /dev/null
train --resume /etc/passwd
train --resume nothing --epochs 9
train --config
train --config /no/such.json
train --config /etc/passwd
train --config /dev/zero
train --config /
train --unknown
train --epochs=3=4
evaluate
evaluate nothing
evaluate /
evaluate /etc
evaluate nothing --protocol nothing
evaluate nothing --protocol knn:
evaluate nothing --protocol knn:k
evaluate nothing --protocol knn:k=0
evaluate nothing --protocol knn:k=-1
evaluate nothing --protocol knn:k=x
evaluate nothing --protocol knn:temperature=nan
evaluate nothing --protocol knn:temperature=0
evaluate nothing --protocol linear-features:lrs=inf
evaluate nothing --protocol linear-features:lrs=1e400
evaluate nothing --protocol linear-features:lrs=nan
evaluate nothing --protocol linear-features:lrs=
evaluate nothing --protocol linear-features:lrs=-1
evaluate nothing --protocol linear-features:epochs=0
evaluate nothing --protocol linear-features:nothing=1
evaluate nothing --protocol few-shot:shots=0
evaluate nothing --protocol :
evaluate nothing --target nothing
evaluate nothing --device tpu
evaluate nothing --spaces --random
compare nothing
compare / /
compare --base nothing
compare --target nothing
compare --target
embed
embed nothing
embed nothing glyphs
embed nothing glyphs --out
embed nothing glyphs --out x
embed nothing glyphs --out x.exe
embed nothing glyphs --out /no/such/x.csv
embed glyphs-moco-v2-seed1 nothing --out x.csv
embed glyphs-moco-v2-seed1 folder:/no/such --out x.csv
embed glyphs-moco-v2-seed1 glyphs --out /dev/full
embed glyphs-moco-v2-seed1 glyphs --out /
report
report nothing
report nothing --images 3
report nothing --images -1
report nothing --images x
report nothing --out /
export
export nothing
export /etc/passwd
export nothing --out /
export-encoder
export-encoder nothing
export-encoder nothing --out x
export-encoder glyphs-moco-v2-seed1 --out x.exe
export-encoder glyphs-moco-v2-seed1 --out /
recordings
recordings nothing
recordings add
recordings add nothing
recordings add nothing nothing --name x
recordings verify --root /no/such
recordings list extra --dims
recordings add nothing --dims x
reproduce nothing
reproduce --plan nothing
reproduce mixco-table --jobs 0
reproduce mixco-table --jobs -1
reproduce mixco-table --jobs x
reproduce mixco-table --data nothing
reproduce mixco-table --minutes -1
study --seeds 0
study --seeds -1
study --seeds x
study --jobs 0
tour --seeds 0
tour --seeds x
tour --nothing
failures --nothing
bench --seconds x
bench --nothing
ledger --nothing
results --nothing
pictures --nothing
site --nothing
site --out /dev/null/site
site --out /etc/passwd
doctor --nothing
data
data get
data put
data get nothing
data list --nothing
train --data idx:
train --data idx:/no/such/folder
train --data idx:/dev/null
train --data idx:/
train --resume nothing --data glyphs
evaluate nothing --data folder:/no/such
evaluate nothing --data
report nothing --changed-data
report glyphs-moco-v2-seed1 --data folder:/no/such
report glyphs-moco-v2-seed1 --data digits
embed glyphs-moco-v2-seed1 glyphs --data glyphs --out x.csv
recordings thumbnails
recordings thumbnails glyphs-moco-v2-seed1
recordings thumbnails glyphs-moco-v2-seed1 --published nothing
list --nothing
list extra
tag
tag nothing x
notebooks /proc/no/such
notebooks --nothing
sweep --lr
sweep --nothing
sweep --data nothing
sweep --seed x
"""
CHOSEN = [line.replace("\\t", "\t").replace('""', "").split(" ") for line in LINES.strip().splitlines()]


@pytest.fixture
def told(capsys):
    """Runs a command line that is to be refused: what it says, which is one short line."""

    def run(*words):
        try:
            code = main(list(words))
        except SystemExit as error:  # --help
            code = error.code
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        lines = captured.err.strip().splitlines()
        if code:
            assert code == 2
            assert lines[-1].startswith("mixviz: ")
            assert len(lines) <= 3  # a warning or two before it
            assert len(lines[-1]) < 1200
            assert all(character.isprintable() for character in lines[-1])
        return code

    return run


@pytest.fixture
def no_training(monkeypatch):
    """Configs that would be trained, in place of training them."""
    configs = []

    def config_from(*arguments):
        configs.append(made(*arguments))
        raise UserError("made")

    made = train_command.config_from
    monkeypatch.setattr(train_command, "config_from", config_from)
    return configs


@pytest.mark.parametrize("flag", list(flags()), ids=lambda flag: flag.name)
def test_flags(told, no_training, flag):
    for value in VALUES:
        told("train", f"--{flag.name.replace('_', '-')}={value}")
    for config in no_training:
        assert RunConfig.parse(config.model_dump(mode="json")) == config
        assert all(math.isfinite(x) for x in config.flat().values() if isinstance(x, float))


@pytest.mark.parametrize("words", CHOSEN, ids=lambda words: " ".join(words)[:60])
def test_lines(told, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "data"))  # a run that is there would be refused for its name
    monkeypatch.setattr(train_module, "_fit", trained)
    assert told(*words) == 2


def trained(*arguments, **named):
    raise AssertionError("it was accepted")


def test_every_command_is_tried():
    tried = {words[0] for words in CHOSEN}
    assert set(COMMANDS) <= tried
    assert len(CHOSEN) >= 200
