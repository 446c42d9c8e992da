"""Also of the streams that no fake is asked for: they ask for, and read, what the vendor's description has."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

MANIFESTS = Path(__file__).parents[2] / "src" / "headgate" / "sources" / "rest" / "manifests"


def _streams(name: str) -> dict[str, Any]:
    streams: dict[str, Any] = yaml.safe_load((MANIFESTS / f"{name}.yaml").read_text(encoding="utf-8"))["streams"]
    return streams


def _described(name: str) -> Any:
    return json.loads((Path(__file__).parent / "openapi" / f"{name}.json").read_text())


def _places(stream: Any) -> set[str]:
    """Where the columns of a stream are read."""
    return {said.get("from", name) if isinstance(said, dict) else name for name, said in stream["columns"].items()}


@pytest.mark.parametrize("stream", _streams("google-ads").values(), ids=_streams("google-ads"))
def test_google_ads_reads_every_field_of_its_query_and_no_other(stream: Any) -> None:
    fields = re.fullmatch(r"SELECT (.+?) FROM .+", stream["request"]["body"]["query"])
    assert fields is not None
    camels = {re.sub("_(.)", lambda found: found[1].upper(), field) for field in fields[1].split(", ")}
    assert camels == _places(stream)


@pytest.mark.parametrize("stream", _streams("meta-ads").values(), ids=_streams("meta-ads"))
def test_meta_ads_asks_for_fields_that_are_described(stream: Any) -> None:
    described = _described("meta_ads")
    edge = described["edges"][stream["request"]["path"].rpartition("/")[2]]
    fields = set(stream["request"]["query"]["fields"].split(","))
    assert fields <= set(described["fields"][edge["return"]])
    assert _places(stream) - {"date_start", "date_stop"} == fields  # the two come unasked
    assert stream["request"]["query"].keys() - {"fields", "limit"} <= set(edge["params"])


@pytest.mark.parametrize("stream", _streams("google-analytics-4").values(), ids=_streams("google-analytics-4"))
def test_google_analytics_reads_all_dimensions_and_metrics_in_their_order(stream: Any) -> None:
    body = stream["request"]["body"]
    assert body.keys() <= _described("google_analytics_4")["schemas"]["RunReportRequest"]["properties"].keys()
    assert len(body["dimensions"]) <= 9
    assert len(body["metrics"]) <= 10
    wanted = [f"dimensionValues.{place}.value" for place in range(len(body["dimensions"]))]
    wanted += [f"metricValues.{place}.value" for place in range(len(body["metrics"]))]
    assert [said["from"] for said in stream["columns"].values()] == wanted
    # Pages of an order that tells rows apart move no row between them.
    orders = [order["dimension"]["dimensionName"] for order in body["orderBys"]]
    assert orders == [dimension["name"] for dimension in body["dimensions"]]
    assert stream["key"] == list(stream["columns"])[: len(orders)]


@pytest.mark.parametrize("stream", _streams("one-trust").values(), ids=_streams("one-trust"))
def test_one_trust_is_sent_what_its_operations_take(stream: Any) -> None:
    (about,) = _described("one_trust")["paths"][stream["request"]["path"]].values()
    known = {parameter["name"]: parameter for parameter in about["parameters"]}
    [window] = stream["windows"].values()
    assert stream["request"]["query"].keys() | window["query"].keys() <= known.keys()
    assert stream["request"]["query"]["size"] == known["size"]["schema"]["maximum"]
    assert window["longest_days"] <= about["longest_days"]
