"""Rows laid out as a run goes on are those that a layout from nothing would give."""

from hypothesis import given
from hypothesis import strategies as st

from evaluators.folding.layout import Layout
from schemas.result import Judgement, Result

# At each asking: how many steps came, and of which steps the two evaluators say what.
ASKINGS = st.lists(
    st.tuples(
        st.integers(0, 3), st.lists(st.dictionaries(st.integers(0, 9), st.integers(0, 2)), min_size=2, max_size=2)
    ),
    max_size=8,
)


SAID = Judgement("pass", 1.0, "trace")


def row(reason):
    return Result(b"", "", "", "", "1", "pass", 1.0, "trace", "", reason, "", 0)


def first_change(before, after):
    changed = [k for b, a in zip(before, after, strict=True) for k in b.keys() | a.keys() if b.get(k) != a.get(k)]
    return min(changed, default=99)


@given(ASKINGS)
def test_what_was_laid_out_before_shows_nowhere(askings):
    layout, settled, before = Layout(), [], [{}, {}]
    for came, said in askings:
        settled += [[row(f"settled {len(settled) + n}")] * (n % 2) for n in range(came)]
        late = [
            {k: (SAID, row(f"{k} {who} {v}")) for k, v in of.items() if k < len(settled)} for who, of in enumerate(said)
        ]
        told = list(layout.rows(settled, late, first_change(before, late)))
        assert told == Layout().rows(settled, late, 0)
        before = late
