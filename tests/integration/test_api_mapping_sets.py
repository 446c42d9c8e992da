"""Mapping sets: made, versioned, tried out, and frozen into flows."""

import json
from typing import Any

import httpx
import pytest

from headgate.model.resources import Kind
from tests.integration.face import CATALOG, NOBODY, Face, refused, second_org

PREP = "/data/foundation/conversion"
SETS = f"{PREP}/mappingSets"
REGISTRY = "/data/foundation/schemaregistry"
PROFILE = "https://ns.adobe.com/xdm/context/profile"
FULL = "application/vnd.adobe.xed-full+json;version=1"
Json = dict[str, Any]


def attribute(source: str, destination: str, type_: str = "ATTRIBUTE") -> Json:
    return {"sourceType": type_, "source": source, "destination": destination}


def schema(face: Face, **fields: Any) -> Json:
    """A schema whose own fields have these types, `id`, `at` and `n` if none are given."""
    types = fields or {
        "id": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "n": {"type": "integer"},
    }
    tenant = "_" + face.get(f"{REGISTRY}/stats").json()["tenantId"]
    group = face.post(
        f"{REGISTRY}/tenant/fieldgroups",
        {"title": "Fields", "properties": {tenant: {"type": "object", "properties": types}}},
    ).json()
    made = face.post(f"{REGISTRY}/tenant/schemas", {"title": "S", "allOf": [{"$ref": PROFILE}, {"$ref": group["$id"]}]})
    assert made.status_code == 201, made.text
    found: Json = made.json()
    return found


def body(face: Face, *mappings: Json, to: Json | None = None) -> Json:
    """A set of `mappings` into the schema `to`; a destination `_.x` is below its tenant's own space."""
    made: Json = {"mappings": [*mappings]}
    if to is not None:
        space = to["meta:tenantNamespace"]
        made["mappings"] = [{**m, "destination": m["destination"].replace("_.", f"{space}.", 1)} for m in mappings]
        made["outputSchema"] = {"schemaRef": {"id": to["$id"], "contentType": FULL}}
    return made


def make(face: Face, *mappings: Json, to: Json | None = None) -> str:
    answer = face.post(SETS, body(face, *mappings, to=to))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def put(face: Face, path: str, content: Json) -> httpx.Response:
    return face.send("PUT", path, json.dumps(content).encode(), Content_Type="application/json")


def test_a_set_is_made_with_200_and_read_whole(face: Face) -> None:
    to = schema(face)
    sent = body(face, {**attribute("id", "_.id"), "name": "the id"}, attribute("updated_at", "_.at"), to=to)
    answer = face.post(f"{SETS}/?validate=False", sent)
    assert answer.status_code == 200
    made = answer.json()
    assert set(made) == {"id", "version", "createdDate", "modifiedDate", "createdBy", "modifiedBy"}
    assert (made["version"], len(made["id"])) == (0, 32)
    whole = face.get(f"{SETS}/{made['id']}").json()
    assert whole["outputSchema"] == sent["outputSchema"]
    assert [{name: m[name] for name in sent["mappings"][0] if name in m} for m in whole["mappings"]] == sent["mappings"]
    assert made.items() <= whole.items()
    expanded = face.get(f"{SETS}/{made['id']}", expandSchema="True").json()
    assert to["meta:tenantNamespace"] in expanded["outputSchema"]["schema"]["properties"]


def test_the_older_body_is_read_and_shown_as_the_newer(face: Face) -> None:
    to = schema(face)
    space = to["meta:tenantNamespace"]
    older = {
        "version": 0,
        "xdmSchema": to["$id"],
        "xdmVersion": "1.0",
        "id": None,
        "mappings": [
            {"destinationXdmPath": f"{space}.id", "sourceAttribute": "Id", "identity": False, "version": 0},
        ],
    }
    answer = face.post(SETS, older)
    assert answer.status_code == 200, answer.text
    whole = face.get(f"{SETS}/{answer.json()['id']}").json()
    assert whole["outputSchema"]["schemaRef"]["id"] == to["$id"]
    [mapping] = whole["mappings"]
    assert attribute("Id", f"{space}.id").items() <= mapping.items()
    assert "sourceAttribute" not in mapping


