"""Any records through any set of mappings, held against an evaluation in plain Python."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from headgate.mapping import Rule, preview
from headgate.mapping.rules import EACH, Path, SourceType

_line = some.fixed_dictionaries({"sku": some.text("ab'\"\\", max_size=3), "n": some.none() | some.integers(-9, 9)})
_record = some.fixed_dictionaries(
    {
        "id": some.integers(-(2**63), 2**63 - 1),
        "who": some.none()
        | some.fixed_dictionaries({"first": some.none() | some.text("xé🙂", max_size=3), "last": some.just("L")}),
        "lines": some.none() | some.lists(some.none() | _line, max_size=3),
        "tags": some.lists(some.text("t", max_size=2), max_size=3),
    }
)
_WHOLE = {
    "id": 1,
    "who": {"first": "f", "last": "l"},
    "lines": [{"sku": "s", "n": 1}],
    "tags": ["t"],
}  # gives the types
_RULES = (
    ("id", "out.id"),
    ("id", "again"),
    ("who.first", "out.name"),
    ("who", "person"),
    ("lines[0].sku", "first"),
    ("tags[1]", "out.second"),
    ("tags", "t"),
    ("tags[*]", "u[*].tag"),
    ("lines[*].sku", "items[*].sku"),
    ("lines[*].n", "items[*].q.n"),
    ("lines[*]", "same[*]"),
    ("who.last", "pair[0]"),
    ("who.first", "pair[2]"),
)


def _read(value: Any, path: Path) -> Any:
    for step in path:
        if value is None:
            return None
        if isinstance(step, str):
            value = value.get(step)
        elif step is not None:
            value = next(iter(value[step : step + 1]), None)
    return value


def _put(made: Any, record: Any, source: Path, destination: Path) -> Any:
    """`made` with the value at `source` of `record` at `destination`."""
    if not destination:
        return _read(record, source)
    step, rest = destination[0], destination[1:]
    if isinstance(step, str):
        made = {} if made is None else made
        return {**made, step: _put(made.get(step), record, source, rest)}
    if isinstance(step, int):
        made = [*(made or []), *([None] * (step + 1 - len(made or [])))]
        return [_put(held, record, source, rest) if at == step else held for at, held in enumerate(made)]
    at = source.index(EACH)
    elements = _read(record, source[:at])
    if elements is None:
        return None
    held = made or [None] * len(elements)
    return [
        None if element is None else _put(one, element, source[at + 1 :], rest)
        for one, element in zip(held, elements, strict=True)
    ]


@settings(max_examples=60, deadline=None)
@given(some.lists(_record, min_size=1, max_size=4), some.lists(some.sampled_from(_RULES), min_size=1, unique=True))
def test_what_comes_out_is_what_the_paths_say(records: list[dict[str, Any]], chosen: list[tuple[str, str]]) -> None:
    rules = [Rule(SourceType.ATTRIBUTE, source, destination) for source, destination in chosen]
    expected = []
    for record in (_WHOLE, *records):
        made: Any = {}
        for rule in rules:
            made = _put(made, record, rule.source_path, rule.destination_path)
        expected.append(made)
    found = preview(rules, [_WHOLE, *records])
    assert found.failed == ()
    assert found.records == expected
