"""Who calls: tokens, the gateway's rules, and the local organisation of the embedded default."""

from headgate.auth.gate import Gate
from headgate.auth.local import Credentials, local_credentials
from headgate.auth.tokens import Tokens

__all__ = ["Credentials", "Gate", "Tokens", "local_credentials"]