def test_every_change_is_a_version_and_older_ones_stay(face: Face) -> None:
    id_ = make(face, attribute("a", "x"))
    second = put(face, f"{SETS}/{id_}", {"mappings": [attribute("b", "y")]})
    assert second.status_code == 200, second.text
    assert (second.json()["version"], second.json()["mappings"][0]["source"]) == (1, "b")
    added = face.post(f"{SETS}/{id_}/mappings", attribute("c", "z"))
    assert added.status_code == 200, added.text
    one = f"{SETS}/{id_}/mappings/{added.json()['id']}"
    assert face.get(one).json() == added.json()
    changed = put(face, one, attribute("d", "z"))
    assert (changed.json()["source"], changed.json()["id"]) == ("d", added.json()["id"])
    assert [m["source"] for m in face.get(f"{SETS}/{id_}/mappings").json()] == ["b", "d"]
    assert face.delete(one).status_code == 204
    refused(face.get(one), 404, "FLOW-1439-404")
    sources = [
        [m["source"] for m in face.get(f"{SETS}/{id_}", version=str(version)).json()["mappings"]]
        for version in range(5)
    ]
    assert sources == [["a"], ["b"], ["b", "c"], ["b", "d"], ["b"]]
    assert face.get(f"{SETS}/{id_}").json()["version"] == 4
    refused(face.get(f"{SETS}/{id_}", version="5"), 404, "FLOW-1439-404")
    refused(face.get(f"{SETS}/{id_}", version="x"), 400, "FLOW-1452-400")


def test_sets_are_listed_newest_first(face: Face) -> None:
    face = face.of("dev")
    to = schema(face)
    ids = [make(face, attribute("a", "x")) for _ in range(3)]
    named = face.post(SETS, {**body(face, attribute("a", "_.id"), to=to), "name": "mine"}).json()["id"]

    def listed(**parameters: str) -> list[str]:
        found = face.get(SETS, **parameters).json()
        assert found["_page"]["count"] == len(found["data"])
        return [item["id"] for item in found["data"]]

    assert listed() == [named, *reversed(ids)]
    assert listed(limit="2", start="1") == [ids[2], ids[1]]
    assert listed(name="mine") == listed(property=f"xdmSchema=={to['$id']}") == [named]
    assert listed(orderBy="asc:createdDate") == [*ids, named]
    for wrong in ({"limit": "0"}, {"orderBy": "name"}, {"property": "a==b"}, {"nope": "1"}):
        assert face.get(SETS, **wrong).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"mappings": {}},
        {"mappings": ["a"]},
        {"mappings": [{}]},
        {"mappings": [attribute("a", "")]},
        {"mappings": [attribute("a..b", "x")], "validate": True},
        {"mappings": [attribute("a", "x"), attribute("b", "x")]},
        {"mappings": [attribute("a", "x[0"), attribute("b", "x")]},
        {"mappings": [attribute("a" * 4097, "x")]},
        {"mappings": [attribute("a", "x", "SQL")]},
        {"mappings": [attribute("a", "_headgate_run_id")]},
        {"mappings": [], "outputSchema": {"schemaRef": {"id": "https://ns.adobe.com/x/schemas/y"}}},
        {"mappings": [], "outputSchema": {"schemaRef": {}}},
        {"mappings": [], "outputSchema": []},
        {"mappings": [], "name": 5},
        {"mappings": [attribute("a", f"x{n}") for n in range(1001)]},
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_is_no_set_is_refused(face: Face, wrong: Json) -> None:
    before = face.get(SETS, limit="1000").json()["_page"]
    answer = face.post(f"{SETS}?validate={wrong.get('validate', False)}", wrong)
    assert answer.status_code == 400, answer.text
    assert face.get(SETS, limit="1000").json()["_page"] == before


def test_validation_names_what_cannot_be_carried_out(face: Face) -> None:
    to = schema(face)
    sent = body(
        face,
        attribute("a", "_.id"),
        attribute("b", "_.nope"),
        attribute("twelve", "_.n", "STATIC"),
        attribute("12", "_.n", "STATIC"),
        attribute("a + 1", "_.id", "EXPRESSION"),
        attribute("a[", "_.id"),
        to=to,
    )
    response = face.post(f"{SETS}/validate", sent).json()["validationResponse"]
    assert [entry["status"] for entry in response] == ["SUCCESS", "FAILED", "FAILED", "SUCCESS", "FAILED", "FAILED"]
    assert response[0]["errors"] is None
    [error] = response[4]["errors"]
    assert set(error) == {"source", "destination", "sourceType", "columnName", "exception"}
    assert (error["source"], error["sourceType"]) == ("a + 1", "EXPRESSION")
    assert "not executed by this version" in error["exception"]
    assert "'twelve'" in response[2]["errors"][0]["exception"]
    expression = {"mappings": [attribute("a + 1", "x", "EXPRESSION")]}
    assert face.post(SETS, expression).status_code == 200
    assert "not executed" in refused(face.post(f"{SETS}?validate=True", expression), 400, "FLOW-1419-400")


