"""The console's catalogue of sources, and the form of a new connection."""

import re
from collections.abc import Iterator

import pytest

from tests.integration.face import POSTGRESQL, SQLITE
from tests.integration.visitor import Visitor, visiting

SECRET = "correct horse"


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    with visiting(tmp_path_factory.mktemp("sources")) as visitor:
        yield visitor


def drafts(visitor: Visitor) -> list[str]:
    return [one["id"] for one in visitor.face.get("/connections", property="state==draft").json()["items"]]


def draft_in(html: str) -> str:
    found = re.search(r'name="draft" value="([^"]+)"', html)
    assert found is not None, html
    return found[1]


def test_the_catalogue_counts_searches_and_says_what_does_not_run(visitor: Visitor) -> None:
    visitor.face.flow()
    everything = visitor.page("/sources")
    assert re.search(r"Databases <span class=\"count\">[0-9]+<", everything)
    assert "Only listed: does not run here" in everything
    assert f'href="/sources/{POSTGRESQL}" aria-label="Set up PostgreSQL">Set up' in everything
    found = visitor.page("/sources?q=SQLite+file")
    assert re.findall(r"<h2>(.*?)</h2>", found) == ["SQLite"]
    assert re.search(r"1 connection</a> · 1\s*flow\b", found)
    assert f'href="/wizard?spec={SQLITE}"' in found
    assert "Tested on a real server" in found


def test_every_source_that_runs_says_how_far_it_is_tested(visitor: Visitor) -> None:
    everything = visitor.page("/sources")
    cards = everything.partition('<ul class="cards">')[2].partition('<details class="legend">')[0]
    assert "Not tested here" not in cards
    marks = set(re.findall(r"</svg>([^<]+)</span></p>", cards))
    explained = set(re.findall(r"<dt><span[^>]*>.*?</svg>([^<]+)</span></dt>", everything))
    assert {"Tested by the documentation", "Tested by the vendor&#39;s description"} <= marks <= explained
    form = visitor.page("/sources/mailchimp")
    assert "The vendor itself was not reached." in form
    assert form.index('id="f-p.host"') < form.index("<summary>More</summary>") < form.index('id="f-p.serviceUrl"')
    assert "No source matches" in visitor.page("/sources?q=nothing+like+it")
    part = visitor.get("/sources?category=crm", hx_request="true").text
    assert "<html" not in part
    assert "SugarCRM" in part
    assert "Set up SugarCRM" not in part


def test_a_form_has_the_fields_of_the_chosen_way_to_authenticate(visitor: Visitor) -> None:
    html = visitor.page(f"/sources/{POSTGRESQL}?auth=Basic+Authentication")
    assert re.search(r'name="p.password" type="password" value=""[^>]* required', html)
    assert re.search(r'name="p.port" type="number"[^>]*min="1"', html)
    assert '<option value="verify-full">' in html
    other = "Connection String Based Authentication"
    assert f'value="{other}">' in html
    typed = {"name": "Typed", "shown": "Basic Authentication", "auth": other, "p.password": SECRET, "p.server": "db"}
    turned = visitor.post(f"/sources/{POSTGRESQL}", typed)
    assert f'value="{other}" checked>' in turned.text
    assert 'value="Typed"' in turned.text
    assert 'name="p.connectionString"' in turned.text
    assert SECRET not in turned.text
    back = visitor.post(f"/sources/{POSTGRESQL}", {**typed, "shown": other, "auth": "Basic Authentication"})
    assert 'name="p.server" type="text" value="db"' in back.text
    assert "does not run here" in visitor.page("/sources/sugar-crm")
    assert "No account is needed" in visitor.page("/sources/landing-zone")
    assert visitor.get("/sources/nothing").status_code == 404


def test_a_connection_is_tested_and_saved(visitor: Visitor) -> None:
    visitor.page(f"/sources/{SQLITE}")
    empty = visitor.post(f"/sources/{SQLITE}", {"name": " "})
    assert (empty.status_code, empty.text.count("aria-invalid")) == (400, 2)
    form = {"name": "Shop", "p.path": str(visitor.face.folder / "nothing.db")}
    failed = visitor.post(f"/sources/{SQLITE}", form)
    assert "The test did not pass." in failed.text
    assert "nothing.db" in failed.text
    form = {**form, "draft": draft_in(failed.text), "p.path": str(visitor.face.folder / "shop.db"), "next": "/wizard"}
    assert "The test passed" in visitor.post(f"/sources/{SQLITE}", {**form, "do": "test"}).text
    saved = visitor.post(f"/sources/{SQLITE}", form)
    assert (saved.status_code, saved.headers["location"]) == (303, f"/wizard?connection={form['draft']}")
    assert visitor.face.get(f"/connections/{form['draft']}").json()["items"][0]["state"] == "enabled"


def test_a_secret_is_kept_with_the_draft_and_never_shown(visitor: Visitor) -> None:
    form = {
        "name": "Elsewhere",
        "auth": "Basic Authentication",
        "p.server": "127.0.0.1",
        "p.database": "shop",
        "p.username": "reader",
        "p.password": SECRET,
        "p.port": "1",
    }
    visitor.page(f"/sources/{POSTGRESQL}")
    failed = visitor.post(f"/sources/{POSTGRESQL}", form).text
    assert "The test did not pass." in failed
    assert "127.0.0.1" in failed
    assert SECRET not in failed
    assert "stored; leave empty to keep it" in failed
    again = {**form, "draft": draft_in(failed), "p.password": "", "p.port": "70000", "do": "anyway"}
    wrong = visitor.post(f"/sources/{POSTGRESQL}", again)
    assert wrong.status_code == 400
    assert re.search(r'id="f-p.port-error"[^>]*>.*port', wrong.text)
    assert visitor.post(f"/sources/{POSTGRESQL}", {**again, "p.port": "1"}).status_code == 303
    assert visitor.face.scoped().secret(again["draft"]) == {
        "server": "127.0.0.1",
        "database": "shop",
        "username": "reader",
        "password": SECRET,
        "port": 1,
    }


def test_a_connection_may_be_kept_as_a_draft(visitor: Visitor) -> None:
    visitor.page(f"/sources/{SQLITE}")
    kept = visitor.post(f"/sources/{SQLITE}", {"name": "Later", "do": "keep"})
    id_ = kept.headers["location"].rpartition("/")[2]
    assert id_ in drafts(visitor)
    assert 'value="Later"' in visitor.page(f"/sources/{SQLITE}?draft={id_}")
    assert visitor.get(f"/sources/{POSTGRESQL}?draft={id_}").status_code == 404
