"""Listings agree with a naive reading of what they show: random filters, orders and pages over random runs."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.config import Settings
from headgate.model.orgs import Client, Org
from headgate.model.runs import RunState
from headgate.model.scope import Caller, Principal
from headgate.service.service import Service
from headgate.store import open_store, tables

Json = dict[str, Any]
List = Callable[[list[tuple[str, str]]], Json]

TEXTS = ["a", "B", "b", "5", "05", "5.5", "true", "True", "é", "x,y", "in progress", "' OR 1=1 --", "%", "null"]
NUMBERS = [0, 5, 5.5, -1, 1710230000000, 10**17]
SCALARS = st.sampled_from([*TEXTS, *NUMBERS, True, False, None])
TREES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["c", "d"]), below, max_size=2),
    max_leaves=6,
)
MADE = 300_000_000
TIMES = st.none() | st.integers(MADE, MADE + 6) | st.integers(1, 6)  # or days before the run was made
FLOWS = [str(uuid.UUID(int=number)) for number in (1, 2)]
RUNS = st.fixed_dictionaries(
    {
        "flow_id": st.sampled_from(FLOWS),
        "state": st.sampled_from([state.value for state in RunState]),
        "created_at": st.integers(MADE, MADE + 4),
        "created_by": st.sampled_from(["a", "B"]),
        "parent_id": st.none() | st.sampled_from(FLOWS),
        "times": st.tuples(TIMES, TIMES),
        "count": st.none() | st.integers(-1, 5),
        "params": st.fixed_dictionaries({"a": SCALARS, "b": TREES, "list": TREES}),
        "activities": st.lists(st.fixed_dictionaries({"id": st.sampled_from(TEXTS), "ids": TREES}), max_size=2),
    }
)
COLUMNS = ["createdAt", "metrics.durationSummary.startedAtUTC", "metrics.durationSummary.completedAtUTC"]
COUNT = "metrics.recordSummary.outputRecordCount"
CLOSED = ["id", "flowId", "createdBy", "parentFlowRunId", "state", "metrics.statusSummary.status"]
OPEN = ["params.a", "params.b", "params.b.c", "params.list[]", "params.list[].c", "params.list[].d[].c"]
OPEN += ["activities[].id", "activities[].ids[]", "activities[].ids[].c", "metrics.recordSummary.targets[].id"]
ORDERS = st.sampled_from([*COLUMNS, COUNT, *CLOSED])
EQUAL, IN_ORDER = st.sampled_from(["==", "!=", "="]), st.sampled_from(["<", "<=", ">", ">="])
WORDS = st.sampled_from([*TEXTS, *FLOWS, *(str(number) for number in NUMBERS), "IN_PROGRESS", "Success", "failed"])
DIGITS = st.sampled_from([*(str(MADE + number) for number in range(5)), "1", "3", "5", "5.5", "-1", "1710230000000"])
_STATE = "metrics.statusSummary.status"
Condition = tuple[str, str, list[str]]
CONDITIONS: st.SearchStrategy[Condition] = st.one_of(
    st.tuples(st.sampled_from([*CLOSED, *OPEN]), EQUAL, st.lists(WORDS, min_size=1, max_size=3)),
    st.tuples(st.sampled_from([*COLUMNS, COUNT]), EQUAL, st.lists(DIGITS, min_size=1, max_size=2)),
    st.tuples(st.sampled_from([*COLUMNS, COUNT, *OPEN]), IN_ORDER, DIGITS.map(lambda text: [text])),
)
QUERIES = st.tuples(
    st.lists(CONDITIONS, max_size=3),
    st.none() | st.tuples(st.sampled_from(["", "+", "-", " "]), ORDERS),
    st.integers(1, 5),
)


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory, metadata: str) -> Iterator[tuple[sa.Engine, Caller, List]]:
    """The database, a caller, and the list of runs as that caller sees it."""
    settings = Settings(data=tmp_path_factory.mktemp("oracle") / "data", metadata_url=metadata)
    store = open_store(settings)
    store.tenants.ensure_org(Org("org", "Org"), Client("client", "org", "client"), "-")
    scope = store.tenants.scope("org", None)
    assert scope is not None
    caller = Caller(Principal("a", "client", "user", frozenset({"org"})), scope, frozenset())
    service = Service(settings, store, wake=lambda: None)
    engine = sa.create_engine(settings.metadata)
    yield engine, caller, lambda parameters: service.runs.listing(caller, parameters)
    engine.dispose()
    store.close()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(RUNS, max_size=10), st.lists(QUERIES, min_size=1, max_size=6))
def test_listings_agree_with_the_oracle(
    listing: tuple[sa.Engine, Caller, List], runs: list[Json], queries: list[Any]
) -> None:
    engine, caller, list_runs = listing
    with engine.begin() as connection:
        connection.execute(sa.delete(tables.runs))
        if runs:
            connection.execute(sa.insert(tables.runs), [_row(caller, run) for run in runs])
    shown = list_runs([("limit", "100"), ("orderby", "createdAt")])["items"]
    place = {item["id"]: number for number, item in enumerate(_stored(engine, shown))}
    for conditions, order, limit in queries:
        parameters = [("property", _written(*condition)) for condition in conditions]
        matching = [item for item in shown if all(_holds(item, *condition) for condition in conditions)]
        prefix, path = order or ("-", "createdAt")
        down = prefix == "-"
        expected = sorted(matching, key=lambda item: (_rank(item, path), place[item["id"]]), reverse=down)
        expected.sort(key=lambda item: not _values(item, path))  # what has no value comes last
        if order is not None:
            parameters.append(("orderby", prefix + path))
        assert list_runs([*parameters, ("count", "true")]) == {"count": len(expected)}, parameters
        assert _all_pages(list_runs, [*parameters, ("limit", str(limit))], limit) == expected, parameters


def _row(caller: Caller, run: Json) -> Json:
    started, completed = run["times"]
    duration = {"startedAtUTC": started, "completedAtUTC": completed}
    records: Json = {"targets": [{"id": run["created_by"]}]}
    if run["count"] is not None:
        records["outputRecordCount"] = run["count"]
    return {
        "id": str(uuid.uuid4()),
        "org_id": caller.scope.org_id,
        "sandbox_id": caller.scope.sandbox_id,
        "sandbox_name": caller.scope.sandbox_name,
        "flow_spec": {"id": "spec", "version": "1.0"},
        "window_start": 0,
        "window_end": 1,
        "start_at": 0,
        "frozen": {},
        "extra": {},
        "metrics": {
            "durationSummary": {name: value for name, value in duration.items() if value is not None},
            "recordSummary": records,
        },
        "started_at": started,
        "completed_at": completed,
        "attempt": 0,
        "fence": 0,
        "cancel_requested": False,
        "updated_at": run["created_at"],
        "updated_by": "a",
        "created_client": "client",
        "updated_client": "client",
        "etag": '"x"',
        **{name: value for name, value in run.items() if name not in ("times", "count")},
        # A flow has one run in progress at a time.
        **({"flow_id": str(uuid.uuid4())} if run["state"] == RunState.IN_PROGRESS else {}),
    }


def _stored(engine: sa.Engine, shown: list[Json]) -> list[Json]:
    """`shown` in the order they were stored in."""
    with engine.connect() as connection:
        ids = list(connection.execute(sa.select(tables.runs.c.id).order_by(tables.runs.c.seq)).scalars())
    return sorted(shown, key=lambda item: ids.index(item["id"]))


def _written(path: str, op: str, values: list[str]) -> str:
    return path + op + ",".join(f'"{value}"' if "," in value else value for value in values)


def _all_pages(list_runs: List, parameters: list[tuple[str, str]], limit: int) -> list[Json]:
    page = list_runs(parameters)
    items: list[Json] = page["items"]
    while page["_links"]:
        assert len(page["items"]) == limit
        token = page["_links"]["next"]["href"].removeprefix("/runs?continuationToken=")
        page = list_runs([("continuationToken", token)])
        assert page["items"]
        items = items + page["items"]
    return items


# -- the naive reading of the grammar --------------------------------------------------------------


def _values(item: Any, path: str) -> list[Any]:
    """What stands at `path` in `item`; `null` is nothing."""
    found = [item]
    for name in (_STATE if path == "state" else path).split("."):
        found = [value.get(name.removesuffix("[]")) for value in found if isinstance(value, dict)]
        if name.endswith("[]"):
            found = [element for value in found if isinstance(value, list) for element in value]
    return [value for value in found if value is not None]


def _holds(item: Json, path: str, op: str, wanted: list[str]) -> bool:
    values = _values(item, path)
    if op in ("==", "=", "!="):
        return any(_equal(value, text, path) for value in values for text in wanted) == (op != "!=")
    limit = float(wanted[0])
    numbers = [float(value) for value in values if _number(value) or (isinstance(value, str) and value.isdecimal())]
    compare: dict[str, Callable[[float], bool]] = {
        "<": lambda value: value < limit,
        "<=": lambda value: value <= limit,
        ">": lambda value: value > limit,
        ">=": lambda value: value >= limit,
    }
    return any(compare[op](value) for value in numbers)


def _equal(value: Any, text: str, path: str) -> bool:
    if isinstance(value, bool):
        return json.dumps(value) == text.lower()
    if _number(value):
        try:
            return float(text) == float(value)
        except ValueError:
            return False
    if not isinstance(value, str):
        return False
    if path in ("state", _STATE):
        return value.lower() == text.lower().replace("_", "")
    return value == text or (text.lower() in ("true", "false") and value == text.lower())


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rank(item: Json, path: str) -> Any:
    values = _values(item, path)
    return (True, values[0]) if values else (False, 0)
