"""The failure museum: small runs that are broken on purpose, each with the signature by which it is known."""

from mixviz.museum.evidence import Evidence, Reading, Signature
from mixviz.museum.exhibits import EXHIBITS, TWINS, Exhibit, exhibit
from mixviz.museum.twins import Visit, preserve, reduced, revisit, visit

__all__ = ["EXHIBITS", "TWINS", "Evidence", "Exhibit", "Reading", "Signature", "Visit", "exhibit", "preserve"]
__all__ += ["reduced", "revisit", "visit"]
