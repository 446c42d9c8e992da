"""The grammar of `property` and `orderby`."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import (
    BadFilterValue,
    BadOrderBy,
    BadOrderByPrefix,
    EmptyFilterValue,
    InvalidRequest,
    LimitTooSmall,
    OperatorNotForField,
    OperatorNotThere,
    OperatorTakesOneValue,
    UnknownField,
    UnknownOperator,
)
from headgate.model.query import NEWEST_FIRST, Field, Filter, Query, parse_limit, parse_order, parse_query

FIELDS = {
    "id": Field("id"),
    "createdAt": Field("created_at", number=True),
    "state": Field("state", words=("inProgress", "failed")),
    "ids[]": Field("body.ids[]"),
    "params": Field("params", open=True),
    "activities": Field("activities", open=True),
    "source": Field("", always=True),
}


def only(text: str) -> Filter:
    query = parse_query([text], FIELDS)
    assert query.projection == ()
    [filter_] = query.filters
    return filter_


@pytest.mark.parametrize(
    ("text", "column", "op", "values"),
    [
        ("id==a", "id", "==", ("a",)),
        ("id=a", "id", "==", ("a",)),
        ("id!=a", "id", "!=", ("a",)),
        (" id == a ", "id", "==", ("a",)),
        ("id==a,b , c", "id", "==", ("a", "b", "c")),
        ('id=="a"', "id", "==", ("a",)),
        ('id=="a,b",c', "id", "==", ("a,b", "c")),
        ('id==" a "', "id", "==", (" a ",)),
        ('id==a"b', "id", "==", ('a"b',)),
        ('id==,"', "", "", ()),
        ('id=="a"b"', "id", "==", ('a"b',)),
        ("id===a", "id", "==", ("=a",)),
        ("id==a==b", "id", "==", ("a==b",)),
        ("id==a\nb", "id", "==", ("a\nb",)),
        ("createdAt>5", "created_at", ">", (5,)),
        ("createdAt>=-5", "created_at", ">=", (-5,)),
        ("createdAt<5", "created_at", "<", (5,)),
        ("createdAt<=5.5", "created_at", "<=", (5.5,)),
        ('createdAt=="5"', "created_at", "==", (5,)),
        ("createdAt==5,6", "created_at", "==", (5, 6)),
        ("state==IN_PROGRESS,Failed,other", "state", "==", ("inProgress", "failed", "other")),
        ("ids[]==a", "body.ids[]", "==", ("a",)),
        ("params.a.b==x", "params.a.b", "==", ("x",)),
        ("params.columns[].name==x", "params.columns[].name", "==", ("x",)),
        ("params[]==x", "params[]", "==", ("x",)),
        ("params==x", "params", "==", ("x",)),
        ("activities[].a[].b>5", "activities[].a[].b", ">", (5,)),
        ("params.meta:xdmType==x", "params.meta:xdmType", "==", ("x",)),
        ("params.$id!=x", "params.$id", "!=", ("x",)),
        ("source==True", "", "==", ("true",)),
    ],
)
def test_filter(text: str, column: str, op: str, values: tuple[Any, ...]) -> None:
    if not op:
        with pytest.raises(EmptyFilterValue):
            only(text)
        return
    filter_ = only(text)
    assert (filter_.field.column, filter_.op, filter_.values) == (column, op, values)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", UnknownOperator),
        ("a b", UnknownOperator),
        ("==x", UnknownOperator),
        ("5==x", UnknownOperator),
        ("id!5", UnknownOperator),
        ("id=>5", UnknownOperator),
        ("id<>5", UnknownOperator),
        ("createdAt>==5", UnknownOperator),
        ("params.0==x", UnknownOperator),
        ("params..a==x", UnknownOperator),
        ("params.a[0]==x", UnknownOperator),
        ("params.ä==x", UnknownOperator),
        ("id~x", OperatorNotThere),
        ("id=~x", OperatorNotThere),
        ("id!~x", OperatorNotThere),
        ("id>x", OperatorNotForField),
        ("ids[]<x", OperatorNotForField),
        ("source>true", OperatorNotForField),
        ("nope==x", UnknownField),
        ("ids==x", UnknownField),
        ("id.x==x", UnknownField),
        ("source.x==x", UnknownField),
        ("params." + "a." * 200 + "a==x", UnknownField),
        ("createdAt==", EmptyFilterValue),
        ("id==,", EmptyFilterValue),
        ('id==""', EmptyFilterValue),
        ("createdAt==x", BadFilterValue),
        ("createdAt==1e5", BadFilterValue),
        ("createdAt==" + "9" * 19, BadFilterValue),
        ("params.a>x", BadFilterValue),
        ("source==yes", BadFilterValue),
        ("createdAt>5,6", OperatorTakesOneValue),
    ],
)
def test_filter_that_is_refused(text: str, error: type[InvalidRequest]) -> None:
    with pytest.raises(error):
        parse_query([text], FIELDS)


@pytest.mark.parametrize(("text", "names"), [("a", ("a",)), ("a, b", ("a", "b")), ("$id,@type", ("$id", "@type"))])
def test_projection(text: str, names: tuple[str, ...]) -> None:
    assert parse_query([text], FIELDS).projection == names


@given(st.lists(st.text(max_size=40), max_size=3))
def test_any_text_is_a_query_or_refused(texts: list[str]) -> None:
    with suppress(InvalidRequest):  # and nothing else
        assert isinstance(parse_query(texts, FIELDS), Query)


@given(st.text(min_size=1).filter(lambda text: '"' not in text))
def test_quotes_keep_a_value_as_it_is(text: str) -> None:
    assert only(f'id=="{text}"').values == (text,)


def test_order() -> None:
    for text, ascending in (("createdAt", True), ("+createdAt", True), (" createdAt", True), ("-createdAt", False)):
        order = parse_order(text, FIELDS)
        assert (order.field.column, order.ascending) == ("created_at", ascending)
        assert parse_order(order.text, FIELDS) == order
    assert parse_order(None, FIELDS) == parse_order("", FIELDS) == NEWEST_FIRST
    for text in ("nope", "params", "params.a", "ids[]", "source", "-", "createdAt desc", "id,state"):
        with pytest.raises(BadOrderBy):
            parse_order(text, FIELDS)
    for text in ("*id", "--id", "~id", "(id)"):
        with pytest.raises(BadOrderByPrefix):
            parse_order(text, FIELDS)


def test_limit() -> None:
    assert [parse_limit(text) for text in (None, "1", "1000", "1001", "9" * 18)] == [100, 1, 1000, 1000, 1000]
    for text, error in (("0", LimitTooSmall), ("-1", LimitTooSmall), ("x", BadFilterValue), ("٣", BadFilterValue)):
        with pytest.raises(error):
            parse_limit(text)


ITEM = {"id": "x", "on": True, "count": 5, "names": ["a", "b"], "parts": [{"kind": "A", "size": "7"}, {"kind": None}]}


@pytest.mark.parametrize(
    ("filter_", "holds"),
    [
        (Filter(Field("id"), "==", ("x",)), True),
        (Filter(Field("id"), "!=", ("x",)), False),
        (Filter(Field("id"), "==", ("X",)), False),
        (Filter(Field("id", folded=True), "==", ("X",)), True),
        (Filter(Field("on"), "==", ("True",)), True),
        (Filter(Field("on"), "==", ("1",)), False),
        (Filter(Field("count"), "==", ("5.0",)), True),
        (Filter(Field("count"), "==", ("true",)), False),
        (Filter(Field("count", number=True), ">=", (5,)), True),
        (Filter(Field("names[]"), "==", ("b",)), True),
        (Filter(Field("names"), "==", ("b",)), False),
        (Filter(Field("names[]"), "!=", ("b",)), False),
        (Filter(Field("parts[].kind"), "==", ("A",)), True),
        (Filter(Field("parts[].kind"), "==", ("None",)), False),
        (Filter(Field("parts[].size"), ">", (6,)), True),
        (Filter(Field("parts[].size"), ">", (7,)), False),
        (Filter(Field("nothing.here"), "!=", ("x",)), True),
    ],
)
def test_filters_of_json(filter_: Filter, holds: bool) -> None:
    assert filter_.holds(ITEM) is holds
