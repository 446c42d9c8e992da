"""The Catalog's listing grammar: what it reads, and that no pattern it lets pass takes long."""

import re

import pytest

from headgate.api.answers import error_answer
from headgate.errors import BadFilterValue, CommitConflict, SourceError, TargetUnavailable
from headgate.model.catalog import LONGEST_MATCHED, Condition, Grammar, Member

NAME = Member("name", wildcards=True)
CREATED = Member("created_at", "number")
GRAMMAR = Grammar({"name": NAME, "created": CREATED, "tags": Member("tags", "object")}, {"title": "name"})


@pytest.mark.parametrize(
    ("parameters", "condition"),
    [
        ([("name", "a,b")], Condition(NAME, "in", ("a", "b"))),
        ([("title", "!a, b")], Condition(NAME, "not in", ("a", "b"))),
        ([("created", "7")], Condition(CREATED, "in", (7,))),
        ([("createdAfter", "-7")], Condition(CREATED, ">", (-7,))),
        ([("createdBefore", "7")], Condition(CREATED, "<", (7,))),
        ([("property", "name")], Condition(NAME, "exists")),
        ([("property", "!name")], Condition(NAME, "absent")),
        ([("property", "name==a<b")], Condition(NAME, "in", ("a<b",))),
        ([("property", "created<=5")], Condition(CREATED, "<=", (5,))),
        ([("property", r"name~^a\.b[^c-e]+$")], Condition(NAME, "~", (r"^a\.b[^c-e]+$",))),
        ([("tags", "a:b:c")], Condition(Member("tags", "object"), "tag", ("a", "b:c"))),
    ],
    ids=str,
)
def test_conditions(parameters: list[tuple[str, str]], condition: Condition) -> None:
    assert GRAMMAR.read(parameters).conditions == (condition,)


def test_pages_and_order() -> None:
    query = GRAMMAR.read(
        [("limit", "7"), ("start", "3"), ("orderBy", "desc:created,name"), ("properties", "name, tags")]
    )
    assert (query.limit, query.start, query.properties) == (7, 3, ("name", "tags"))
    assert query.order == ((CREATED, False), (NAME, True))
    assert GRAMMAR.read([]).limit == 20


PATTERNS = ["a*a*b", ".*.*b", "^a+a*b", "a?a?b", "[ab]*[ab]*c", r"\w*\w*-", ".*a.*b"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_that_pass_are_decided_on_the_worst_text(pattern: str) -> None:
    """Those refused below would not come to an end here."""
    [condition] = GRAMMAR.read([("property", f"name~{pattern}")]).conditions
    assert re.search(str(condition.values[0]), "a" * LONGEST_MATCHED) is None


@pytest.mark.parametrize(
    "pattern", ["", "(a+)+b", "a|b", "a{9}", "a*a*a*b", "a**", "*", "\\", "[", "[b-a]", "\\1", "a" * 201]
)
def test_patterns_that_might_take_long_are_refused(pattern: str) -> None:
    with pytest.raises(BadFilterValue):
        GRAMMAR.read([("property", f"name~{pattern}")])


@pytest.mark.parametrize("error", [TargetUnavailable("The lake is busy."), CommitConflict("The lake is busy.")])
def test_a_lake_that_does_not_answer_is_a_reason_to_try_again(error: SourceError) -> None:
    answer = error_answer(error, "id", "/data/foundation/export/files/x")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert b"The lake is busy." in bytes(answer.body)
