"""Salesforce: which objects an organisation has, and what their records hold, from its own describe calls.

And a session for a user's name, password and security token, by the login() of the SOAP API.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from headgate.errors import SourceAccessDenied, SourceError, SourceObjectMissing
from headgate.sources.rest.ask import Ask, moved
from headgate.sources.rest.asking import Asking
from headgate.sources.rest.auth import Token
from headgate.sources.rest.records import document
from headgate.sources.rest.templates import Filling, Template

__all__ = ["about", "stream_about", "streams", "token", "version_of"]

VERSION = "64.0"
"""The version of the API that is asked for where a connection names none: the last one that knows SOAP's login()."""

_HOST = Template.of("{environmentUrl|host}", ["environmentUrl"])
_LOGIN = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/"><env:Body>'
    '<n1:login xmlns:n1="urn:partner.soap.sforce.com"><n1:username>{username}</n1:username>'
    "<n1:password>{password}</n1:password></n1:login></env:Body></env:Envelope>"
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_VERSION = re.compile(r"v?([1-9][0-9]{0,2})(?:\.0)?")
_PLAIN: Mapping[str, str] = {
    "boolean": "boolean",
    "int": "int",
    "long": "long",
    "double": "double",
    "currency": "double",
    "percent": "double",
    "date": "date",
    "datetime": "timestamptz",
}
_LEFT_OUT = ("address", "location", "base64")  # the first two are made of fields that come by themselves
_CHANGED = ("SystemModstamp", "LastModifiedDate", "CreatedDate")
_TOGETHER = 50_000


def streams(asking: Asking) -> Sequence[str]:
    """The names of the objects that can be queried."""
    found = _document(asking, f"{_path(asking)}/sobjects").get("sobjects", ())
    return sorted(said["name"] for said in found if said.get("queryable") and _NAME.fullmatch(said["name"]))


def about(asking: Asking, name: str) -> Mapping[str, Any]:
    """What a manifest would say of the object. Raises SourceObjectMissing."""
    if not _NAME.fullmatch(name):
        raise SourceObjectMissing(f"{asking.title} has no object {name[:100]!r}.")
    deleted = str(asking.values.get("includeDeletedObjects", "")).lower() == "true"
    return stream_about(_document(asking, f"{_path(asking)}/sobjects/{name}/describe"), _path(asking), deleted=deleted)


def _path(asking: Asking) -> str:
    return f"/services/data/v{version_of(asking.values.get('apiVersion'))}"


def _document(asking: Asking, path: str) -> Mapping[str, Any]:
    found = document(asking.answer(Ask("GET", asking.base + path)).content, asking.title)
    return found if isinstance(found, Mapping) else {}


def token(asking: Asking) -> Token:
    """A session for the connection's user. Raises SourceAccessDenied with Salesforce's reason."""
    values = asking.values
    version = min(float(version_of(values.get("apiVersion"))), float(VERSION))
    host = _HOST.filled(Filling({"environmentUrl": values.get("environmentUrl") or "login.salesforce.com"}))
    password = f"{values['password']}{values.get('securityToken') or ''}"
    envelope = _LOGIN.format(username=escape(str(values["username"])), password=escape(password))
    ask = Ask(
        "POST",
        moved(f"https://{host}/services/Soap/u/{version}", values),
        headers={"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": "login"},
        content=envelope.encode(),
        own=False,
        answers=frozenset({500}),  # a fault: another try with a wrong password would lock the user out
    )
    content = asking.answer(ask).content
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise SourceError(f"{asking.title} answered login() with a document that declares entities. It is not read.")
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 - what could expand was refused
    except ElementTree.ParseError as error:
        raise SourceError(f"{asking.title} answered login() with no XML: {error}.") from None
    said = {part.tag.rpartition("}")[2]: part.text or "" for part in root.iter()}
    if "sessionId" not in said or "serverUrl" not in said:
        reason = said.get("faultstring", "no reason is given")[:300]
        raise SourceAccessDenied(f"{asking.title} refuses the login: {reason}")
    server = urlsplit(said["serverUrl"])
    seconds = said.get("sessionSecondsValid", "")
    return Token(said["sessionId"], float(seconds) if seconds.isdigit() else None, f"{server.scheme}://{server.netloc}")


def version_of(said: object) -> str:
    """The version of the API in digits, `64.0`; the default where none is said. Raises SourceError."""
    if said in (None, ""):
        return VERSION
    found = _VERSION.fullmatch(str(said).strip())
    if found is None:
        raise SourceError(f"apiVersion is {str(said)[:40]!r}; give a version of the REST API, such as {VERSION}.")
    return f"{found[1]}.0"


def stream_about(described: Mapping[str, Any], path: str, *, deleted: bool) -> dict[str, Any]:
    """What a manifest would say of the object that `described` describes, asked for below `path`.

    Numbers are doubles, as in Salesforce. Fields that are made of others (addresses, locations) are left out, their
    parts are columns; so are the contents of files. With `deleted`, records in the recycle bin come, too.
    """
    columns: dict[str, Any] = {}
    times: list[str] = []
    for field in described["fields"]:
        name, type_ = field["name"], field["type"]
        if type_ in _LEFT_OUT or not _NAME.fullmatch(name):
            continue
        columns[name] = (
            {"type": "string", "read": "json"}
            if type_ in ("anyType", "complexvalue", "json")
            else (_PLAIN.get(type_, "string"))
        )
        if type_ in ("datetime", "date") and field.get("filterable", True):
            times.append(name)
    times.sort(key=lambda name: _CHANGED.index(name) if name in _CHANGED else len(_CHANGED))
    query = f"SELECT {{columns}} FROM {described['name']}{{window}}"
    return {
        "title": described.get("label") or described["name"],
        "request": {
            "path": f"{path}/{'queryAll' if deleted else 'query'}",
            "query": {"q": query},
            "headers": {"Sforce-Query-Options": "batchSize=2000"},
        },
        "records": "records",
        "paging": {"kind": "link", "from": "nextRecordsUrl"},
        "job": _job(path, query, "queryAll" if deleted else "query"),
        "split": {"by": "time", "at_least": "1h"},
        "windows": {name: _window(name, day=columns[name] == "date") for name in times},
        "key": ["Id"] if "Id" in columns else [],
        "columns": columns,
        "parameters": {"bulk": {}},
    }


def _job(path: str, query: str, operation: str) -> dict[str, Any]:
    """A query job of the Bulk API 2.0, for a source connection that says `bulk`."""
    return {
        "when": "{bulk}",
        "create": {
            "method": "POST",
            "path": f"{path}/jobs/query",
            "body": {"operation": operation, "query": query, "columnDelimiter": "COMMA", "lineEnding": "LF"},
        },
        "id": "id",
        "poll": {
            "request": {"path": f"{path}/jobs/query/{{job.id}}"},
            "state": "state",
            "done": ["JobComplete"],
            "failed": ["Failed", "Aborted"],
            "every": "2s",
            "at_most": "120m",
        },
        "download": {
            "request": {"path": f"{path}/jobs/query/{{job.id}}/results", "query": {"maxRecords": _TOGETHER}},
            "format": {"csv": {}},
            "paging": {"kind": "cursor", "from": "header:Sforce-Locator", "into": "query:locator"},
        },
    }


def _window(name: str, *, day: bool) -> dict[str, Any]:
    written = "date" if day else "iso_ms"
    condition = f" WHERE {name} >= {{window.start|{written}}} AND {name} < {{window.end|{written}}}"
    return {"text": condition, "grain": "day" if day else "ms", "sides": "both"}
