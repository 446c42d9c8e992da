"""Every route declares who may take it, and what is done is recorded."""

import pytest
import sqlalchemy as sa
from fastapi import APIRouter

from headgate.api.requests import Open, UnguardedRoute, check_guards, needs
from headgate.model.permissions import Permission
from tests.integration.face import Face


def test_a_route_without_a_permission_is_refused_at_start() -> None:
    router = APIRouter(prefix="/some")

    @router.get("/guarded", dependencies=[needs(Permission.VIEW_SOURCES)])
    @router.get("/open", dependencies=[Open])
    def guarded() -> None:
        """Answers those it may."""

    check_guards(router)

    @router.get("/unguarded")
    def unguarded() -> None:
        """Answers anybody, by mistake."""

    with pytest.raises(UnguardedRoute, match="GET /some/unguarded declares no permission"):
        check_guards(router)


def test_every_change_leaves_one_row_in_the_audit_log(face: Face) -> None:
    flow = face.flow()
    run = face.run(flow, deltaColumn={"name": "updated_at"})
    face.post(f"/runs/{run.json()['id']}/action?op=cancel", None)
    face.delete(f"/flows/{flow}")
    engine = sa.create_engine(face.metadata)
    with engine.connect() as database:
        rows = database.execute(sa.text("SELECT * FROM audit WHERE sandbox_id <> '' ORDER BY seq")).mappings().all()
    engine.dispose()
    done = [(row["action"], row["kind"]) for row in rows]
    assert done[-3:] == [("create", "runs"), ("cancel", "runs"), ("delete", "flows")]
    assert {("create", kind) for kind in ("connections", "sourceConnections", "targetConnections", "flows")} < set(done)
    created = next(row for row in rows if row["kind"] == "runs")
    assert created["request_id"] == run.headers["x-request-id"]
    assert (created["etag_before"], created["etag_after"]) == (None, run.json()["etag"])
    assert {row["client"] for row in rows} == {face.credentials.client_id}
