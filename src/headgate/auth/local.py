"""The local organisation: what makes a fresh data folder usable without any administration."""

import json
from dataclasses import dataclass, field

from headgate.auth.secrets import new_client_id, new_org_id, new_secret, sha256
from headgate.auth.tokens import Tokens
from headgate.config import Settings
from headgate.model.orgs import Client, Org
from headgate.model.scope import Principal
from headgate.store import Store
from headgate.store.keyring import read_or_create

__all__ = ["LOCAL_USER", "Credentials", "local_credentials"]

LOCAL_USER = "local@headgate"
_SANDBOX = "prod"


@dataclass(frozen=True, slots=True)
class Credentials:
    """All a client of the local organisation needs. `api_key` equals `client_id`."""

    org_id: str
    sandbox: str
    api_key: str
    client_id: str
    client_secret: str = field(repr=False)
    access_token: str = field(repr=False)

    def wire(self, base_url: str) -> dict[str, str]:
        """The members that `headgate credentials --json` prints, with the service's address."""
        return {
            "baseUrl": base_url,
            "orgId": self.org_id,
            "sandbox": self.sandbox,
            "apiKey": self.api_key,
            "clientId": self.client_id,
            "clientSecret": self.client_secret,
            "accessToken": self.access_token,
        }


def local_credentials(settings: Settings, store: Store) -> Credentials:
    """The local organisation's credentials with a fresh user token; makes the organisation on first use.

    Several processes may come first at the same time: all get the same organisation and client. The token
    lives `settings.token_lifetime` seconds. Raises Unavailable.
    """
    draft = {"orgId": new_org_id(), "clientId": new_client_id(), "clientSecret": new_secret()}
    known = json.loads(read_or_create(settings.keys / "local.json", json.dumps(draft).encode()))
    org_id, client_id, secret = known["orgId"], known["clientId"], known["clientSecret"]
    store.tenants.ensure_org(
        Org(org_id, "Local organisation"),
        Client(client_id, org_id, "Local client"),
        sha256(secret),
        admins=[LOCAL_USER],
    )
    principal = Principal(LOCAL_USER, client_id, "user", frozenset({org_id}))
    token = Tokens(settings.keys, settings.public_url).issue(principal, settings.token_lifetime)
    return Credentials(org_id, _SANDBOX, client_id, client_id, secret, token)
