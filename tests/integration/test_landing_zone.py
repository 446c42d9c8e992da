"""The landing zone of a sandbox: dropped files land without a connection, and nobody else sees them."""

import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from pydantic import ValidationError

from headgate.config import Settings
from headgate.engine.upkeep import Upkeep
from headgate.sources import sweep_landing_zones
from headgate.targets import Lake
from tests.emulators import s3_bucket
from tests.integration.face import DATALAKE, FILES, LOCAL_FILES, Face, refused, second_org, serving
from tests.integration.lake_story import ended, working

ZONE = "26f526f2-58f4-4712-961d-e41bf1ccc0e8"
AT = "/data/foundation/connectors/landingzone"
EVERYTHING = {"windowStartTime": "0", "windowEndTime": "4102444800"}


@pytest.fixture
def plain_face(tmp_path: Path) -> Iterator[Face]:
    with serving(tmp_path) as face:
        yield face


def zone(face: Face) -> Path:
    """The folder that the service names."""
    face.get(f"/connectionSpecs/{ZONE}/explore", objectType="root")
    answer = face.get(f"{AT}/credentials", type="user_drop_zone").json()
    return Path(unquote(answer["SASUri"].removeprefix("file://")))


def test_what_is_dropped_lands(plain_face: Face) -> None:
    face = plain_face
    about = face.get(AT, type="user_drop_zone").json()
    assert about["containerTTL"] == "0"
    folder = zone(face)
    assert folder.name == about["containerName"]
    assert folder.name == "prod"
    (folder / "in").mkdir()
    (folder / "in" / "a.csv").write_text("n,s\n1,a\n2,b\n")
    explore = f"/connectionSpecs/{ZONE}/explore"
    assert [entry["path"] for entry in face.get(explore, objectType="folder", object="/in").json()] == ["/in/a.csv"]
    shown = face.get(explore, objectType="file", object="in/a.csv", fileType="delimited", preview="true").json()
    assert shown["data"] == [{"n": 1, "s": "a"}, {"n": 2, "s": "b"}]
    body = {"name": "zone", "connectionSpec": {"id": ZONE}, "data": {"format": "delimited"}}
    source = face.made("/sourceConnections", {**body, "params": {"path": "/in/*.csv"}})
    target = {"connectionSpec": {"id": DATALAKE}, "params": {"dataSetId": face.dataset("Zone")}}
    flow = face.flow(
        flowSpec={"id": FILES},
        sourceConnectionIds=[source],
        targetConnectionIds=[face.made("/targetConnections", target)],
    )
    with working(face) as worker:
        [item] = face.get(f"/runs/{ended(face, worker, face.run(flow, **EVERYTHING))}").json()["items"]
    assert item["metrics"]["recordSummary"]["outputRecordCount"] == 2, item["metrics"]


def test_a_zone_is_its_sandboxes_alone(plain_face: Face) -> None:
    face = plain_face
    folder = zone(face)
    (folder / "secret.csv").write_text("n\n1\n")
    body = {"name": "other", "title": "Other", "type": "development"}
    made = face.post("/data/foundation/sandbox-management/sandboxes", body)
    assert made.status_code == 202, made.text
    dev = face.of("other")
    assert dev.get(f"/connectionSpecs/{ZONE}/explore", objectType="root").json() == []
    other = zone(dev)
    assert other.parent == folder.parent
    assert other != folder
    look = f"/connectionSpecs/{ZONE}/explore?objectType=file&fileType=delimited&object="
    refused(dev.get(f"{look}../{folder.name}/secret.csv"), 400, "CONNECTOR-1312-400")
    assert dev.get(f"{look}{folder}/secret.csv").status_code == 404  # a path from the top is one from the zone's
    (other / "link").symlink_to(folder)
    answer = dev.get(f"/connectionSpecs/{ZONE}/explore?objectType=folder&object=link")
    refused(answer, 400, "CONNECTOR-1312-400")
    answer = dev.get(f"/connectionSpecs/{LOCAL_FILES}/explore?objectType=folder&object={folder}")
    refused(answer, 400, "CONNECTOR-1312-400")


