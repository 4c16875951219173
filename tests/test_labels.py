"""Labels of configs; settings that differ are named."""

from mixviz.config import RunConfig
from mixviz.labels import differing_settings, method_label, unique_labels


def test_differing_settings_leave_method_and_seed_out():
    settings = [{}, {"mixing": ["mixco"], "seed": 1, "mixco_weight": 0.3}, {"epochs": 3}]
    configs = [RunConfig.of(**s) for s in settings]
    assert differing_settings(configs[:2]) == []
    assert differing_settings(configs) == ["epochs"]
    assert differing_settings([]) == []


def test_labels_name_the_mixings_settings_that_are_not_the_defaults():
    assert method_label(RunConfig.of(framework="simclr")) == "simclr"
    assert method_label(RunConfig.of(mixing=["mixco", "mochi"], mochi_hardest=96, imix_alpha=2)) == (
        "moco-v2 + mixco + mochi (mochi_hardest 96)"
    )


def test_runs_are_distinguished_by_the_settings_in_which_they_differ():
    settings = [
        {"epochs": 3},
        {"epochs": 3, "temperature": 0.05},
        {"epochs": 3, "framework": "simclr"},
        {"epochs": 3, "mixing": ["looc"], "looc_left_out": ["color", "rotation"], "rotation": 0.5},
        {"epochs": 3, "mixco_weight": 2},
        {"epochs": 3, "temperature": 0.05},
    ]
    assert unique_labels([RunConfig.of(**one) for one in settings]) == [
        "moco-v2",
        "moco-v2 (temperature 0.05)",
        "simclr",
        "moco-v2 + looc (rotation 0.5, looc left out color rotation)",
        "moco-v2 #2",
        "moco-v2 (temperature 0.05) #2",
    ]
    assert unique_labels([]) == []
