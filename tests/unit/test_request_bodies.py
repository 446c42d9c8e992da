"""Request bodies: the strict reader, and the readers of single members."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.api.bodies import MAX_DEPTH, parse_object
from headgate.errors import BadBody, BadParameter, BodyEmpty, InvalidRequest, NotFound, ParameterMissing, UnknownSpec
from headgate.service.bodies import check_id, check_schema, kept, optional_object, required_name, shown, spec_ref, text

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def holds(value: object, judge: Any) -> bool:
    """Whether `judge` is true of `value` or of something inside it."""
    if isinstance(value, dict):
        return any(holds(item, judge) for pair in value.items() for item in pair)
    if isinstance(value, list):
        return any(holds(item, judge) for item in value)
    return bool(judge(value))


@given(st.dictionaries(st.text(), VALUES))
def test_what_is_written_is_read_again(value: dict[str, Any]) -> None:
    raw = json.dumps(value).encode()
    odd = holds(value, lambda item: isinstance(item, str) and "\0" in item)
    odd = odd or holds(value, lambda item: isinstance(item, float) and item in (float("inf"), -float("inf")))
    if odd:
        with pytest.raises(BadBody):
            parse_object(raw)
    else:
        assert parse_object(raw) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_refusal(raw: bytes) -> None:
    with suppress(BadBody, BodyEmpty):
        assert isinstance(parse_object(raw), dict)


@pytest.mark.parametrize("number", [-(2**63), 2**64 - 1, 0])
def test_integers_of_64_bits(number: int) -> None:
    assert parse_object(b'{"n": %d}' % number) == {"n": number}


@pytest.mark.parametrize("number", [-(2**63) - 1, 2**64, 10**100])
def test_integers_of_more_bits(number: int) -> None:
    with pytest.raises(BadBody, match="64 bits"):
        parse_object(b'{"n": %d}' % number)


def test_depth() -> None:
    def nested(levels: int) -> bytes:
        return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)

    assert parse_object(nested(MAX_DEPTH))
    with pytest.raises(BadBody, match="64 levels"):
        parse_object(nested(MAX_DEPTH + 1))


def test_place_of_a_mistake_is_told() -> None:
    with pytest.raises(BadBody, match="line 2, column 8"):
        parse_object(b'{\n  "a": }')
    with pytest.raises(BadBody, match="'auth' twice"):
        parse_object(b'{"auth": 1, "b": 2, "auth": 3}')


def test_null_is_an_empty_body() -> None:
    with pytest.raises(BodyEmpty):
        parse_object(b" null ")


def test_members() -> None:
    assert text({"a": "x"}, "a") == "x"
    assert text({"a": None}, "a") is None
    assert text({}, "a") is None
    with pytest.raises(BadParameter, match=r'auth\.a is \["x"\]'):
        text({"a": ["x"]}, "a", where="auth.")
    assert optional_object({"a": {"b": 1}}, "a") == {"b": 1}
    assert optional_object({"a": None}, "a") == {}
    with pytest.raises(BadParameter):
        optional_object({"a": []}, "a")
    assert kept({"a": 1, "b": None, "c": 3, "d": 0}, "a", "b", "d", "e") == {"a": 1, "d": 0}
    with pytest.raises(BadParameter):
        kept({"description": 5}, "name")


def test_name() -> None:
    assert required_name({"name": "x" * 1000}) == "x" * 1000
    for body in ({}, {"name": None}, {"name": ""}, {"name": "\t\n "}):
        with pytest.raises(ParameterMissing):
            required_name(body)
    with pytest.raises(BadParameter, match="1001 characters"):
        required_name({"name": "x" * 1001})


def test_spec_reference() -> None:
    assert spec_ref({"flowSpec": {"id": "x"}}, "flowSpec").version == "1.0"
    with pytest.raises(UnknownSpec):
        spec_ref({"flowSpec": {"id": "x", "version": "1.1"}}, "flowSpec")
    with pytest.raises(BadParameter):
        spec_ref({"flowSpec": {"id": "x", "version": 1.0}}, "flowSpec")
    with pytest.raises(ParameterMissing, match=r"flowSpec\.id"):
        spec_ref({}, "flowSpec")


SCHEMA = {
    "type": "object",
    "properties": {
        "host": {"type": "string", "minLength": 1},
        "port": {"type": ["integer", "string"], "maximum": 65535},
        "mode": {"enum": ["a", "b"]},
        "share": {"exclusiveMinimum": 0},
        "times": {"type": ["integer", "string"], "minimum": 1, "maximum": 9, "pattern": "^[1-9]$"},
    },
    "required": ["host", "port"],
}


@pytest.mark.parametrize(
    ("params", "class_", "sentence"),
    [
        ({"host": "h"}, ParameterMissing, "auth.params.port is missing."),
        ({}, ParameterMissing, "auth.params.host is missing."),
        ({"host": "", "port": 1}, ParameterMissing, "auth.params.host is empty."),
        ({"host": 5, "port": 1}, BadParameter, "auth.params.host is 5, which is not allowed: send string."),
        (
            {"host": "h", "port": []},
            BadParameter,
            "auth.params.port is [], which is not allowed: send integer or string.",
        ),
        (
            {"host": "h", "port": 1, "mode": "c"},
            BadParameter,
            "auth.params.mode is 'c', which is not allowed: send one of 'a', 'b'.",
        ),
        (
            {"host": "h", "port": 70000},
            BadParameter,
            "auth.params.port is 70000, which is not allowed: send at most 65535.",
        ),
        (
            {"host": "h", "port": 1, "share": 0},
            BadParameter,
            "auth.params.share is 0, which is not allowed: send more than 0.",
        ),
        (
            {"host": "h", "port": 1, "times": "ten"},
            BadParameter,
            "auth.params.times is 'ten', which is not allowed: send 1 to 9.",
        ),
    ],
)
def test_params_against_a_schema(params: dict[str, Any], class_: type[InvalidRequest], sentence: str) -> None:
    with pytest.raises(class_) as caught:
        check_schema(params, SCHEMA, "auth.params")
    assert caught.value.detail == sentence


def test_hidden_values_stay_hidden() -> None:
    with pytest.raises(BadParameter) as caught:
        check_schema({"host": ["s3cret"], "port": 1}, SCHEMA, "auth.params", hidden=True)
    assert "s3cret" not in str(caught.value)
    assert caught.value.report == {"parameter": "auth.params.host"}


@pytest.mark.parametrize("id_", ["", "x", "5A0F4C1E-0004-4000-8000-000000000004", " " * 36, "0" * 36, "\0"])
def test_what_has_not_the_form_of_an_id(id_: str) -> None:
    with pytest.raises(NotFound):
        check_id(id_, "flows")


def test_id() -> None:
    id_ = "5a0f4c1e-0004-4000-8000-000000000004"
    assert check_id(id_, "flows") == id_
    with pytest.raises(NotFound):
        check_id(id_ + "\n", "flows")


def test_quotes_are_short() -> None:
    assert shown("a") == "'a'"
    assert shown({"a": [None, True, 1.5, "é"]}) == '{"a": [null, true, 1.5, "é"]}'
    assert shown(["\ud800"]) == r'["\ud800"]'
    assert len(shown("a" * 5000)) == 80