def test_a_preview_answers_in_the_form_it_was_asked(face: Face) -> None:
    to = schema(face)
    space = to["meta:tenantNamespace"]
    about = body(face, attribute("id", "_.id"), attribute("when", "_.at"), attribute("x", "_.n", "STATIC"), to=to)
    one = face.post(f"{SETS}/preview", {"data": {"id": 7, "when": "2024-01-01"}, "mappingSet": about})
    assert one.status_code == 200, one.text
    assert one.json()["data"] == {space: {"id": "7", "at": "2024-01-01 00:00:00+00"}}
    [error] = one.json()["errors"]
    assert (error["source"], error["destination"]) == ("x", f"{space}.n")
    several = face.post(f"{SETS}/preview", {"data": [{"id": 1}, {"id": 2}], "mappingSet": about}).json()
    assert several["data"] == [{space: {"id": "1"}}, {space: {"id": "2"}}]
    assert [error["source"] for error in several["errors"]] == ["when", "x"]
    refusable: tuple[Any, ...] = (None, [], [1], "a", [{}] * 101)
    refusable += ({"a": 1, "A": 2}, {"": 1}, {"n": 2**63}, {"_headgate_place": 1})
    for wrong in refusable:
        assert face.post(f"{SETS}/preview", {"data": wrong, "mappingSet": about}).status_code == 400
    assert "data is missing" in face.post(f"{SETS}/preview", {"mappingSet": about}).text


def test_the_language_is_said_to_be_what_it_is(face: Face) -> None:
    assert face.get(f"{PREP}/languages/el/functions").json() == []
    assert face.get(f"{PREP}/languages/el/operators").json() == []
    assert face.post(f"{PREP}/languages/el/validate", {"expression": "upper(a)"}).json() is False
    assert face.post(f"{PREP}/languages/el/validate", {}).status_code == 400


def test_another_organisation_and_sandbox_see_nothing(face: Face) -> None:
    id_ = make(face, attribute("a", "x"))
    for other in (second_org(face), face.of("dev")):
        for answer in (
            other.get(f"{SETS}/{id_}"),
            other.delete(f"{SETS}/{id_}"),
            put(other, f"{SETS}/{id_}", {"mappings": []}),
            other.get(f"{SETS}/{id_}/mappings"),
        ):
            refused(answer, 404, "FLOW-1439-404")
        assert id_ not in [item["id"] for item in other.get(SETS, limit="1000").json()["data"]]
        refused(other.post("/flows", other.flow_body(transformations=[transformation(id_)])), 400, "FLOW-1419-400")


# -- flows -------------------------------------------------------------------------------------------


def transformation(id_: str | None, version: Any = None) -> Json:
    params = {"mappingId": id_, **({} if version is None else {"mappingVersion": version})}
    return {"name": "Mapping", "params": params}


def frozen(face: Face, flow_id: str) -> Json:
    scope = face.store.tenants.scope(face.credentials.org_id, face.credentials.sandbox)
    assert scope is not None
    found: Json = face.store.scoped(scope).get(Kind.FLOW, flow_id).frozen["mapping"]
    return found


@pytest.mark.parametrize(("version", "source"), [(None, "total"), (0, "id"), ("0", "id"), (1, "total"), ("1", "total")])
def test_a_flow_keeps_the_version_it_was_made_with(face: Face, version: Any, source: str) -> None:
    id_ = make(face, attribute("id", "x"))
    put(face, f"{SETS}/{id_}", {"mappings": [attribute("total", "x")]})
    flow = face.flow(transformations=[transformation(id_, version)])
    put(face, f"{SETS}/{id_}", {"mappings": [attribute("created", "x")]})
    assert frozen(face, flow)["mappings"] == [attribute(source, "x")]
    [item] = face.get(f"/flows/{flow}").json()["items"]
    assert item["transformations"] == [transformation(id_, version)]
    renamed = face.patch(f"/flows/{flow}", [{"op": "replace", "path": "/name", "value": "other"}], item["etag"])
    assert renamed.status_code == 200, renamed.text
    assert frozen(face, flow)["mappings"] == [attribute(source, "x")]
    assert "used by the flow" in refused(face.delete(f"{SETS}/{id_}"), 400, "FLOW-1447-400")
    face.delete(f"/flows/{flow}")
    assert face.delete(f"{SETS}/{id_}").status_code == 204


@pytest.mark.parametrize(
    ("version", "code"), [(1, "FLOW-1412-400"), ("x", "FLOW-1412-400"), (True, "FLOW-1412-400"), (-1, "FLOW-1412-400")]
)
def test_a_version_that_is_not_there_is_refused(face: Face, version: Any, code: str) -> None:
    id_ = make(face, attribute("id", "x"))
    refused(face.post("/flows", face.flow_body(transformations=[transformation(id_, version)])), 400, code)


