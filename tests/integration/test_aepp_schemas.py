"""The schema registry and data preparation as the unmodified client `aepp` uses them."""

from collections.abc import Iterator
from typing import Any

import aepp
import pytest
from aepp import catalog, classmanager, dataprep, fieldgroupmanager, schemamanager
from aepp import schema as registry

from headgate.engine.attempt import Attempt
from headgate.targets import Lake
from tests.aepp_settings import own_settings
from tests.integration.face import Face

pytestmark = pytest.mark.filterwarnings("ignore")  # the client's own, about its libraries

PROFILE = "https://ns.adobe.com/xdm/context/profile"
EVENT = "https://ns.adobe.com/xdm/context/experienceevent"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def schemas(face: Face) -> Iterator[registry.Schema]:
    """The client's part for schemas, let in by its own token request."""
    known = face.credentials
    with own_settings():
        aepp.configure(
            org_id=known.org_id,
            client_id=known.client_id,
            secret=known.client_secret,
            scopes="any",
            sandbox=known.sandbox,
        )
        address = str(face.http.base_url).rstrip("/")
        aepp.config.endpoints["global"] = address
        aepp.config.config_object["oauthTokenEndpointV2"] = f"{address}/ims/token/v3"
        yield registry.Schema()


@pytest.fixture(scope="module")
def made(schemas: registry.Schema) -> Json:
    """A schema of the tenant's own fields, made by the client's managers."""
    tenant = schemas.getTenantId()
    group = fieldgroupmanager.FieldGroupManager(title="Orders of a shop", schemaAPI=schemas)
    for parent in (f"_{tenant}", f"_{tenant}.order"):
        assert group.addField(parent, "object")
    for name, kind in {"id": "string", "at": "date-time", "n": "long", "paid": "boolean"}.items():
        assert group.addField(f"_{tenant}.order.{name}", kind, title=name)
    assert group.addField(f"_{tenant}.order.tags", "string", array=True)
    created = group.createFieldGroup()
    assert created["$id"].startswith(f"https://ns.adobe.com/{tenant}/mixins/"), created
    schema: Json = schemas.createProfileSchema(name="Orders", fieldGroupIds=[created["$id"]])
    assert schema["meta:class"] == PROFILE, schema
    return schema


def test_schemas_are_listed_and_read(schemas: registry.Schema, made: Json) -> None:
    assert {found["$id"] for found in schemas.getSchemas()} == {made["$id"]}
    assert schemas.getSchemas(classFilter=PROFILE)[0]["meta:altId"] == made["meta:altId"]
    for id_ in (made["$id"], made["meta:altId"]):
        assert schemas.getSchema(id_, full=False)["allOf"] == made["allOf"]
        full = schemas.getSchema(id_)
        order = full["properties"][made["meta:tenantNamespace"]]["properties"]["order"]["properties"]
        assert {name: field["meta:xdmType"] for name, field in order.items()} == {
            "id": "string",
            "at": "date-time",
            "n": "long",
            "paid": "boolean",
            "tags": "array",
        }
    paths = schemas.getSchemaPaths(made["$id"])
    assert f"{made['meta:tenantNamespace']}.order.id" in paths
    assert len(schemas.getFieldGroups()) >= 1
    assert {found["$id"] for found in schemas.getClassesGlobal()} >= {PROFILE, EVENT}
    assert len(schemas.getBehaviors()) == 3
    assert schemas.getFieldGroupsGlobal() == schemas.getDataTypesGlobal() == []
    assert schemas.getStats()["counts"]["schemas"] >= 1


def test_schemas_are_changed_and_deleted(schemas: registry.Schema, made: Json) -> None:
    spare = schemas.createExperienceEventSchema(name="Spare", fieldGroupIds=[])
    extended = schemas.addFieldGroupToSchema(spare["$id"], [made["allOf"][1]["$ref"]])
    assert len(extended["allOf"]) == 2
    renamed = schemas.patchSchema(spare["$id"], [{"op": "replace", "path": "/title", "value": "Renamed"}])
    assert (renamed["title"], renamed["version"]) == ("Renamed", "1.2")
    assert schemas.enableSchemaForRealTime(spare["$id"])["meta:immutableTags"] == ["union"]
    assert schemas.deleteSchema(spare["meta:altId"]) == 204
    assert schemas.deleteSchema(spare["$id"])["status"] == 404


