"""Labels of runs that are compared: their method and the settings in which they differ."""

from collections.abc import Sequence

from mixviz.config import RunConfig
from mixviz.mixing import MIXINGS


def method_label(config: RunConfig) -> str:
    """Framework and mixings, and in brackets the settings of the mixings that are not the defaults."""
    name = config.method.name
    own = tuple(f"{mixing}_" for mixing in config.method.mixing)
    changed = [f"{key} {value}" for key, value in config.changed().items() if key.startswith(own)]
    return f"{name} ({', '.join(changed)})" if own and changed else name


def unique_labels(configs: Sequence[RunConfig]) -> list[str]:
    """A label for each: its method, and in brackets the settings in which these configs differ from one another.

    The framework's defaults and settings of mixings that are off are left out; equal labels are numbered.
    """
    flat = [config.flat() for config in configs]
    names = [name for name in flat[0] if len({repr(values[name]) for values in flat}) > 1] if flat else []
    labels: list[str] = []
    for config, values in zip(configs, flat, strict=True):
        changed = config.changed()
        off = ("framework", "mixing", *(f"{name}_" for name in MIXINGS if name not in config.method.mixing))
        own = [name for name in names if not name.startswith(off) and name in changed]
        notes = [f"{name.replace('_', ' ')} {_as_text(values[name])}" for name in own]
        label = f"{config.method.name} ({', '.join(notes)})" if notes else config.method.name
        count = sum(other.partition(" #")[0] == label for other in labels)
        labels.append(f"{label} #{count + 1}" if count else label)
    return labels


def differing_settings(configs: Sequence[RunConfig]) -> list[str]:
    """Settings besides method and seed in which runs differ, so that a comparison is not only of methods."""
    ignored = ("framework", "mixing", "seed", "device", *(f"{name}_" for name in MIXINGS))
    settings = [
        {name: value for name, value in config.flat().items() if not name.startswith(ignored)}
        | {"init": config.origin.init, "extended": config.origin.extended}
        for config in configs
    ]
    return [name for name in settings[0] if len({repr(flat[name]) for flat in settings}) > 1] if settings else []


def _as_text(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
