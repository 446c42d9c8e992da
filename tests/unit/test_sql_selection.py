"""What a source connection's params mean for a database."""

import pytest

from headgate.errors import BadParameter, ParameterMissing, SourceObjectMissing, UnsupportedType
from headgate.model.lake import LakeType
from headgate.sources.interface import Selection
from headgate.sources.sql.selection import Choice, Name, chosen, table_names


def names(text: str) -> tuple[Name, ...]:
    return table_names(Selection({"tableName": text}))


def pick(columns: object, available: tuple[str, ...] = ("a", "b", "Cc")) -> tuple[Choice, ...]:
    return chosen(Selection({"tableName": "t", "columns": columns}), available, "t")


def test_a_name_is_tried_as_written_then_in_lower_case_then_whole() -> None:
    assert names("t") == (Name("t"),)
    assert names("S.T") == (Name("T", "S"), Name("t", "s"), Name("S.T"))
    assert names('"S"."a.""b"') == (Name('a."b'.replace('"b', '"b'), "S"), Name('"S"."a.""b"'))
    assert names('"S".T')[:2] == (Name("T", "S"), Name("t", "S"))
    assert names("a.b.c") == (Name("a.b.c"),)
    assert names('a"; drop table x;--') == (Name('a"; drop table x;--'),)


@pytest.mark.parametrize("params", [{}, {"tableName": ""}, {"tableName": " "}, {"tableName": 5}])
def test_a_table_must_be_named(params: dict[str, object]) -> None:
    with pytest.raises(ParameterMissing, match="tableName"):
        table_names(Selection(params))


@pytest.mark.parametrize("value", [True, "true", 1])
def test_change_data_is_not_offered_and_not_ignored(value: object) -> None:
    with pytest.raises(BadParameter, match="cdcEnabled"):
        table_names(Selection({"tableName": "t", "cdcEnabled": value}))
    assert table_names(Selection({"tableName": "t", "cdcEnabled": False})) == (Name("t"),)


def test_columns_are_chosen_and_ordered() -> None:
    assert pick(None) == (Choice("a"), Choice("b"), Choice("Cc"))
    assert pick([]) == pick(None)
    assert pick([{"name": "b", "type": "string"}, {"name": "a", "type": "Decimal( 10 , 2 )"}]) == (
        Choice("b"),
        Choice("a", LakeType("decimal", 10, 2)),
    )


@pytest.mark.parametrize(
    "columns",
    [
        "a",
        ["a"],
        [{}],
        [{"name": 1}],
        [{"name": "a"}, {"name": "a"}],
        [{"name": "a", "type": "decimal(39,2)"}],
        [{"name": "a", "type": "decimal(5,6)"}],
        [{"name": "a", "type": "numeric(0)"}],
    ],
)
def test_malformed_columns_are_refused(columns: object) -> None:
    with pytest.raises(BadParameter, match=r"params\.columns"):
        pick(columns)


def test_columns_are_matched_exactly() -> None:
    with pytest.raises(SourceObjectMissing, match="'cc'"):
        pick([{"name": "cc"}])


@pytest.mark.parametrize("name", ["_headgate_run_id", "_HEADGATE_x"])
def test_the_lakes_own_names_are_reserved(name: str) -> None:
    with pytest.raises(UnsupportedType, match="reserved"):
        pick(None, ("a", name))


def test_names_that_differ_in_case_only_are_refused() -> None:
    with pytest.raises(UnsupportedType, match="differ in case"):
        pick(None, ("a", "A"))