def test_the_managers_read_what_was_made(schemas: registry.Schema, made: Json) -> None:
    manager = schemamanager.SchemaManager(made["$id"], schemaAPI=schemas)
    paths = set(manager.to_dataframe()["path"])
    assert f"{made['meta:tenantNamespace']}.order.at" in paths
    again = fieldgroupmanager.FieldGroupManager(made["allOf"][1]["$ref"], schemaAPI=schemas)
    assert again.title == "Orders of a shop"
    fresh = schemamanager.SchemaManager(title="Fresh", schemaAPI=schemas, schemaClass=EVENT)
    assert fresh.createSchema()["meta:class"] == EVENT
    own = classmanager.ClassManager(title="Mine", schemaAPI=schemas)
    assert own.createClass()["meta:extends"] == ["https://ns.adobe.com/xdm/data/record"]


def test_descriptors(schemas: registry.Schema, made: Json) -> None:
    body = schemas.createDescriptorOperation(
        made["$id"], "xdm:descriptorIdentity", f"{made['meta:tenantNamespace']}.order.id", identityNSCode="CRM"
    )
    one = schemas.createDescriptor(body)
    assert one["@id"] in {found["@id"] for found in schemas.getDescriptors()}
    assert schemas.getDescriptors(type_desc="xdm:descriptorIdentity", prop=f"xdm:sourceSchema=={made['$id']}") == [one]
    assert schemas.getDescriptor(one["@id"]) == one
    assert schemas.putDescriptor(one["@id"], {**body, "xdm:isPrimary": True})["xdm:isPrimary"] is True
    assert schemas.deleteDescriptor(one["@id"]) == 204
    assert schemas.getDescriptors() == []


def test_mapping_sets(schemas: registry.Schema, made: Json) -> None:
    prep = dataprep.DataPrep()
    space = made["meta:tenantNamespace"]
    rules = [
        {"sourceType": "ATTRIBUTE", "source": "id", "destination": f"{space}.order.id"},
        {"sourceType": "STATIC", "source": "yes", "destination": f"{space}.order.paid"},
    ]
    id_ = prep.createMappingSet(schemaId=made["$id"], mappingList=rules, validate=True)["id"]
    assert prep.getMappingSets()[0]["id"] == id_
    assert prep.getMappingSet(id_, mappingRulesOnly=True) == rules
    assert prep.copyMappingRules(prep.getMappingSet(id_), "other")[0]["destination"] == "_other.order.id"
    preview = prep.previewDataOutput({"id": 5}, prep.getMappingSet(id_))
    assert preview == {"data": {space: {"order": {"id": "5", "paid": True}}}, "errors": []}
    changed = prep.updateMappingSet(id_, rules[:1])
    assert (changed["version"], len(changed["mappings"])) == (1, 1)
    assert changed["outputSchema"]["schemaRef"]["id"] == made["$id"]
    added = prep.createMappingSetMapping(id_, rules[1])
    assert prep.getMappingSetMapping(id_, added["id"]) == added
    assert prep.updateMappingSetMapping(id_, added["id"], {**rules[1], "source": "no"})["source"] == "no"
    assert len(prep.getMappingSetMappings(id_)) == 2
    assert prep.deleteMappingSetMapping(id_, added["id"]) == 204
    assert prep.getMappingSetFunctions() == prep.getMappingSetOperators() == []
    assert prep.validateExpression("concat(a, b)") is False
    assert prep.deleteMappingSet(id_) == 204
    assert prep.getMappingSet(id_)["status"] == 404


def test_the_parts_of_a_mapping_error_are_read(face: Face, schemas: registry.Schema) -> None:
    tenant = schemas.getTenantId()
    fields = {f"_{tenant}": {"type": "object", "properties": {"day": {"type": "string", "format": "date"}}}}
    group = schemas.createFieldGroup({"title": "Days", "type": "object", "definitions": {}, "properties": fields})
    schema = schemas.createProfileSchema(name="Days", fieldGroupIds=[group["$id"]])
    rules = [{"sourceType": "ATTRIBUTE", "source": "updated_at", "destination": f"_{tenant}.day"}]
    mapping = dataprep.DataPrep().createMappingSet(schemaId=schema["$id"], mappingList=rules)["id"]
    flow = face.flow(transformations=[{"name": "Mapping", "params": {"mappingId": mapping, "mappingVersion": "0"}}])
    assert face.run(flow, deltaColumn={"name": "updated_at"}).status_code == 201
    claim = face.store.queue.claim("test", lease=15)
    assert claim is not None
    lake = Lake(face.settings.warehouse)
    Attempt(claim, face.store, lake, face.settings).execute()
    lake.close()
    found = catalog.Catalog().getMapperErrors()
    [error] = found.to_dict("records")
    assert (error["errorCode"], error["flowId"]) == ("DPMAPPER-3700-400", flow)
    assert (error["expectedType"], error["actualType"]) == ("DATE", "TIMESTAMP")
    assert (error["sourceField"], error["destinationField"]) == ("updated_at", f"_{tenant}.day")
    assert error["destinationPath"] == f"_{tenant}.day"
