"""The JSON Patch subset: what it changes, and what it refuses."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import HeadgateError
from headgate.model.patch import MAX_OPERATIONS, apply, parse_patch

DOCUMENT = {"name": "n", "params": {"a/b": 1, "m~n": 2, "list": [1, 2]}, "empty": {}, "": 0}

CHANGES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "replace": ([{"op": "replace", "path": "/name", "value": "m"}], {"name": "m"}),
    "any letter case": ([{"op": "REPLACE", "path": "/name", "value": None}], {"name": None}),
    "add a member": ([{"op": "Add", "path": "/more", "value": {}}], {"more": {}}),
    "add over a member": ([{"op": "add", "path": "/name", "value": 1}], {"name": 1}),
    "slash in a name": (
        [{"op": "replace", "path": "/params/a~1b", "value": 3}],
        {"params": {"a/b": 3, "m~n": 2, "list": [1, 2]}},
    ),
    "tilde in a name": (
        [{"op": "remove", "path": "/params/m~0n", "value": "not looked at"}],
        {"params": {"a/b": 1, "list": [1, 2]}},
    ),
    "empty name": ([{"op": "replace", "path": "/", "value": 1}], {"": 1}),
    "insert": (
        [{"op": "add", "path": "/params/list/1", "value": 9}],
        {"params": {"a/b": 1, "m~n": 2, "list": [1, 9, 2]}},
    ),
    "append": (
        [
            {"op": "add", "path": "/params/list/-", "value": 8},
            {"op": "add", "path": "/params/list/3", "value": 9},
        ],
        {"params": {"a/b": 1, "m~n": 2, "list": [1, 2, 8, 9]}},
    ),
    "change in a list": (
        [{"op": "replace", "path": "/params/list/0", "value": 9}, {"op": "remove", "path": "/params/list/1"}],
        {"params": {"a/b": 1, "m~n": 2, "list": [9]}},
    ),
    "one after the other": (
        [{"op": "add", "path": "/new", "value": {}}, {"op": "add", "path": "/new/x", "value": 1}],
        {"new": {"x": 1}},
    ),
}

REFUSED: dict[str, tuple[list[Any], str]] = {
    "no operation": ([], "FLOW-1405-400"),
    "not an object": (["x"], "FLOW-1434-400"),
    "move": ([{"op": "move", "from": "/name", "path": "/x"}], "FLOW-1434-400"),
    "copy": ([{"op": "copy", "from": "/name", "path": "/x"}], "FLOW-1434-400"),
    "test": ([{"op": "test", "path": "/name", "value": "n"}], "FLOW-1434-400"),
    "no op": ([{"path": "/name", "value": "n"}], "FLOW-1434-400"),
    "op is a number": ([{"op": 1, "path": "/name", "value": "n"}], "FLOW-1434-400"),
    "no path": ([{"op": "add", "value": 1}], "FLOW-1455-400"),
    "no value": ([{"op": "add", "path": "/x"}], "FLOW-1455-400"),
    "replace what is not there": ([{"op": "replace", "path": "/x", "value": 1}], "FLOW-1455-400"),
    "remove what is not there": ([{"op": "remove", "path": "/x"}], "FLOW-1455-400"),
    "add below nothing": ([{"op": "add", "path": "/x/y", "value": 1}], "FLOW-1455-400"),
    "beyond the end of a list": ([{"op": "add", "path": "/params/list/3", "value": 1}], "FLOW-1455-400"),
    "replace beyond the end": ([{"op": "replace", "path": "/params/list/2", "value": 1}], "FLOW-1455-400"),
    "path without a slash": ([{"op": "add", "path": "name", "value": 1}], "CONNECTOR-1365-400"),
    "whole document": ([{"op": "replace", "path": "", "value": {}}], "CONNECTOR-1365-400"),
    "path is a number": ([{"op": "add", "path": 1, "value": 1}], "CONNECTOR-1365-400"),
    "tilde for nothing": ([{"op": "add", "path": "/a~2", "value": 1}], "CONNECTOR-1365-400"),
    "tilde at the end": ([{"op": "add", "path": "/a~", "value": 1}], "CONNECTOR-1365-400"),
    "into a text": ([{"op": "add", "path": "/name/x", "value": 1}], "CONNECTOR-1365-400"),
    "through a text": ([{"op": "remove", "path": "/name/x/y"}], "CONNECTOR-1365-400"),
    "index -1": ([{"op": "remove", "path": "/params/list/-1"}], "CONNECTOR-1365-400"),
    "index 01": ([{"op": "replace", "path": "/params/list/01", "value": 1}], "CONNECTOR-1365-400"),
    "index in other digits": ([{"op": "remove", "path": "/params/list/\u0661"}], "CONNECTOR-1365-400"),
    "replace after the end": ([{"op": "replace", "path": "/params/list/-", "value": 1}], "CONNECTOR-1365-400"),
    "33 levels": ([{"op": "add", "path": "/a" * 33, "value": 1}], "CONNECTOR-1365-400"),
    "1001 characters": ([{"op": "add", "path": "/" + "a" * 1000, "value": 1}], "CONNECTOR-1365-400"),
    "too many": ([{"op": "add", "path": "/a", "value": 1}] * (MAX_OPERATIONS + 1), "FLOW-1100-400"),
    "good, then bad": (
        [{"op": "replace", "path": "/name", "value": "m"}, {"op": "remove", "path": "/x"}],
        "FLOW-1455-400",
    ),
}


@pytest.mark.parametrize(("operations", "changed"), CHANGES.values(), ids=CHANGES.keys())
def test_change(operations: list[dict[str, Any]], changed: dict[str, Any]) -> None:
    before = copy.deepcopy(DOCUMENT)
    assert apply(DOCUMENT, parse_patch(operations)) == {**DOCUMENT, **changed}
    assert before == DOCUMENT


def test_remove_of_a_member() -> None:
    assert "name" not in apply(DOCUMENT, parse_patch([{"op": "remove", "path": "/name"}]))


@pytest.mark.parametrize(("operations", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_refusal(operations: list[Any], code: str) -> None:
    before = copy.deepcopy(DOCUMENT)
    with pytest.raises(HeadgateError) as raised:
        apply(DOCUMENT, parse_patch(operations))
    assert raised.value.code == code
    assert len(raised.value.detail) < 250
    assert before == DOCUMENT


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("ab~/", max_size=2), _JSON, max_size=4), st.data())
def test_what_is_added_is_read_back_and_can_be_taken_away(document: dict[str, Any], data: st.DataObject) -> None:
    name, value = data.draw(st.text("ab~/", max_size=3)), data.draw(_JSON)
    path = "/" + name.replace("~", "~0").replace("/", "~1")
    added = apply(document, parse_patch([{"op": "add", "path": path, "value": value}]))
    assert added == {**document, name: value}
    gone = apply(added, parse_patch([{"op": "remove", "path": path}]))
    assert gone == {key: value for key, value in document.items() if key != name}
