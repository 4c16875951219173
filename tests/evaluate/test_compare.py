"""The results of runs in one table."""

from mixviz.config import RunConfig
from mixviz.evaluate.compare import results_table
from mixviz.result import Result
from mixviz.runs import Run


def test_results_of_runs_in_one_table(tmp_path):
    run = Run.create(RunConfig.of(mixing=["mixco"], seed=3), root=tmp_path)
    about = {"data": "x", "split": "test", "encoder": "backbone", "target": "label", "seed": 3, "device": "cpu"}
    run.add_results([Result(protocol="knn", accuracy=0.4, train_images=1, test_images=2, classes=2, **about)])
    table = results_table([run])
    assert table.loc[0, ["method", "seed", "accuracy"]].tolist() == ["moco-v2 + mixco", 3, 0.4]
    assert results_table([]).empty