def test_others_are_told_what_the_operator_says(plain_face: Face) -> None:
    face = plain_face
    second = second_org(face)
    message = refused(second.get(f"{AT}/credentials"), 400, "CONNECTOR-1700-400")
    assert "HEADGATE_LANDING_ZONE_URL" in message
    assert second.get(f"/connectionSpecs/{ZONE}/explore", objectType="root").json() == []
    refused(face.get(f"{AT}?type=dlz_destination"), 400, "CONNECTOR-1312-400")
    assert face.get(f"{AT}?kind=any").status_code == 400


def test_the_address_is_the_operators(tmp_path: Path) -> None:
    with serving(tmp_path, landing_zone=tmp_path / "drop", landing_zone_url="sftp://files/drop/") as face:
        uri = face.get(f"{AT}/credentials").json()["SASUri"]
        face.get(f"/connectionSpecs/{ZONE}/explore", objectType="root")
        assert (tmp_path / "drop" / uri.removeprefix("sftp://files/drop/")).is_dir()


def test_folders_are_made_for_whom_the_operator_says_and_errors_do_not_tell_where(tmp_path: Path) -> None:
    with serving(tmp_path) as face:
        folder = zone(face)
        assert [path.stat().st_mode & 0o7777 for path in (folder, folder.parent)] == [0o700, 0o700]
        (folder / "bad.csv").write_text('n,s\n1,"x\n2,y\n')
        (folder / "sub").mkdir()
        look = f"/connectionSpecs/{ZONE}/explore?fileType=delimited&preview=true&objectType="
        for asked in ("file&object=bad.csv", "file&object=none.csv", "folder&object=none", "file&object=sub"):
            answer = face.get(look + asked)
            assert answer.status_code in (400, 404), answer.text
            assert str(tmp_path) not in answer.text
            assert f"/{asked.rpartition('=')[2]}" in answer.json()["errorMessage"]
        body = {"name": "zone", "connectionSpec": {"id": ZONE}, "data": {"format": "delimited"}}
        source = face.made("/sourceConnections", {**body, "params": {"path": "bad.csv"}})
        target = face.made(
            "/targetConnections", {"connectionSpec": {"id": DATALAKE}, "params": {"dataSetId": face.dataset("Zone")}}
        )
        flow = face.flow(flowSpec={"id": FILES}, sourceConnectionIds=[source], targetConnectionIds=[target])
        with working(face) as worker:
            answer = face.get(f"/runs/{ended(face, worker, face.run(flow, **EVERYTHING))}")
            assert "/bad.csv" in answer.text
            assert str(tmp_path) not in answer.text
            with zipfile.ZipFile(folder / "x.zip", "w") as archive:
                archive.writestr("a.csv", "n\n1\n")
            source = face.made("/sourceConnections", {**body, "params": {"path": "x.zip!/*.json"}})
            flow = face.flow(flowSpec={"id": FILES}, sourceConnectionIds=[source], targetConnectionIds=[target])
            [run] = face.get(f"/runs/{ended(face, worker, face.run(flow, **EVERYTHING))}").json()["items"]
        [copied] = [each for each in run["activities"] if each["id"] == "copyActivity"]
        said = copied["statusSummary"]["extensions"]["notes"]
        assert (run["metrics"]["statusSummary"]["status"], said) == (
            "success",
            ["/x.zip holds no file that '*.json' matches."],
        )
    tmp_path = tmp_path / "other"
    tmp_path.mkdir()
    with serving(tmp_path, landing_zone=tmp_path / "shared", landing_zone_mode="2770") as face:
        assert zone(face).stat().st_mode & 0o7777 == 0o2770


