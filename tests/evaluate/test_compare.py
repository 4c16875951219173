"""The results of runs in one table."""

from mixviz.config import RunConfig
from mixviz.evaluate.compare import results_table
from mixviz.runs import Run


def test_results_of_runs_in_one_table(tmp_path):
    run = Run.create(RunConfig.of(mixing=["mixco"], seed=3), root=tmp_path)
    kept = {"data": "x", "seed": 3, "encoder": "backbone", "protocol": "knn", "target": "label", "accuracy": 0.4}
    run.add_results([kept | {"train_images": 1, "test_images": 2}])
    table = results_table([run])
    assert table.loc[0, ["method", "seed", "accuracy"]].tolist() == ["moco-v2 + mixco", 3, 0.4]
    assert results_table([]).empty
