"""The failure museum: small runs that are broken on purpose, each with the signature by which it is known."""

from mixviz.experiments.failures.cases import EXHIBITS, TWINS, Exhibit, exhibit
from mixviz.experiments.failures.controls import Visit, preserve, reduced, revisit, visit
from mixviz.experiments.failures.evidence import Evidence, Reading, Signature

__all__ = ["EXHIBITS", "TWINS", "Evidence", "Exhibit", "Reading", "Signature", "Visit", "exhibit", "preserve"]
__all__ += ["reduced", "revisit", "visit"]
