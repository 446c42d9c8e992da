"""Reading listings, and continuation tokens."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.errors import BadFilterValue, BadOrderBy, BadOrderByPrefix, LimitWithCount, UnknownParameter
from headgate.model.query import Field, Filter, Place
from headgate.model.runs import Json
from headgate.model.scope import Scope
from headgate.service.paging import Listings, known_parameters, projected, truth
from headgate.store import Page

SCOPE = Scope("org", "sandbox", "prod")
FIELDS = {"name": Field("name"), "createdAt": Field("created_at", number=True)}


def answer(listings: Listings, parameters: list[tuple[str, str]], next_: Place | None = (1710230000100, 7)) -> Json:
    query = listings.read(SCOPE, "flows", parameters, FIELDS)
    return listings.answer(SCOPE, "flows", query, Page(({"id": "1"},), next_), list)


def token(of: Json) -> str:
    return str(of["_links"]["next"]["href"]).partition("continuationToken=")[2]


def test_token_brings_the_query_back(tmp_path: Path) -> None:
    listings = Listings(tmp_path)
    parameters = [("property", "name==a,b"), ("property", "name"), ("limit", "5"), ("orderby", "createdAt")]
    text = token(answer(listings, parameters))
    query = Listings(tmp_path).read(SCOPE, "flows", [("continuationToken", text)], FIELDS)
    assert query.filters == (Filter(FIELDS["name"], "==", ("a", "b")),)
    assert query.projection == ("name",)
    assert (query.limit, query.after, query.order.ascending, query.count) == (5, (1710230000100, 7), True, False)


def test_count_with_limit_is_refused_by_the_strict(tmp_path: Path) -> None:
    parameters = [("count", "true"), ("limit", "1")]
    assert Listings(tmp_path).read(SCOPE, "flows", parameters, FIELDS).count
    strict = Listings(tmp_path, strict=True)
    with pytest.raises(LimitWithCount):
        strict.read(SCOPE, "flows", parameters, FIELDS)
    for passing in ([("count", "true")], [("count", "false"), ("limit", "1")]):
        strict.read(SCOPE, "flows", passing, FIELDS)


def test_last_page_has_no_link(tmp_path: Path) -> None:
    assert answer(Listings(tmp_path), [], next_=None) == {"items": [{"id": "1"}], "_links": {}}


def test_token_of_another_key_place_or_collection(tmp_path: Path) -> None:
    listings = Listings(tmp_path / "one")
    text = [("continuationToken", token(answer(listings, [])))]
    for other, scope, collection in (
        (Listings(tmp_path / "two"), SCOPE, "flows"),
        (listings, Scope("org", "other", "prod"), "flows"),
        (listings, Scope("other", "sandbox", "prod"), "flows"),
        (listings, SCOPE, "runs"),
    ):
        with pytest.raises(BadFilterValue):
            other.read(scope, collection, text, FIELDS)
    assert listings.read(SCOPE, "flows", text, FIELDS).after == (1710230000100, 7)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=300))
def test_no_text_is_a_token(tmp_path: Path, text: str) -> None:
    listings = Listings(tmp_path)
    if text == "":
        assert listings.read(SCOPE, "flows", [("continuationToken", text)], FIELDS).after is None
        return
    with pytest.raises(BadFilterValue):
        listings.read(SCOPE, "flows", [("continuationToken", text)], FIELDS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_changed_token_is_a_token(tmp_path: Path, data: st.DataObject) -> None:
    listings = Listings(tmp_path)
    good = token(answer(listings, [("property", "name==x")]))
    place = data.draw(st.integers(0, len(good) - 1))
    letter = data.draw(st.characters(codec="ascii").filter(lambda letter: letter != good[place]))
    changed = good[:place] + letter + good[place + 1 :]
    with pytest.raises(BadFilterValue):
        listings.read(SCOPE, "flows", [("continuationToken", changed)], FIELDS)


def test_parameters() -> None:
    parameters = [("property", "a"), ("limit", "1"), ("limit", "2"), ("property", "b"), ("if-match", "x")]
    assert known_parameters(parameters, ("property", "limit")) == (("a", "b"), {"limit": "2", "if-match": "x"})
    with pytest.raises(UnknownParameter, match="'sort'"):
        known_parameters([("sort", "a")], ("limit",))
    with pytest.raises(BadFilterValue, match="NUL"):
        known_parameters([("property", "name==\0")], ("property",))
    with pytest.raises(UnknownParameter, match="none"):
        known_parameters([("sort", "a")], ())


@pytest.mark.parametrize(("text", "value"), [(None, False), ("true", True), ("True", True), ("FALSE", False)])
def test_truth(text: str | None, value: bool) -> None:
    assert truth(text, "count") is value


@pytest.mark.parametrize("text", ["", "1", "yes"])
def test_no_truth(text: str) -> None:
    with pytest.raises(BadFilterValue, match="count"):
        truth(text, "count")


@pytest.mark.parametrize(
    ("order", "ascending"), [("", False), ("-createdAt", False), ("createdAt", True), ("+createdAt", True)]
)
def test_order(tmp_path: Path, order: str, ascending: bool) -> None:
    assert Listings(tmp_path).read(SCOPE, "flows", [("orderby", order)], FIELDS).order.ascending is ascending


def test_order_that_is_refused(tmp_path: Path) -> None:
    for order, class_ in (("nope", BadOrderBy), ("-", BadOrderBy), ("*name", BadOrderByPrefix)):
        with pytest.raises(class_):
            Listings(tmp_path).read(SCOPE, "flows", [("orderby", order)], FIELDS)


def test_projection() -> None:
    items: list[Json] = [{"id": "1", "a": 1, "b": 2}]
    assert projected(items, ()) == items
    assert projected(items, ("b", "nothing")) == [{"id": "1", "b": 2}]
