"""Mappings compiled to SQL, executed by DuckDB on typed rows."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from headgate import dataplane
from headgate.mapping import Rule, Shape, Unmappable, compiled, held, preview, rejection, rule_of, shape_of, unmapped
from headgate.mapping import check as check_all
from headgate.mapping.rules import EACH, SourceType, written_path
from headgate.model.lake import Column, LakeType

STRING, LONG, DOUBLE = LakeType("string"), LakeType("long"), LakeType("double")


def attribute(source: str, destination: str) -> Rule:
    return Rule(SourceType.ATTRIBUTE, source, destination)


def static(text: str, destination: str) -> Rule:
    return Rule(SourceType.STATIC, text, destination)


def check(rule: Rule, shape: Shape | None = None) -> str | None:
    [reason] = check_all([rule], shape or Shape())
    return reason


def struct(**fields: LakeType) -> LakeType:
    return LakeType("struct", fields=tuple(fields.items()))


def list_of(element: LakeType) -> LakeType:
    return LakeType("list", element=element)


def schema(**properties: Any) -> Shape:
    """An object's shape; a property is a type's name or a whole JSON Schema."""
    return shape_of(_object(**properties))


def _object(**properties: Any) -> dict[str, Any]:
    required = [name.removesuffix("__required") for name in properties if name.endswith("__required")]
    inner = {
        name.removesuffix("__required"): {"type": "x", "meta:xdmType": about} if isinstance(about, str) else about
        for name, about in properties.items()
    }
    return {"type": "object", "properties": inner, "required": required}


def mapped(rules: Sequence[Rule], source: str, columns: Sequence[Column], shape: Shape | None = None) -> Any:
    """The one row that `rules` make of the row `SELECT source`; its types are those the projection says."""
    made = compiled(rules, columns, shape or Shape())
    with dataplane.opened() as connection:
        relation = connection.sql(f"SELECT {made.sql} FROM (SELECT {source})")
        assert relation.columns == [column.name for column in made.columns]
        assert relation.types == [duckdb.sqltype(column.type.sql) for column in made.columns]
        return relation.to_arrow_table().to_pylist()[0]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b.c", ("a", "b", "c")),
        (r"Full\.Name", ("Full.Name",)),
        (r"a\\b.c d", ("a\\b", "c d")),
        (r"a\[0\]", ("a[0]",)),
        ("list[0]", ("list", 0)),
        ("list[*].x[2]", ("list", EACH, "x", 2)),
        ("l[0][*]", ("l", 0, EACH)),
        ("naïve 表", ("naïve 表",)),
        ("a'b\"c", ("a'b\"c",)),
    ],
)
def test_paths_are_read_and_written(text: str, path: tuple[Any, ...]) -> None:
    assert attribute(text, "x").source_path == path
    assert attribute(written_path(path), "x").source_path == path


@pytest.mark.parametrize(
    "text", ["", ".a", "a.", "a..b", "[0]", "a[x]", "a[", "a[-1]", "a[1000]", "a]b", "a.[0]", "a[0]b", "a\\"]
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(Unmappable):
        _ = attribute(text, "x").source_path
    assert check(attribute(text, "x"))
    assert check(attribute("x", text))


@pytest.mark.parametrize("path", [".".join("a" * 33), "_headgate_run_id", "_HEADGATE_x.y"])
def test_destinations_are_bounded_and_leave_reserved_names_alone(path: str) -> None:
    with pytest.raises(Unmappable):
        _ = attribute("x", path).destination_path


def test_both_spellings_of_a_mapping_are_read() -> None:
    older = rule_of({"sourceAttribute": "a", "destinationXdmPath": "b.c", "identity": False})
    assert older == rule_of({"source": "a", "destination": "b.c"}) == attribute("a", "b.c")
    assert rule_of({"sourceType": "static", "source": "", "destination": "b"}) == static("", "b")
    for bad in ({}, {"source": "a"}, {"source": "a", "destination": 1}, {"source": "", "destination": "b"}):
        with pytest.raises(Unmappable):
            rule_of(bad)
    for bad in ({"source": "a" * 4097, "destination": "b"}, {"source": "a", "destination": "b", "sourceType": "SQL"}):
        with pytest.raises(Unmappable):
            rule_of(bad)


ORDER = [
    Column("id", LONG),
    Column("Full.Name", STRING),
    Column("who", struct(first=STRING, last=STRING)),
    Column("lines", list_of(struct(sku=STRING, n=LONG))),
    Column("tags", list_of(STRING)),
]
ROW = (
    "7::BIGINT AS id, 'Ann B' AS \"Full.Name\", {'first': 'Ann', 'last': 'B'} AS who, "
    "[{'sku': 'x', 'n': 1::BIGINT}, NULL, {'sku': 'y', 'n': 2::BIGINT}] AS lines, ['s', 't'] AS tags"
)


@pytest.mark.parametrize(
    ("rules", "row"),
    [
        ([attribute("id", "id")], {"id": 7}),
        ([attribute("id", "a.b.c"), attribute(r"Full\.Name", "a.name")], {"a": {"b": {"c": 7}, "name": "Ann B"}}),
        ([attribute("id", "one"), attribute("id", "two")], {"one": 7, "two": 7}),
        ([attribute("who.first", "first")], {"first": "Ann"}),
        ([attribute("tags[1]", "t"), attribute("tags[9]", "none")], {"t": "t", "none": None}),
        ([attribute("lines[0].sku", "sku")], {"sku": "x"}),
        ([attribute("tags", "x.copy")], {"x": {"copy": ["s", "t"]}}),
        ([attribute("tags[*]", "copy[*]")], {"copy": ["s", "t"]}),
        ([attribute("tags[*]", "o[*].tag")], {"o": [{"tag": "s"}, {"tag": "t"}]}),
        ([attribute("lines[*].sku", "skus[*]")], {"skus": ["x", None, "y"]}),
        (
            [attribute("lines[*].sku", "o[*].a"), attribute("lines[*].n", "o[*].b.c"), static("z", "o[*].k")],
            {"o": [{"a": "x", "b": {"c": 1}, "k": "z"}, None, {"a": "y", "b": {"c": 2}, "k": "z"}]},
        ),
        ([attribute("tags[1]", "x[0]"), static("q", "x[2]")], {"x": ["t", None, "q"]}),
        ([attribute("id", "x[0].a"), attribute("id", "x[1].a")], {"x": [{"a": 7}, {"a": 7}]}),
        ([attribute("who", "p")], {"p": {"first": "Ann", "last": "B"}}),
        ([attribute("who", "p"), static("C", "p.last")], {"p": {"first": "Ann", "last": "C"}}),
        ([attribute("who", "p"), attribute("id", "p.more")], {"p": {"first": "Ann", "last": "B", "more": 7}}),
        (
            [attribute("lines", "o"), static("k", "o[*].sku")],
            {"o": [{"sku": "k", "n": 1}, None, {"sku": "k", "n": 2}]},
        ),
        ([static('it\'s "5"', "a b")], {"a b": 'it\'s "5"'}),
    ],
)
def test_values_go_where_the_rules_say(rules: list[Rule], row: dict[str, Any]) -> None:
    assert mapped(rules, ROW, ORDER) == row


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([attribute("nope", "a")], "the source has no 'nope'"),
        ([attribute("Full.Name", "a")], r"A dot inside a name is written Full\\.Name"),
        ([attribute("who.middle", "a")], "there it has: 'first', 'last'"),
        ([attribute("id.x", "a")], "long, which has no members"),
        ([attribute("id[0]", "a")], "long, no list"),
        ([attribute("id[*]", "a[*]")], "no list"),
        ([attribute("tags[*]", "a")], r"\[\*\] in the source goes with"),
        ([attribute("id", "a[*]")], r"\[\*\] in the destination goes with"),
        ([static("x", "a[*].b")], "from one list of the source"),
        ([attribute("tags[*]", "a[*].x"), attribute("lines[*].n", "a[*].y")], "from one list of the source"),
        ([attribute("id", "a"), attribute("who.first", "a")], "'a' has another mapping already, from 'id'"),
        ([attribute("id", "a"), attribute("id", "a.b")], "filled by a value and by mappings of its parts"),
        ([attribute("id", "a.b"), attribute("id", "a[0]")], "at once"),
        ([attribute("id", "a"), attribute("id", "A")], "letter case only"),
        ([attribute("id", "a[0]"), attribute("who.first", "a[1]")], "different types: long and string"),
        ([Rule(SourceType.EXPRESSION, "id + 1", "a")], "not executed by this version"),
    ],
)
def test_what_cannot_be_mapped_is_named(rules: list[Rule], words: str) -> None:
    with pytest.raises(Unmappable, match=words):
        compiled(rules, ORDER)


CASTS: list[tuple[str, LakeType, str, Any]] = [
    ("1.10::DECIMAL(9,2)", LakeType("decimal", 9, 2), "string", "1.10"),
    ("12::BIGINT", LONG, "string", "12"),
    ("true", LakeType("boolean"), "string", "true"),
    ("DATE '2024-02-29'", LakeType("date"), "string", "2024-02-29"),
    ("12345678901234567.89::DECIMAL(38,2)", LakeType("decimal", 38, 2), "number", Decimal("12345678901234567.89")),
    ("'1.5e3'", STRING, "number", 1500.0),
    ("9007199254740992::BIGINT", LONG, "number", 9007199254740992.0),
    ("'-5'", STRING, "long", -5),
    ("7.0::DOUBLE", DOUBLE, "int", 7),
    ("7.00::DECIMAL(5,2)", LakeType("decimal", 5, 2), "long", 7),
    ("127::BIGINT", LONG, "byte", 127),
    ("'-32768'", STRING, "short", -32768),
    ("'on'", STRING, "boolean", True),
    ("'N'", STRING, "boolean", False),
    ("0::BIGINT", LONG, "boolean", False),
    (
        "TIMESTAMP '2024-01-02 03:04:05.678901'",
        LakeType("timestamp"),
        "date-time",
        datetime(2024, 1, 2, 3, 4, 5, 678901, UTC),
    ),
    ("DATE '2024-01-02'", LakeType("date"), "date-time", datetime(2024, 1, 2, tzinfo=UTC)),
    ("TIMESTAMP '2024-01-02 00:00:00'", LakeType("timestamp"), "date", date(2024, 1, 2)),
    *(("NULL::VARCHAR", STRING, xdm, None) for xdm in ("number", "long", "byte", "boolean", "date", "date-time")),
    *(
        (f"'{text}'", STRING, "date-time", moment)
        for text, moment in {
            "2024-01-02 10:00": datetime(2024, 1, 2, 10, tzinfo=UTC),
            "2024-01-02T10:00:00.123456Z": datetime(2024, 1, 2, 10, 0, 0, 123456, UTC),
            "2024-01-02 10:00:00+0230": datetime(2024, 1, 2, 7, 30, tzinfo=UTC),
            "1/02/2024 03:04:05 PM": datetime(2024, 1, 2, 15, 4, 5, tzinfo=UTC),
        }.items()
    ),
    *(
        (f"'{text}'", STRING, "date", date(2024, 12, 25))
        for text in (
            "2024-12-25",
            "2024/12/25",
            "2024.12.25",
            "2024-Dec-25",
            "20241225",
            "12-25-2024",
            "12252024",
            "12/25/2024",
            "25.12.2024",
            "25.Dec.2024",
            "25-Dec-2024",
        )
    ),
]


@pytest.mark.parametrize(("sql", "type_", "xdm", "value"), CASTS)
def test_values_take_the_type_the_schema_declares(sql: str, type_: LakeType, xdm: str, value: Any) -> None:
    row = mapped([attribute("x", "a.y")], f"{sql} AS x", [Column("x", type_)], schema(a=_object(y=xdm)))
    assert row == {"a": {"y": value}}


MISFITS: list[tuple[str, LakeType, str, str]] = [
    ("'12.5'", STRING, "long", "12.5"),
    ("12.5::DOUBLE", DOUBLE, "int", "12.5"),
    ("2147483648::BIGINT", LONG, "int", "2147483648"),
    ("128::BIGINT", LONG, "byte", "128"),
    ("'-32769'", STRING, "short", "-32769"),
    ("9007199254740993::BIGINT", LONG, "number", "9007199254740993"),
    ("'1e999'", STRING, "number", "1e999"),
    ("'0x10'", STRING, "number", "0x10"),
    ("'1'", STRING, "boolean", "1"),
    ("2::BIGINT", LONG, "boolean", "2"),
    ("'2024-02-30'", STRING, "date", "2024-02-30"),
    ("'1/2/24'", STRING, "date", "1/2/24"),
    ("'2024-01-02 03:04'", STRING, "date", "2024-01-02 03:04"),
    ("TIMESTAMP '2024-01-02 00:00:01'", LakeType("timestamp"), "date", "2024-01-02 00:00:01"),
    ("'2024-01-02T10:00:00.1234567Z'", STRING, "date-time", "2024-01-02T10:00:00.1234567Z"),
    ("'soon'", STRING, "date-time", "soon"),
]


@pytest.mark.parametrize(("sql", "type_", "xdm", "shown"), MISFITS)
def test_a_value_that_does_not_fit_fails_by_name(sql: str, type_: LakeType, xdm: str, shown: str) -> None:
    with pytest.raises(duckdb.Error) as failure:
        mapped([attribute("x", "a.y")], f"{sql} AS x", [Column("x", type_)], schema(a=_object(y=xdm)))
    reason = rejection(str(failure.value))
    assert reason is not None
    expected, actual = xdm.replace("-", "").upper(), type_.kind.upper()
    for part in (
        "destination path a.y. ",
        f"'{shown}'",
        f"expected data type was: {expected}, ",
        f"actual data type was: {actual}. ",
    ):
        assert part in reason
    assert reason.endswith("sourceField: x destinationField: a.y")


@pytest.mark.parametrize(
    ("type_", "xdm"),
    [
        (LakeType("binary"), "string"),
        (LakeType("boolean"), "long"),
        (LakeType("timestamp"), "number"),
        (LONG, "date-time"),
        (STRING, "object"),
        (STRING, "array"),
        (STRING, "map"),
        (struct(a=STRING), "string"),
        (struct(a=STRING), "array"),
        (list_of(STRING), "object"),
        (list_of(STRING), "string"),
    ],
)
def test_types_without_anything_in_common_are_refused_before_a_row_is_read(type_: LakeType, xdm: str) -> None:
    with pytest.raises(Unmappable, match="cannot become"):
        compiled([attribute("x", "y")], [Column("x", type_)], schema(y=xdm))


def test_a_decimal_that_the_schema_names_as_its_source_type_is_exact() -> None:
    shape = schema(y={"type": "number", "meta:sourceType": "decimal(10,2)"})
    for sql, type_ in (
        ("'12.50'", STRING),
        ("12.5::DOUBLE", DOUBLE),
        ("12.500::DECIMAL(9,3)", LakeType("decimal", 9, 3)),
    ):
        assert mapped([attribute("x", "y")], f"{sql} AS x", [Column("x", type_)], shape) == {"y": Decimal("12.50")}
    for sql, type_ in (
        ("'12.505'", STRING),
        ("12.505::DOUBLE", DOUBLE),
        ("12.505::DECIMAL(9,3)", LakeType("decimal", 9, 3)),
    ):
        with pytest.raises(duckdb.Error, match=r"12\.505"):
            mapped([attribute("x", "y")], f"{sql} AS x", [Column("x", type_)], shape)


def test_copied_objects_keep_what_the_schema_has_too_each_in_its_type() -> None:
    shape = schema(o=_object(a="string", b=_object(c="long")), l={"type": "array", "items": _object(n="string")})
    columns = [
        Column("x", struct(a=LONG, b=struct(c=STRING, gone=STRING), other=LONG)),
        Column("y", list_of(struct(n=LONG, m=LONG))),
    ]
    rules = [attribute("x", "o"), attribute("y", "l")]
    source = (
        "{'a': 1::BIGINT, 'b': {'c': '5', 'gone': 'g'}, 'other': 2::BIGINT} AS x, "
        "[{'n': 3::BIGINT, 'm': 4::BIGINT}, NULL] AS y"
    )
    assert mapped(rules, source, columns, shape) == {"o": {"a": "1", "b": {"c": 5}}, "l": [{"n": "3"}, None]}
    nothing = f"NULL::{columns[0].type.sql} AS x, NULL::{columns[1].type.sql} AS y"
    assert mapped(rules, nothing, columns, shape) == {"o": None, "l": None}


def test_required_fields_are_mapped_and_have_values() -> None:
    shape = schema(a__required="string", o=_object(b__required="long"))
    columns = [Column("x", STRING), Column("y", struct(b=LONG))]
    with pytest.raises(Unmappable, match="requires 'a', which no mapping gives"):
        compiled([attribute("y", "o")], columns, shape)
    with pytest.raises(Unmappable, match=r"requires 'o\.b', which no mapping gives"):
        compiled(
            [attribute("x", "a"), static("1", "o.b2")],
            columns,
            schema(a="string", o=_object(b__required="long", b2="string")),
        )
    rules = [attribute("x", "a"), attribute("y", "o")]
    whole = "'v' AS x, NULL::STRUCT(b BIGINT) AS y"
    assert mapped(rules, whole, columns, shape) == {"a": "v", "o": None}
    for sql, place in (
        ("NULL::VARCHAR AS x, {'b': 1::BIGINT} AS y", "a"),
        ("'v' AS x, {'b': NULL::BIGINT} AS y", "o.b"),
    ):
        with pytest.raises(duckdb.Error, match=f"no value for the destination path {place}"):
            mapped(rules, sql, columns, shape)


def test_an_enum_takes_only_its_values() -> None:
    shape = schema(s={"type": "string", "enum": ["new", "paid"]})
    column = [Column("x", STRING)]
    assert mapped([attribute("x", "s")], "'paid' AS x", column, shape) == {"s": "paid"}
    with pytest.raises(duckdb.Error, match="'lost', the expected data type was: ENUM"):
        mapped([attribute("x", "s")], "'lost' AS x", column, shape)


def test_the_schema_bounds_the_destinations() -> None:
    shape = schema(a=_object(b="string"), l={"type": "array", "items": {"type": "string"}})
    column = [Column("x", STRING)]
    for destination, words in {
        "c": "the schema has no field 'c'; there it has: a, l",
        "a.c": r"no field 'a\.c'",
        "a.b.c": "string, which has no members",
        "a[0]": "object, no list",
        "l.x": "array, which has no members",
    }.items():
        with pytest.raises(Unmappable, match=words):
            compiled([attribute("x", destination)], column, shape)
        assert check(attribute("x", destination), shape)


@pytest.mark.parametrize("name", ['a"b', "a'b", "a;drop table x", "{0}", "%s", ":x", "🙂", "select", "a\\b", "x" * 300])
def test_hostile_names_are_names(name: str) -> None:
    path = written_path((name,))
    columns = [Column(name, struct(**{name: STRING}))]
    row = mapped(
        [attribute(f"{path}.{path}", f"{path}.{path}")], f"{{{_text(name)}: 'v'}} AS {dataplane.quote(name)}", columns
    )
    assert row == {name: {name: "v"}}


def _text(name: str) -> str:
    return dataplane.literal(name)


def test_hostile_values_end_up_in_the_message_alone() -> None:
    with pytest.raises(duckdb.Error) as failure:
        mapped([attribute("x", "y")], "'a'' || error(''no'') --' AS x", [Column("x", STRING)], schema(y="long"))
    assert "a' || error('no') --" in str(rejection(str(failure.value)))


def test_static_values_are_checked_without_a_source() -> None:
    shape = schema(n="long", s="string")
    assert check(static("12", "n"), shape) is None
    assert "'twelve'" in str(check(static("twelve", "n"), shape))
    assert check(attribute("anything", "s"), shape) is None
    assert "not executed" in str(check(Rule(SourceType.EXPRESSION, "now()", "s"), shape))


def test_required_fields_that_no_mapping_gives_are_named_without_a_source() -> None:
    shape = schema(a__required="string", o=_object(b__required="long", c="long"))
    assert unmapped([attribute("x", "o.c")], shape) == "a"
    assert unmapped([attribute("x", "a"), attribute("x", "o.c")], shape) == "o.b"
    assert unmapped([attribute("x", "a"), attribute("x", "o")], shape) is None
    with pytest.raises(Unmappable, match="no mappings"):
        compiled([], [Column("x", STRING)])


def test_a_preview_gives_records_in_order_and_names_what_failed() -> None:
    records: list[dict[str, Any]] = [
        {"id": n, "at": "2024-01-01" if n else "never", "o": {"x": [n]} if n else None} for n in range(5)
    ]
    rules = [attribute("id", "a.id"), attribute("at", "a.at"), attribute("o.x[0]", "x"), attribute("gone", "g")]
    found = preview(rules, records, schema(a=_object(id="string", at="date"), x="long", g="string"))
    assert found.records == [{"a": {"id": str(n)}, "x": n or None} for n in range(5)]
    assert [
        (rule.source, word in reason) for (rule, reason), word in zip(found.failed, ("'never'", "'gone'"), strict=True)
    ] == [
        ("at", True),
        ("gone", True),
    ]
    json.dumps(found.records)


def test_sources_that_find_types_are_told_which_to_take() -> None:
    shape = schema(
        s="string", d="date", m={"type": "number", "meta:sourceType": "decimal(8,2)"}, open={"type": "object"}
    )
    rules = [attribute("a", "s"), attribute("b", "d"), attribute("c", "m"), attribute("d.x", "s2")]
    assert held(rules, (), shape) == {"a": STRING, "c": LakeType("decimal", 8, 2)}
    table = [Column("s", struct(t=LONG)), Column("l", list_of(DOUBLE))]
    assert held([attribute("a", "s.t"), attribute("b", "l[0]"), attribute("c", "new")], table, Shape()) == {
        "a": LONG,
        "b": DOUBLE,
    }
    assert held([attribute("a", "s.t"), attribute("a", "l[0]")], table, Shape()) == {}


def test_lists_of_lists_are_gone_through_level_by_level() -> None:
    columns = [Column("x", list_of(list_of(struct(a=LONG))))]
    rules = [attribute("x[*][*].a", "y[*][*].b"), attribute("x[*][0].a", "z[*]")]
    assert mapped(rules, "[[{'a': 1::BIGINT}, {'a': 2::BIGINT}], NULL, []] AS x", columns) == {
        "y": [[{"b": 1}, {"b": 2}], None, []],
        "z": [1, None, None],
    }
