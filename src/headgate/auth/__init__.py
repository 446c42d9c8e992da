"""Who calls and what they may do: tokens, the gateway's rules, and the local organisation of the embedded default."""

from headgate.auth.gate import Gate
from headgate.auth.issuers import Issuers
from headgate.auth.keys import IssuerUnreachable
from headgate.auth.local import LOCAL_USER, Credentials, local_credentials
from headgate.auth.secrets import matches, new_client_id, new_code, new_org_id, new_secret, sha256
from headgate.auth.tokens import Tokens

__all__ = [
    "LOCAL_USER",
    "Credentials",
    "Gate",
    "IssuerUnreachable",
    "Issuers",
    "Tokens",
    "local_credentials",
    "matches",
    "new_client_id",
    "new_code",
    "new_org_id",
    "new_secret",
    "sha256",
]
