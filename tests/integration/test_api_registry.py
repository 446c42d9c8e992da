"""The schema registry: documents made, shown in their forms, listed, changed and deleted."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.integration.face import CATALOG, NOBODY, Face, refused, second_org

REGISTRY = "/data/foundation/schemaregistry"
PROFILE = "https://ns.adobe.com/xdm/context/profile"
EVENT = "https://ns.adobe.com/xdm/context/experienceevent"
RECORD = "https://ns.adobe.com/xdm/data/record"
ADHOC = "https://ns.adobe.com/xdm/data/adhoc"
RAW, FULL = "application/vnd.adobe.xed+json; version=1", "application/vnd.adobe.xdm-full+json; version=1.0"
Json = dict[str, Any]


def url(collection: str, id_: str = "", container: str = "tenant") -> str:
    return f"{REGISTRY}/{container}/{collection}/{quote(id_, safe='')}"


def read(face: Face, path: str, accept: str = RAW) -> httpx.Response:
    return face.send("GET", path, Accept=accept)


def make(face: Face, collection: str, body: Json) -> Json:
    answer = face.post(url(collection), body)
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


def field_group(face: Face, title: str = "Order fields", **fields: Json) -> Json:
    tenant = face.get(f"{REGISTRY}/stats").json()["tenantId"]
    inner = fields or {"id": {"type": "string"}, "at": {"type": "string", "format": "date-time"}}
    return make(
        face,
        "fieldgroups",
        {
            "title": title,
            "type": "object",
            "meta:intendedToExtend": [PROFILE],
            "definitions": {"customFields": {"properties": {f"_{tenant}": {"type": "object", "properties": inner}}}},
            "allOf": [{"$ref": "#/definitions/customFields"}],
        },
    )


def schema(face: Face, title: str = "Orders", *refs: str) -> Json:
    return make(
        face, "schemas", {"title": title, "type": "object", "allOf": [{"$ref": ref} for ref in refs or (PROFILE,)]}
    )


def test_stats_name_the_tenant_with_and_without_a_slash(face: Face) -> None:
    one, other = (face.get(f"{REGISTRY}/{path}").json() for path in ("stats", "stats/"))
    assert one == other
    assert one["imsOrg"] == face.credentials.org_id
    assert one["tenantId"].isalnum()


def test_a_schema_has_what_clients_read(face: Face) -> None:
    group = field_group(face)
    made = schema(face, "Orders", PROFILE, group["$id"])
    tenant = face.get(f"{REGISTRY}/stats").json()["tenantId"]
    assert made["$id"].startswith(f"https://ns.adobe.com/{tenant}/schemas/")
    assert made["meta:altId"] == f"_{tenant}.schemas.{made['$id'].rpartition('/')[2]}"
    assert made["meta:class"] == PROFILE
    assert made["meta:extends"] == [PROFILE, RECORD, group["$id"]]
    assert (made["version"], made["meta:resourceType"], made["meta:tenantNamespace"]) == (
        "1.0",
        "schemas",
        f"_{tenant}",
    )
    assert (made["meta:containerId"], made["imsOrg"]) == ("tenant", face.credentials.org_id)
    assert made["meta:sandboxType"] in ("production", "development")
    assert made["meta:registryMetadata"]["repo:createdDate"] > 10**12
    assert [part["$ref"] for part in made["allOf"]] == [PROFILE, group["$id"]]
    assert "/mixins/" in group["$id"]


@pytest.mark.parametrize(
    "accept", ["", FULL, "application/json", "*/*", "application/vnd.adobe.xed-full-desc+json;version=1"]
)
def test_the_full_form_has_every_field_in_its_place(face: Face, accept: str) -> None:
    group = field_group(
        face, "Typed fields", n={"type": "integer"}, big={"type": "integer", "maximum": 2**53 - 1, "minimum": 0}
    )
    made = schema(face, "Full", PROFILE, group["$id"])
    for id_ in (made["$id"], made["meta:altId"]):
        full = read(face, url("schemas", id_), accept).json()
        assert not {"allOf", "definitions", "$ref"} & full.keys()
        assert full["$id"] == made["$id"]
        own = full["properties"][made["meta:tenantNamespace"]]["properties"]
        assert (own["n"]["meta:xdmType"], own["big"]["meta:xdmType"]) == ("int", "long")
        assert full["properties"]["_id"]["type"] == "string"


def test_forms_are_chosen_by_accept(face: Face) -> None:
    group = field_group(face, "Forms")
    made = schema(face, "Forms", EVENT, group["$id"])
    path, own = url("schemas", made["$id"]), made["meta:tenantNamespace"]
    assert read(face, path).json() == made
    short = read(face, path, "application/vnd.adobe.xed-id+json").json()
    assert set(short) == {"title", "$id", "meta:altId", "version"}
    flat = read(face, path, "application/vnd.adobe.xdm-full-flat+json; version=1").json()
    assert set(flat["properties"]) == {"_id", "timestamp", f"{own}/id", f"{own}/at"}
    assert flat["required"] == ["_id", "timestamp"]
    bare = read(face, path, "application/vnd.adobe.xed-full-notext+json; version=1").json()
    assert "title" not in bare
    assert "title" not in bare["properties"]["_id"]
    refused(read(face, path, "application/vnd.adobe.xed+json; version=2"), 406, "XDM-1011-406")


def test_what_every_registry_has_is_read_in_both_containers_and_changed_in_none(face: Face) -> None:
    for container in ("tenant", "global"):
        for class_ in (PROFILE, EVENT, RECORD):
            found = read(face, url("classes", class_, container)).json()
            assert found["$id"] == class_
            assert any(ref.startswith("https://ns.adobe.com/xdm/data/") for ref in found["meta:extends"])
    assert read(face, url("classes", "_xdm.context.profile")).json()["$id"] == PROFILE
    for name in ("record", "time-series", "adhoc"):
        found = read(face, url("behaviors", f"https://ns.adobe.com/xdm/data/{name}", "global"), FULL).json()
        assert found["meta:altId"] == f"_xdm.data.{name}"
    listed = read(face, url("behaviors", container="global")).json()
    assert len(listed["results"]) == 3
    assert listed["_page"]["next"] is None
    for answer in (
        face.post(url("schemas", container="global"), {"title": "x"}),
        face.post(url("behaviors"), {"title": "x"}),
        face.delete(url("classes", PROFILE)),
        face.send("PUT", url("classes", PROFILE), b'{"title": "mine"}', Content_Type="application/json"),
    ):
        refused(answer, 403, "XDM-1022-403")


def test_lists_are_filtered_ordered_and_paged(face: Face) -> None:
    face = face.of("dev")
    adhoc = make(
        face,
        "classes",
        {
            "title": "Adhoc",
            "type": "object",
            "allOf": [{"$ref": ADHOC}, {"properties": {"_adhoc": {"type": "object"}}}],
        },
    )
    space = adhoc["meta:datasetNamespace"]
    assert adhoc["allOf"][1]["properties"].keys() == {space}
    titles = {"b": PROFILE, "a": EVENT, "c": adhoc["$id"]}
    for title, class_ in titles.items():
        schema(face, title, class_)

    def listed(**parameters: str) -> Json:
        answer = face.get(url("schemas"), **parameters)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def names(**parameters: str) -> list[str]:
        return [found["title"] for found in listed(**parameters)["results"]]

    assert names() == ["b", "a", "c"]
    assert names(orderby="title") == ["a", "b", "c"]
    assert names(orderby="-title") == ["c", "b", "a"]
    assert sorted(names(property=f"meta:extends!={ADHOC}")) == ["a", "b"]
    assert names(property=f"meta:extends=={ADHOC}") == ["c"]
    assert names(property=f"meta:class=={PROFILE}") == ["b"]
    assert names(property="title==a") == ["a"]
    assert names(property=f"meta:class=={PROFILE},title==a") == []
    assert names(property="meta:nothing") == []
    pages, start = [], "0"
    while start:
        page = listed(limit="2", start=start, orderby="title")
        pages.append([found["title"] for found in page["results"]])
        start = page["_page"]["next"]
    assert pages == [["a", "b"], ["c"]]
    for wrong in ({"limit": "0"}, {"start": "x"}, {"property": "title~a"}, {"nope": "1"}):
        assert face.get(url("schemas"), **wrong).status_code == 400
    short = face.send("GET", url("schemas"), Accept="application/vnd.adobe.xed-id+json").json()["results"]
    assert {tuple(sorted(found)) for found in short} == {("$id", "meta:altId", "title", "version")}
    assert listed()["_links"] == {}


def test_mixins_is_the_older_name_of_fieldgroups(face: Face) -> None:
    group = field_group(face, "Old name")
    assert read(face, url("mixins", group["$id"])).json() == read(face, url("fieldgroups", group["meta:altId"])).json()
    assert group["$id"] in [found["$id"] for found in face.get(url("mixins")).json()["results"]]


def test_a_document_is_replaced_and_patched_under_new_versions(face: Face) -> None:
    group = field_group(face, "Added")
    made = schema(face, "First")
    path = url("schemas", made["$id"])
    changed = face.send(
        "PUT",
        path,
        b'{"title": "Second", "allOf": [{"$ref": "%s"}]}' % PROFILE.encode(),
        Content_Type="application/json",
    )
    assert changed.status_code == 200, changed.text
    assert (changed.json()["title"], changed.json()["version"], changed.json()["$id"]) == ("Second", "1.1", made["$id"])
    operations = [
        {"op": "add", "path": "/allOf", "value": {"$ref": group["$id"], "type": "object"}},
        {"op": "replace", "path": "/title", "value": "Third"},
        {"op": "add", "path": "/meta:immutableTags", "value": ["union"]},
    ]
    answer = face.patch(f"{path}/", operations, None)
    assert answer.status_code == 200, answer.text
    third = answer.json()
    assert (third["title"], third["version"], third["meta:immutableTags"]) == ("Third", "1.2", ["union"])
    assert [part["$ref"] for part in third["allOf"]] == [PROFILE, group["$id"]]
    assert read(face, path).json() == third
    refused(face.patch(path, [{"op": "remove", "path": "/allOf"}], None), 400, "XDM-1020-400")
    refused(face.patch(path, [{"op": "move", "path": "/title"}], None), 400, "FLOW-1434-400")
    assert read(face, path).json() == third
    fixed = face.patch(path, [{"op": "replace", "path": "/$id", "value": "https://else.example"}], None)
    assert fixed.status_code == 400


def test_a_document_goes_when_nothing_uses_it(face: Face) -> None:
    type_ = make(face, "datatypes", {"title": "Money", "type": "object", "properties": {"amount": {"type": "number"}}})
    group = field_group(face, "Priced", price={"$ref": type_["$id"]})
    made = schema(face, "Used", PROFILE, group["$id"])
    tenant = made["meta:tenantNamespace"]
    full = read(face, url("schemas", made["$id"]), FULL).json()
    price = full["properties"][tenant]["properties"]["price"]
    assert (price["properties"]["amount"]["meta:xdmType"], price["meta:referencedFrom"]) == ("number", type_["$id"])
    dataset = face.post(f"{CATALOG}/dataSets", {"name": "Used", "schemaRef": {"id": made["$id"], "contentType": FULL}})
    assert dataset.status_code == 201
    used = [("datatypes", type_), ("fieldgroups", group), ("schemas", made)]
    for collection, document in used:
        refused(face.delete(url(collection, document["$id"])), 400, "XDM-1021-400")
    free = schema(face, "Free")
    for id_ in (free["meta:altId"], free["$id"]):
        answer = face.delete(url("schemas", id_))
        if id_ == free["meta:altId"]:
            assert (answer.status_code, answer.content) == (204, b"")
        else:
            refused(answer, 404, "XDM-1010-404")


def test_descriptors_are_kept_and_shown_with_their_schema(face: Face) -> None:
    made = schema(face, "Described")
    body = {"@type": "xdm:descriptorIdentity", "xdm:sourceSchema": made["$id"], "xdm:sourceProperty": "/_id"}
    one = make(face, "descriptors", body)
    assert body.items() <= one.items()
    listed = face.send(
        "GET",
        f"{url('descriptors')}?property=@type==xdm:descriptorIdentity,xdm:sourceSchema=={quote(made['$id'])}",
        Accept="application/vnd.adobe.xdm-v2+json",
    ).json()
    assert listed["results"] == [one]
    assert listed["_page"]["next"] is None
    for accept, shown in (("xdm-v2-id", one["@id"]), ("xdm-v2-link", f"/tenant/descriptors/{one['@id']}")):
        found = face.send("GET", url("descriptors"), Accept=f"application/vnd.adobe.{accept}+json").json()["results"]
        assert shown in found
    full = read(face, url("schemas", made["$id"]), "application/vnd.adobe.xed-full-desc+json; version=1").json()
    assert full["meta:descriptors"] == [one]
    changed = face.send(
        "PUT",
        url("descriptors", one["@id"]),
        b'{"@type": "t", "xdm:sourceSchema": "s"}',
        Content_Type="application/json",
    )
    assert (changed.json()["@type"], changed.json()["@id"]) == ("t", one["@id"])
    assert face.delete(url("descriptors", one["@id"])).status_code == 204
    refused(read(face, url("descriptors", one["@id"])), 404, "XDM-1010-404")
    refused(face.post(url("descriptors"), {"@type": "x"}), 400, "XDM-1020-400")


@pytest.mark.parametrize(
    ("collection", "body"),
    [
        ("schemas", {}),
        ("schemas", {"title": ""}),
        ("schemas", {"title": "x" * 1001, "allOf": [{"$ref": PROFILE}]}),
        ("schemas", {"title": "x"}),
        ("schemas", {"title": "x", "allOf": {"$ref": PROFILE}}),
        ("schemas", {"title": "x", "allOf": [{"$ref": "https://ns.adobe.com/xdm/context/identitymap"}]}),
        ("schemas", {"title": "x", "allOf": [{"$ref": PROFILE}, {"$ref": "https://evil.example/x"}]}),
        ("schemas", {"title": "x", "allOf": [{"$ref": PROFILE}, {"$ref": 5}]}),
        ("schemas", {"title": "x", "type": "string", "allOf": [{"$ref": PROFILE}]}),
        ("fieldgroups", {"title": "x", "allOf": [{"$ref": "#/definitions/nope"}]}),
        ("fieldgroups", {"title": "x", "properties": {"Full Name": {"type": "string"}}}),
        ("fieldgroups", {"title": "x", "properties": {"a": "string"}}),
        (
            "fieldgroups",
            {"title": "x", "definitions": {"a": {"$ref": "#/definitions/a"}}, "allOf": [{"$ref": "#/definitions/a"}]},
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else str(value)[:60],
)
def test_what_is_no_document_is_refused(face: Face, collection: str, body: Json) -> None:
    before = face.get(url(collection)).json()["_page"]["count"]
    answer = face.post(url(collection), body)
    assert answer.status_code == 400
    assert answer.json()["detail"] == answer.json()["errorMessage"]
    assert face.get(url(collection)).json()["_page"]["count"] == before


def test_documents_that_multiply_are_refused(face: Face) -> None:
    id_ = make(face, "datatypes", {"title": "0", "properties": {"a": {"type": "string"}}})["$id"]
    for level in range(8):
        body = {"title": str(level), "properties": {f"f{n}": {"$ref": id_} for n in range(10)}}
        answer = face.post(url("datatypes"), body)
        if answer.status_code != 201:
            break
        id_ = answer.json()["$id"]
    assert "10000 fields" in refused(answer, 400, "XDM-1020-400")


@pytest.mark.parametrize(
    "path",
    [
        "/tenant/nothing",
        "/nobody/schemas",
        "/tenant/schemas/nothing",
        "/tenant/schemas/https%3A%2F%2Fns.adobe.com%2Fother%2Fschemas%2Fx",
        "/tenant/schemas/..%2f..%2fstats",
        "/tenant/schemas/%2525",
        "/global/schemas/_x.schemas.y",
        "/tenant/unions",
    ],
)
def test_addresses_of_nothing_are_404(face: Face, path: str) -> None:
    assert face.get(REGISTRY + path).status_code == 404


def test_another_organisation_and_sandbox_see_nothing(face: Face) -> None:
    made = schema(face, "Mine")
    for other in (second_org(face), face.of("dev")):
        path = url("schemas", made["$id"])
        missing = other.get(path)
        refused(missing, 404, "XDM-1010-404")
        refused(other.delete(path), 404, "XDM-1010-404")
        assert made["$id"] not in [found["$id"] for found in other.get(url("schemas")).json()["results"]]
        answer = other.post(url("schemas"), {"title": "x", "allOf": [{"$ref": PROFILE}, {"$ref": made["$id"]}]})
        refused(answer, 400, "XDM-1020-400")
    assert face.get(url("schemas", made["$id"])).status_code == 200


def test_a_schema_is_made_from_what_a_source_connection_reads(face: Face) -> None:
    source = face.source(face.connection())
    made = face.post(f"{REGISTRY}/tenant/schemas?fromSource={source}", {"title": "From orders"})
    assert made.status_code == 201, made.text
    schema = made.json()
    assert (schema["title"], schema["meta:class"], schema["leftOut"]) == ("From orders", RECORD, ["payload"])
    full = read(face, url("schemas", schema["$id"]), FULL).json()
    fields = full["properties"][schema["meta:tenantNamespace"]]["properties"]
    assert {name: field["meta:xdmType"] for name, field in fields.items()} == {
        "id": "long",
        "updated_at": "date-time",
        "created": "date",
        "total": "number",
    }
    mapping = schema["mappingSet"]
    flow = face.flow(
        sourceConnectionIds=[source],
        transformations=[{"name": "Mapping", "params": {"mappingId": mapping["id"], "mappingVersion": 0}}],
    )
    assert face.run(flow, deltaColumn={"name": "updated_at"}).status_code == 201
    assert face.post(f"{REGISTRY}/tenant/schemas?fromSource={NOBODY}", {}).status_code == 404
    assert face.post(f"{REGISTRY}/tenant/fieldgroups?fromSource={source}", {"title": "x"}).status_code == 400
