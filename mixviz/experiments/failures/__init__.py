"""Failure cases: small runs that are broken on purpose, each with its signature."""

from mixviz.experiments.failures.cases import CASES, CONTROLS, FailureCase, failure_case
from mixviz.experiments.failures.controls import CaseResult, export_small, load_case, reduced, run_cases
from mixviz.experiments.failures.evidence import Reading, RunEvidence, Signature

__all__ = [
    "CASES",
    "CONTROLS",
    "CaseResult",
    "FailureCase",
    "Reading",
    "RunEvidence",
    "Signature",
    "export_small",
    "failure_case",
]
__all__ += ["load_case", "reduced", "run_cases"]