def test_zones_of_a_bucket(tmp_path: Path, s3_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = s3_bucket(s3_address, f"b{os.urandom(6).hex()}")
    key: dict[str, Any] = {
        "landing_zone_access_key": "AKIDEXAMPLE",
        "landing_zone_secret_key": "canary-of-the-operator",
    }
    where: dict[str, Any] = {
        "landing_zone": f"{bucket.root}/drop",
        "landing_zone_endpoint": s3_address,
        "landing_zone_days": 7,
    }
    # What users may reach is not what the operator may.
    with serving(tmp_path, **where, **key, allowed_hosts="warehouse.example.com") as face:
        explore = f"/connectionSpecs/{ZONE}/explore"
        assert face.get(explore, objectType="root").json() == []
        about = face.get(f"{AT}/credentials").json()
        uri = about["SASUri"]
        assert (uri.rpartition("/")[2], about["SASToken"]) == ("prod", "")
        assert uri.startswith(f"{bucket.root}/drop/")
        signed = face.get(f"{AT}/credentials", object="/in/a.csv").json()
        assert signed["expiryTime"] > time.time()
        assert httpx.put(signed["SASUri"], content=b"n,s\n1,a\n2,b\n").status_code == 200
        [file] = face.get(explore, objectType="folder", object="/in").json()
        assert file["path"] == "/in/a.csv"
        for wrong in ("../other/a.csv", f"{bucket.root}/drop/a.csv", "/", "in/"):
            refused(face.get(f"{AT}/credentials", object=wrong), 400, "CONNECTOR-1312-400")
        refused(face.get(explore, objectType="folder", object=f"{bucket.root}/drop"), 400, "CONNECTOR-1312-400")
        dev = second_org(face)
        other = dev.get(f"{AT}/credentials").json()["SASUri"]
        assert other.rpartition("/")[0] != uri.rpartition("/")[0]
        assert dev.get(explore, objectType="root").json() == []

        body = {"name": "zone", "connectionSpec": {"id": ZONE}, "data": {"format": "delimited"}}
        source = face.made("/sourceConnections", {**body, "params": {"path": "/", "recursive": True}})
        target = face.made(
            "/targetConnections", {"connectionSpec": {"id": DATALAKE}, "params": {"dataSetId": face.dataset("Zone")}}
        )
        flow = face.flow(flowSpec={"id": FILES}, sourceConnectionIds=[source], targetConnectionIds=[target])
        with working(face) as worker:
            [run] = face.get(f"/runs/{ended(face, worker, face.run(flow, **EVERYTHING))}").json()["items"]
        assert run["metrics"]["recordSummary"]["outputRecordCount"] == 2, run["metrics"]
        answers = str((about, signed, run, face.get(AT).json()))
        assert "canary" not in answers

        bucket.put("outside.csv", b"n\n1\n")
        assert sweep_landing_zones(face.settings) == 0
        later = time.time() + 7 * 86_400 + 60
        with monkeypatch.context() as patch:
            patch.setattr("headgate.sources.files.landing_zone.time.time", lambda: later)
            assert sweep_landing_zones(face.settings) == 1
        assert face.get(explore, objectType="root").json() == []
        assert bucket.send("GET", "outside.csv").status_code == 200


def test_zone_of_a_bucket_that_cannot_be_reached_or_is_described_badly(tmp_path: Path) -> None:
    key: dict[str, Any] = {
        "landing_zone_access_key": "AKIDEXAMPLE",
        "landing_zone_secret_key": "canary-of-the-operator",
    }
    with serving(tmp_path, landing_zone="s3://drop", landing_zone_endpoint="http://127.0.0.1:9", **key) as face:
        said = refused(face.get(f"/connectionSpecs/{ZONE}/explore", objectType="root"), 400, "FLOW-1100-400")
        assert "canary" not in said
    for wrong in ("gs://drop", "s3://", "s3://drop/../other", "s3://drop//a"):
        with pytest.raises(ValidationError, match="landing_zone must be"):
            Settings(data=tmp_path, landing_zone=wrong, **key)
    with pytest.raises(ValidationError, match="needs landing_zone_access_key"):
        Settings(data=tmp_path, landing_zone="s3://drop")
    (tmp_path / "plain").mkdir()
    with serving(tmp_path / "plain") as face:
        assert "object" in refused(face.get(f"{AT}/credentials", object="a.csv"), 400, "CONNECTOR-1312-400")


def test_files_go_after_their_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path, landing_zone_days=7) as face:
        assert face.get(AT).json()["containerTTL"] == "7"
        folder = zone(face)
        old = folder / "old.csv"
        old.write_text("n\n")
        os.utime(old, (0, 0))  # came today, whatever it says
        outside = tmp_path / "outside.csv"
        outside.write_text("n\n")
        (folder / "link.csv").symlink_to(outside)
        assert sweep_landing_zones(face.settings) == 0
        later = time.time() + 7 * 86_400 + 60
        monkeypatch.setattr("headgate.sources.files.landing_zone.time.time", lambda: later)
        lake = Lake(face.settings.warehouse)
        work = Upkeep(lake, face.store, face.settings)
        work.start()
        end = time.monotonic() + 20
        while any(folder.iterdir()) and time.monotonic() < end:
            time.sleep(0.02)
        work.stop()
        lake.close()
        assert not list(folder.iterdir())
        assert outside.exists()
