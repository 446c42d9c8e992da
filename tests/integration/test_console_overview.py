"""The overview: what it says of a sandbox, of an empty one, and to who may see less; and the address behind it."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from headgate.model.orgs import Grant
from headgate.model.permissions import Permission
from tests.browser.seeded import seed
from tests.integration.visitor import Visitor, visiting


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    with visiting(tmp_path_factory.mktemp("overview")) as visitor:
        seed(visitor.face)
        yield visitor


def test_failures_come_first_and_then_the_day(visitor: Visitor) -> None:
    page = visitor.page("/")
    assert page.index("<h2>Failed</h2>") < page.index("Runs by the hour") < page.index("<h2>Last runs</h2>")
    assert "The file has no table or view &#39;returns&#39;." in page
    assert "2 succeeded, 1 failed, 1 cancelled, 0 run, 1 wait" in page
    assert page.count("<rect") == 4
    assert "Orders, each night" in page.partition("<h2>Next</h2>")[2]
    assert "none answers: runs wait" in page


def test_only_what_changes_is_sent_again(visitor: Visitor) -> None:
    part = visitor.get("/", hx_request="true", hx_request_type="partial").text
    assert "<html" not in part
    assert "<h2>Last runs</h2>" in part


def test_an_empty_sandbox_says_what_to_do(visitor: Visitor) -> None:
    other = visitor.other().sign_in()
    assert other.get("/?sandbox=dev").is_redirect
    assert "Nothing flows yet" in other.page("/")


def test_a_flow_that_was_deleted_is_told_by_its_id(visitor: Visitor) -> None:
    face = visitor.face.of("dev")
    flow = face.flow(name="Short-lived")
    face.run(flow, deltaColumn={"name": "updated_at"})
    assert face.delete(f"/flows/{flow}").is_success
    other = visitor.other().sign_in()
    assert other.get("/?sandbox=dev").is_redirect
    assert f"deleted flow {flow[:8]}" in other.page("/")


def test_who_may_not_see_the_monitoring_sees_no_workers(visitor: Visitor) -> None:
    face, org = visitor.face, visitor.face.credentials.org_id
    face.store.tenants.add_role(org, "looker", frozenset({Permission.VIEW_SOURCES}))
    face.store.tenants.grant(org, Grant("looker@example.com", "user", "looker", None))
    page = visitor.other().sign_in("looker@example.com").page("/")
    assert "Workers" not in page
    assert "Running" in page


def test_the_activity_has_an_address(visitor: Visitor) -> None:
    activity = visitor.face.http.get("/headgate/activity", headers=visitor.face.headers).json()
    starts = [hour["start"] for hour in activity["hours"]]
    assert len(starts) in (24, 25)  # an hour may have ended meanwhile
    assert {later - earlier for earlier, later in pairwise(starts)} == {3_600_000}
    states = ("scheduled", "queued", "inProgress", "success", "failed", "cancelled")
    assert [sum(hour[state] for hour in activity["hours"]) for state in states] == [1, 0, 0, 2, 1, 1]
    assert [one["name"] for one in activity["next"]] == ["Orders, each night"]
    elsewhere = visitor.face.http.get("/headgate/activity", headers=visitor.face.of("dev").headers).json()
    assert elsewhere["next"] == []


def test_names_are_text_and_nothing_else(visitor: Visitor) -> None:
    face = visitor.face.of("dev")
    name = "<img src=x onerror=alert(1)>\"'&"
    face.run(face.flow(name=name), deltaColumn={"name": "updated_at"})
    other = visitor.other().sign_in()
    other.get("/?sandbox=dev")
    page = other.page("/")
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;" in page
