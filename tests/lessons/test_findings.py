"""The table of the notebooks: headline claims in their order, tried or not, and the others on request."""

import pytest

from mixviz.errors import UserError
from mixviz.experiments.claims import ledger
from mixviz.lessons.findings import claims_table


def test_headline_claims_paper_by_paper():
    found = claims_table("LooC", "MixCo")
    assert list(dict.fromkeys(found["paper"])) == ["LooC", "MixCo"]
    wanted = [
        row["claim"] for paper in ("LooC", "MixCo") for row in ledger.headlines(ledger.read()) if row["paper"] == paper
    ]
    assert [said.partition(" (")[0] for said in found["it says"]] == [claim.partition(" (")[0] for claim in wanted]
    never = found[found.verdict == "not tried"]
    assert set(never["found here"]) == {"–"}
    assert never["on"].str.contains("needs|no result").all()


def test_all_others_that_were_tried_come_after_them_on_request():
    short, long = claims_table("MoCHi"), claims_table("MoCHi", every=True)
    assert long.head(len(short)).equals(short)
    rest = long.iloc[len(short) :]
    assert len(rest)
    assert "not tried" not in set(rest["verdict"])
    assert rest["found here"].str.contains("seed").all()


def test_an_unknown_paper():
    with pytest.raises(UserError, match="did you mean 'MoCHi'"):
        claims_table("MoChi")
