"""The unmodified client `aepp` signs in at the token endpoint, manages sandboxes and asks what it may do."""

import uuid
from collections.abc import Iterator

import aepp
import pytest
from aepp import accesscontrol, flowservice, sandboxes

from headgate.service.administration import Administration
from tests.aepp_settings import own_settings
from tests.integration.face import Face

pytestmark = pytest.mark.filterwarnings("ignore")  # the client's own, about its libraries


@pytest.fixture(autouse=True)
def its_own_state() -> Iterator[None]:
    with own_settings():
        yield


def configure(face: Face, **ways: str) -> None:
    """What its users write, and the two addresses of this service in place of the public ones."""
    known = face.credentials
    aepp.configure(
        org_id=known.org_id, client_id=known.client_id, secret=known.client_secret, sandbox="dev", retry=0, **ways
    )
    address = str(face.http.base_url).rstrip("/")
    aepp.config.endpoints["global"] = address
    aepp.config.config_object["oauthTokenEndpointV1"] = f"{address}/ims/token/v1"
    aepp.config.config_object["oauthTokenEndpointV2"] = f"{address}/ims/token/v3"


def test_it_signs_in_by_secret(face: Face) -> None:
    configure(face, scopes="openid")
    assert flowservice.FlowService().getFlows() == []


def test_it_signs_in_by_code(face: Face) -> None:
    """As a service: it then names its sandbox by id, too, and every object of it uses the code again."""
    tenants = Administration(face.store, face.settings.warehouse, face.credentials.org_id, "setup")
    configure(face, auth_code=tenants.code_of_client(face.credentials.client_id, days=1))
    for _ in range(2):
        assert flowservice.FlowService().getFlows() == []
    assert (
        sandboxes.Sandboxes().getSandboxId("dev")
        == face.get("/data/foundation/sandbox-management/sandboxes/dev").json()["id"]
    )


def test_it_manages_sandboxes(face: Face) -> None:
    configure(face, scopes="openid")
    client, name = sandboxes.Sandboxes(), f"a-{uuid.uuid4().hex[:8]}"
    assert {"prod", "dev"} <= {sandbox["name"] for sandbox in client.getSandboxes()}
    assert [kind["id"] for kind in client.getSandboxTypes()] == ["production", "development"]
    assert client.createSandbox(name=name, title="By aepp")["state"] == "creating"
    assert client.getSandbox(name)["state"] == "active"
    assert client.updateSandbox(name, {"title": "Renamed"})["title"] == "Renamed"
    assert client.resetSandbox(name)["state"] == "resetting"
    assert client.deleteSandbox(name) == 202
    assert client.getSandbox(name)["state"] == "deleted"
    assert client.getSandbox("nowhere")["status"] == 404


def test_it_asks_what_it_may_do(face: Face) -> None:
    configure(face, scopes="openid")
    client = accesscontrol.AccessControl()
    assert client.getPermissions()["permissions"]["view-datasets"] == {"datasets": ["read"]}
    found = client.getEffectivePolicies(["/permissions/manage-datasets"])
    assert found == {"policies": {"/permissions/manage-datasets": ["read", "write", "delete"]}}
