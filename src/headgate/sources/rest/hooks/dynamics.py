"""Microsoft Dynamics: a token of Microsoft Entra for an application, whose tenant the organisation itself tells."""

import re
from collections.abc import Mapping
from typing import Any

from headgate.errors import SourceAccessDenied
from headgate.sources.rest.ask import Ask, moved
from headgate.sources.rest.asking import Asking
from headgate.sources.rest.auth import Token
from headgate.sources.rest.records import document
from headgate.sources.rest.templates import Filling, Template

__all__ = ["token"]

_LOGIN = "https://login.microsoftonline.com"
_TOLD = re.compile(r"authorization_uri=\"?https://[^/\s,\"]+/([A-Za-z0-9.-]{1,80})/oauth2")
_TENANT = re.compile(r"[A-Za-z0-9.-]{1,80}")
_SCOPE = Template.of("https://{serviceUri|host}/.default", ["serviceUri"])


def token(asking: Asking) -> Token:
    """A token for the connection's application. Raises SourceAccessDenied."""
    values = asking.values
    form = {
        "grant_type": "client_credentials",
        "client_id": values["servicePrincipalId"],
        "client_secret": values["servicePrincipalKey"],
        "scope": _SCOPE.filled(Filling(values)),
    }
    address = f"{_LOGIN}/{_tenant(asking)}/oauth2/v2.0/token"
    answer = asking.answer(Ask("POST", moved(address, values), form=form, own=False))
    found = document(answer.content, asking.title)
    said: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    text = said.get("access_token")
    if not isinstance(text, str) or not text:
        raise SourceAccessDenied(f"{asking.title}: Microsoft Entra answered a request for a token without one.")
    seconds = said.get("expires_in")
    return Token(text, float(seconds) if isinstance(seconds, int | float) else None)


def _tenant(asking: Asking) -> str:
    """The tenant that the connection names, else the one that the organisation sends those to who are not let in."""
    if named := str(asking.values.get("tenantId") or ""):
        if _TENANT.fullmatch(named) is None:
            raise SourceAccessDenied(
                f"tenantId is {named[:80]!r}; give the id, or a domain, of a Microsoft Entra tenant."
            )
        return named
    answer = asking.answer(Ask("GET", f"{asking.base}/", own=False, answers=frozenset({401})))
    found = _TOLD.search(answer.headers.get("www-authenticate", ""))
    if found is None:
        raise SourceAccessDenied(
            f"{asking.title} does not tell its Microsoft Entra tenant; see that serviceUri is the address of an "
            "organisation, such as https://name.crm.dynamics.com, or give tenantId."
        )
    return found[1]