@pytest.mark.parametrize("id_", [None, "", "nothing", NOBODY])
def test_a_set_that_is_not_there_is_refused(face: Face, id_: str | None) -> None:
    refused(face.post("/flows", face.flow_body(transformations=[transformation(id_)])), 400, "FLOW-1419-400")


def test_a_set_that_cannot_be_carried_out_is_refused_by_name(face: Face) -> None:
    to = schema(face)
    for mappings, words in (
        ([attribute("a + 1", "x", "EXPRESSION")], "not executed by this version"),
        ([], "no mappings"),
    ):
        id_ = make(face, *mappings)
        message = refused(
            face.post("/flows", face.flow_body(transformations=[transformation(id_)])), 400, "FLOW-1419-400"
        )
        assert words in message
    id_ = make(face, attribute("twelve", "_.n", "STATIC"), to=to)
    message = refused(face.post("/flows", face.flow_body(transformations=[transformation(id_)])), 400, "FLOW-1419-400")
    assert "'twelve'" in message


def test_the_key_to_upsert_by_must_be_mapped(face: Face) -> None:
    id_ = make(face, attribute("id", "order.id"), attribute("total", "total"))

    def answer(*key: str) -> httpx.Response:
        target = face.target(writeMode="upsert", primaryKey=list(key))
        return face.post("/flows", face.flow_body(targetConnectionIds=[target], transformations=[transformation(id_)]))

    assert answer("order.id").status_code == 201
    for name in ("id", "order", "orders.id"):
        message = refused(answer("total", name), 400, "CONNECTOR-1312-400")
        assert f"'{name}'" in message
        assert "order.id, total" in message


def test_the_datasets_schema_and_the_sets_are_one(face: Face) -> None:
    one, other = schema(face), schema(face)

    def into(to: Json | None) -> str:
        about = {"name": "D"} | ({"schemaRef": {"id": to["$id"], "contentType": FULL}} if to else {})
        id_ = face.post(f"{CATALOG}/dataSets", about).json()[0].removeprefix("@/dataSets/")
        return face.target(id_)

    id_ = make(face, attribute("id", "_.id"), to=one)
    target = into(other)
    answer = face.post("/flows", face.flow_body(targetConnectionIds=[target], transformations=[transformation(id_)]))
    refused(answer, 400, "FLOW-1425-400")
    for dataset in (one, None):
        flow = face.flow(targetConnectionIds=[into(dataset)], transformations=[transformation(id_)])
        kept = frozen(face, flow)["schema"]["properties"][one["meta:tenantNamespace"]]["properties"]
        assert set(kept) == {"id"}
        assert kept["id"]["type"] == "string"
    plain = make(face, attribute("id", "nowhere"))
    answer = face.post(
        "/flows", face.flow_body(targetConnectionIds=[into(one)], transformations=[transformation(plain)])
    )
    elsewhere = into({"$id": "https://schemas.example/elsewhere"})
    face.flow(targetConnectionIds=[elsewhere], transformations=[transformation(plain)])
    assert "no field 'nowhere'" in refused(answer, 400, "FLOW-1419-400")


def test_required_fields_are_mapped(face: Face) -> None:
    event = "https://ns.adobe.com/xdm/context/experienceevent"
    to = face.post(f"{REGISTRY}/tenant/schemas", {"title": "E", "allOf": [{"$ref": event}]}).json()
    id_ = make(face, attribute("id", "_id"), to=to)
    message = refused(face.post("/flows", face.flow_body(transformations=[transformation(id_)])), 400, "FLOW-1419-400")
    assert "requires 'timestamp'" in message
    whole = make(face, attribute("id", "_id"), attribute("updated_at", "timestamp"), to=to)
    flow = face.flow(transformations=[transformation(whole)])
    assert frozen(face, flow)["schema"]["required"] == ["_id", "timestamp"]


def test_a_set_that_does_not_fit_the_source_is_refused_at_the_first_run(face: Face) -> None:
    flow = face.flow(transformations=[transformation(make(face, attribute("gone", "x")))])
    answer = face.run(flow, deltaColumn={"name": "updated_at"})
    assert "the source has no 'gone'; there it has: 'id', 'updated_at'" in refused(answer, 400, "FLOW-1419-400")
    fits = face.flow(transformations=[transformation(make(face, attribute("id", "x")))])
    assert face.run(fits, deltaColumn={"name": "updated_at"}).status_code == 201


@pytest.mark.parametrize("id_", ["%00", "x" * 2000, "..%2f", "%F0%9F%99%82", "0" * 32])
def test_ids_of_any_form_are_404(face: Face, id_: str) -> None:
    for path in (f"{SETS}/{id_}", f"{REGISTRY}/tenant/schemas/{id_}", f"{REGISTRY}/tenant/descriptors/{id_}"):
        assert face.get(path).status_code == 404
        assert face.delete(path).status_code == 404
