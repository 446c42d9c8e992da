"""Row filters in PQL: what is read, and which code names what is wrong."""

import base64
import json
from typing import Any

import pytest

from headgate.errors import HeadgateError
from headgate.model.row_filter import Comparison, Group, Op, decode_base64, parse_filter


def pql(node: object) -> dict[str, Any]:
    return {"type": "PQL", "format": "pql/json", "value": node}


def call(name: object, *params: object) -> dict[str, Any]:
    return {"nodeType": "fnApply", "fnName": name, "params": list(params)}


def field(name: object = "a") -> dict[str, Any]:
    return {"nodeType": "fieldLookup", "fieldName": name}


def literal(value: object) -> dict[str, Any]:
    return {"nodeType": "literal", "value": value}


def nested(levels: int) -> dict[str, Any]:
    node = call("isNull", field())
    for _ in range(levels - 1):
        node = call("and", node)
    return node


A1 = call("=", field(), literal(1))


@pytest.mark.parametrize(
    ("node", "means"),
    [
        (A1, Comparison("a", Op.EQ, (1,))),
        (call("==", field(), literal("x")), Comparison("a", Op.EQ, ("x",))),
        (call("!=", field(), literal(True)), Comparison("a", Op.NE, (True,))),
        (call(">=", field(), literal(1.5)), Comparison("a", Op.GE, (1.5,))),
        (call("like", field(), literal(r"50\%%")), Comparison("a", Op.LIKE, (r"50\%%",))),
        (call("in", field(), literal([1, 2])), Comparison("a", Op.IN, (1, 2))),
        (call("in", field(), literal(1), literal(2)), Comparison("a", Op.IN, (1, 2))),
        (call("isNull", field("é\n")), Comparison("é\n", Op.IS_NULL)),
        (call("not", call("isNull", field())), Comparison("a", Op.IS_NULL, negated=True)),
        (call("NOT", A1), Comparison("a", Op.EQ, (1,), negated=True)),
        (
            call("or", A1, call("and", A1, call("not", A1))),
            Group(
                "or",
                (
                    Comparison("a", Op.EQ, (1,)),
                    Group("and", (Comparison("a", Op.EQ, (1,)), Comparison("a", Op.EQ, (1,), negated=True))),
                ),
            ),
        ),
    ],
)
def test_what_is_written_is_read(node: object, means: object) -> None:
    assert parse_filter(pql(node)) == means


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, 1349),
        ([], 1349),
        ("text", 1349),
        (pql("text"), 1349),
        (pql([A1]), 1349),
        (pql(nested(33)), 1349),
        (pql(call("and", *[A1] * 501)), 1349),
        (pql(call("in", field(), literal([1] * 10_001))), 1349),
        (pql(call("or", *[call("in", field(), literal([1] * 5001))] * 2)), 1349),
        (pql(call("like", field(), literal("x" * 1001))), 1349),
        (pql(call(None, field())), 1350),
        (pql(call("", field())), 1350),
        (pql({"nodeType": "fnApply", "params": [field()]}), 1350),
        (pql(call("drop", field(), literal(1))), 1351),
        (pql(call("AND", A1)), 1351),
        (pql(call("=", literal(1), field())), 1352),
        (pql(call("=", field(), field("b"))), 1352),
        (pql(call("=", field(), literal(1), literal(2))), 1352),
        (pql(call("isNull", field(), literal(1))), 1352),
        (pql(call("like", field(), literal("odd\\"))), 1352),
        (pql({"nodeType": "literal", "value": 1}), 1354),
        (pql({"fnName": "=", "params": []}), 1354),
        ({"format": "pql/json", "value": A1}, 1355),
        ({"type": "SQL", "format": "pql/json", "value": A1}, 1355),
        ({"type": "PQL", "value": A1}, 1356),
        ({"type": "PQL", "format": "pql/text", "value": "a = 1"}, 1356),
        ({"type": "PQL", "format": "pql/json"}, 1357),
        (pql(call("and")), 1357),
        (pql({"nodeType": "fnApply", "fnName": "and", "params": "x"}), 1357),
        (pql(call("=", field())), 1357),
        (pql(call("=", field(""), literal(1))), 1357),
        (pql(call("=", field(), {"nodeType": "literal"})), 1357),
        (pql(call("in", field(), literal([]))), 1357),
        (pql(call("=", field(), literal(None))), 1377),
        (pql(call("in", field(), literal([1, None]))), 1377),
        (pql(call("=", field(), literal([1]))), 1379),
        (pql(call("=", field(), literal({}))), 1379),
        (pql(call("=", field(), literal(float("inf")))), 1379),
        (pql(call("=", field(), literal("a\0b"))), 1379),
        (pql(call("=", field(), literal("\ud800"))), 1379),
        (pql(call("like", field(), literal(5))), 1379),
        (pql(call("not")), 1357),
        (pql(call("not", A1, A1)), 1390),
        (pql(call("not", call("and", A1, A1))), 1390),
        (pql(call("not", call("not", A1))), 1390),
    ],
)
def test_what_is_wrong_has_its_code(value: object, code: int) -> None:
    with pytest.raises(HeadgateError) as caught:
        parse_filter(value)
    assert (caught.value.code, caught.value.status) == (f"CONNECTOR-{code}-400", 400)
    assert len(caught.value.detail) < 300


def test_the_deepest_filter_that_is_taken() -> None:
    assert isinstance(parse_filter(pql(nested(32))), Group)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("change", [str, lambda t: t.rstrip("="), lambda t: t.replace("+", "-").replace("/", "_")])
def test_base64_in_every_spelling(change: Any) -> None:
    text = encoded(json.dumps(pql(call("=", field(), literal("?>~ÿ"))), ensure_ascii=False))
    assert "+" in text or "/" in text
    assert parse_filter(decode_base64(change(text))) == Comparison("a", Op.EQ, ("?>~ÿ",))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("%%%", 1389),
        ("a", 1389),
        (base64.b64encode(b"\xff\xfe").decode(), 1389),
        ("", 1349),
        (encoded("no json"), 1349),
        (encoded('{"type": NaN}'), 1349),
        (encoded("[" * 20_000), 1349),
        (encoded("1" * 5000), 1349),
        (encoded("[]"), 1349),
        (encoded("{}"), 1355),
    ],
)
def test_base64_that_is_none(text: str, code: int) -> None:
    with pytest.raises(HeadgateError) as caught:
        parse_filter(decode_base64(text))
    assert caught.value.code == f"CONNECTOR-{code}-400"
