"""Many facts in few messages, and still in order."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from shared.outbox import LARGEST_BATCH, LARGEST_BYTES, Batch, batches

Facts = list[tuple[int, str, str, str]]

TYPES = st.sampled_from(["a.x.v1", "a.y.v1", "a.z.v1"])
SUBJECTS = st.sampled_from(["one", "two", "three", "four"])
TEXTS = st.integers(0, 3).map(lambda n: json.dumps({"n": "é" * n}, ensure_ascii=False))
HUGE = json.dumps("é" * 60_000, ensure_ascii=False)


@st.composite
def facts(draw: st.DrawFn, texts: st.SearchStrategy[str] = TEXTS, longest: int = 150) -> Facts:
    """Runs of facts, some of them long enough to fill a message."""
    runs = st.lists(st.tuples(TYPES, SUBJECTS, texts, st.sampled_from([1, 1, 1, 2, longest])), max_size=20)
    said = [run[:3] for run in draw(runs) for _ in range(run[3])]
    return [(row, *fact) for row, fact in enumerate(said)]


def rows_in_order(made: list[Batch]) -> list[int]:
    return [row for batch in made for row in batch.rows]


@given(facts())
def test_no_fact_is_lost_or_doubled(rows: Facts) -> None:
    made = batches(rows)
    assert sorted(rows_in_order(made)) == [row for row, *_ in rows]
    assert all(len(batch.rows) == len(batch.events) > 0 for batch in made)


@given(facts())
@example([(0, "a.x.v1", "one", "1"), (1, "a.y.v1", "one", "2"), (2, "a.x.v1", "one", "3")])
def test_facts_about_one_subject_keep_their_order(rows: Facts) -> None:
    order = rows_in_order(batches(rows))
    subject_of = {row: subject for row, _, subject, _ in rows}
    for subject in set(subject_of.values()):
        told = [row for row in order if subject_of[row] == subject]
        assert told == sorted(told)


@given(facts())
def test_a_message_is_of_one_type_and_carries_the_texts_as_they_are(rows: Facts) -> None:
    known = {row: (kind, text) for row, kind, _, text in rows}
    for batch in batches(rows):
        assert [known[row] for row in batch.rows] == [(batch.type, text) for text in batch.events]
        assert json.loads(batch.body()) == [json.loads(text) for text in batch.events]


@given(facts() | facts(st.sampled_from(["{}", HUGE]), longest=3))
def test_a_message_is_never_larger_than_it_may_be(rows: Facts) -> None:
    for batch in batches(rows):
        assert len(batch.rows) <= LARGEST_BATCH
        assert len(batch.body()) <= LARGEST_BYTES


def test_a_fact_too_large_for_company_travels_alone() -> None:
    giant = json.dumps("x" * LARGEST_BYTES)
    rows = [(0, "a.x.v1", "one", "1"), (1, "a.x.v1", "two", giant), (2, "a.x.v1", "three", "3")]
    assert [batch.rows for batch in batches(rows)] == [[0], [1], [2]]


@given(st.lists(SUBJECTS, min_size=1, max_size=LARGEST_BATCH))
def test_facts_of_one_type_share_a_message(subjects: list[str]) -> None:
    rows = [(row, "a.x.v1", subject, "{}") for row, subject in enumerate(subjects)]
    assert [batch.rows for batch in batches(rows)] == [list(range(len(subjects)))]
