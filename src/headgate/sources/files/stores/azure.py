"""Azure storage: Blob, and Data Lake Storage Gen2, which is read through the Blob addresses that it has too."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from obstore.store import AzureStore

from headgate.errors import BadParameter, ParameterMissing, SourceError, SourceObjectMissing
from headgate.outbound import Outbound
from headgate.sources.files.stores.asking import RETRIES, asked, client_options, folder_of, refused, text
from headgate.sources.files.stores.tunnel import Tunnel

__all__ = ["AzureAccount", "AzureKeys"]

_VERSION = "2023-11-03"
_CONTAINER = re.compile(r"\$(?:root|web)|[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])")
_LISTED = re.compile(r"<Container>.*?<Name>([^<]+)</Name>", re.DOTALL)
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{1,99}")
_AUTHORITIES = {  # by the end of the account's host, who gives out its tokens
    ".chinacloudapi.cn": "https://login.chinacloudapi.cn",
    ".usgovcloudapi.net": "https://login.microsoftonline.us",
}
_IN_STRING = (
    "accountname",
    "accountkey",
    "sharedaccesssignature",
    "blobendpoint",
    "endpointsuffix",
    "defaultendpointsprotocol",
)
_PASSED_OVER = ("fileendpoint", "queueendpoint", "tableendpoint", "dfsendpoint")


@dataclass(frozen=True, slots=True)
class AzureKeys:
    """What a connection says: where its account is (`url`), and one way in: a key, a signature, or a principal."""

    account: str
    url: str
    key: str = field(default="", repr=False)
    signature: str = field(default="", repr=False)
    principal: tuple[str, str, str] | None = field(default=None, repr=False)  # tenant, id, secret
    folder: tuple[str, ...] = ()

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "AzureKeys":
        """The keys in `auth.params` of a spec of Azure. Raises BadParameter, ParameterMissing."""
        folder = folder_of(params, "container")
        if params.get("connectionString"):
            return cls._of_string(text(params, "connectionString"), folder)
        if params.get("sasUri"):
            return cls._of_signed(text(params, "sasUri"), folder)
        name = "serviceEndpoint" if params.get("serviceEndpoint") else "url"
        account, url, below = _place(text(params, name, needed=True), name)
        folder = folder or below
        if params.get("accountKey"):
            return cls(account, url, key=_key(text(params, "accountKey")), folder=folder)
        tenant, id_ = text(params, "tenant", needed=True), text(params, "servicePrincipalId", needed=True)
        if not _TENANT.fullmatch(tenant):
            raise BadParameter("tenant must be the directory's id or domain.", field="tenant")
        secret = text(params, "servicePrincipalKey", needed=True)
        if not url.startswith("https:"):
            raise BadParameter(f"{name} must begin with https for a service principal.", field=name)
        return cls(account, url, principal=(tenant, id_, secret), folder=folder)

    @classmethod
    def _of_string(cls, string: str, folder: tuple[str, ...]) -> "AzureKeys":
        found: dict[str, str] = {}
        for part in filter(None, string.split(";")):
            key, is_pair, value = part.partition("=")
            if not is_pair or key.strip().lower() not in (*_IN_STRING, *_PASSED_OVER):
                raise BadParameter(f"connectionString has no place for {key.strip()[:40]!r}.", field="connectionString")
            found[key.strip().lower()] = value.strip()
        name = found.get("accountname", "")
        scheme, suffix = found.get("defaultendpointsprotocol", "https"), found.get("endpointsuffix", "core.windows.net")
        url = found.get("blobendpoint") or (f"{scheme}://{name}.blob.{suffix}" if name else "")
        if not url:
            raise ParameterMissing("connectionString needs AccountName or BlobEndpoint.", field="connectionString")
        account, url, below = _place(url, "connectionString", account=name)
        key, signature = found.get("accountkey", ""), found.get("sharedaccesssignature", "").lstrip("?")
        if bool(key) == bool(signature):
            raise ParameterMissing(
                "connectionString needs AccountKey or SharedAccessSignature, one of them.", field="connectionString"
            )
        return cls(account, url, key=_key(key) if key else "", signature=signature, folder=folder or below)

    @classmethod
    def _of_signed(cls, uri: str, folder: tuple[str, ...]) -> "AzureKeys":
        address, _, signature = uri.partition("?")
        if "sig" not in dict(parse_qsl(signature)):
            raise BadParameter("sasUri holds no signature (sig=…).", field="sasUri")
        account, url, below = _place(address, "sasUri")
        if below and folder and folder[: len(below)] != below:
            folder = (*below, *folder)
        return cls(account, url, signature=signature, folder=folder or below)


class AzureAccount:
    """A storage account of Azure."""

    def __init__(self, keys: AzureKeys, outbound: Outbound) -> None:
        """Raises HostNotAllowed."""
        self.prefix, self.folder = f"{keys.url}/", keys.folder
        self.tunnel = Tunnel(outbound)
        self._keys = keys
        self.tunnel.admit(keys.url)
        if keys.principal is not None:
            self.tunnel.admit(self._authority)

    def bucket(self, name: str) -> AzureStore:
        """The store of one container. Raises SourceObjectMissing."""
        if not _CONTAINER.fullmatch(name):
            raise SourceObjectMissing(f"{name!r} cannot be the name of a container.", path=name)
        keys = self._keys
        way: dict[str, Any] = {"credential_provider": self._credential}
        known: Any = {}
        if keys.principal is not None:
            tenant, id_, secret = keys.principal
            way = {}
            known = {
                "credential_type": "client_secret",
                "authority_host": self._authority,
                "tenant_id": tenant,
                "client_id": id_,
                "client_secret": secret,
            }
        # As for S3: nothing is left for the library to look for in the environment of this process.
        config: Any = {
            "account_name": keys.account,
            "endpoint": keys.url,
            "skip_signature": False,
            "use_emulator": False,
            "use_fabric_endpoint": False,
            "use_azure_cli": False,
            **known,
        }
        return AzureStore(
            name,
            config=config,
            client_options=client_options(self.tunnel),
            retry_config=RETRIES,
            **way,
        )

    def buckets(self) -> Iterator[str]:
        """The names of the account's containers. Raises SourceError."""
        keys, headers = self._keys, {"x-ms-version": _VERSION, "x-ms-date": formatdate(usegmt=True)}
        if keys.principal is not None:
            raise SourceError("Name the container: in the connection, or as the first part of the path.")
        url = f"{keys.url}/?comp=list"
        if keys.signature:
            url = f"{url}&{keys.signature}"
        else:
            headers["Authorization"] = self._signed(headers)
        answer = asked(self.tunnel, url, headers=headers)
        if answer.status_code != 200:
            raise refused(answer, "The containers cannot be listed. Name one in the connection (container).")
        return (unescape(name) for name in _LISTED.findall(answer.text))

    @property
    def _authority(self) -> str:
        host = urlsplit(self._keys.url).hostname or ""
        ours = (url for end, url in _AUTHORITIES.items() if host.endswith(end))
        return next(ours, "https://login.microsoftonline.com")

    def _credential(self) -> Any:
        if self._keys.signature:
            return {"sas_token": self._keys.signature, "expires_at": None}
        return {"access_key": self._keys.key, "expires_at": None}

    def _signed(self, headers: Mapping[str, str]) -> str:
        """The proof of the account's key for one GET of the list of containers."""
        named = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        path = urlsplit(self._keys.url).path
        asks = "GET" + "\n" * 12 + f"{named}/{self._keys.account}{path}/\ncomp:list"
        proof = hmac.new(base64.b64decode(self._keys.key), asks.encode(), hashlib.sha256).digest()
        return f"SharedKey {self._keys.account}:{base64.b64encode(proof).decode()}"


def _place(url: str, name: str, *, account: str = "") -> tuple[str, str, tuple[str, ...]]:
    """The account's name, the address of its Blob service, and what follows: a container and a folder.

    The address of a server that is not named after the account holds the account as its first part.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.username is not None:
        raise BadParameter(
            f"{name} holds no address of an account such as https://ACCOUNT.blob.core.windows.net.", field=name
        )
    folder = tuple(unquote(part) for part in parts.path.split("/") if part)
    first, _, rest = host.partition(".")
    if rest.startswith(("blob.", "dfs.", "privatelink.", "z")) and not first.isdigit():
        service = parts.netloc.replace(f"{first}.dfs.", f"{first}.blob.", 1)
        return account or first, f"{parts.scheme}://{service}", folder
    account = account or (folder[0] if folder else "")
    if not account:
        raise ParameterMissing(f"{name} does not say which account it is.", field=name)
    if folder[:1] == (account,):
        return account, f"{parts.scheme}://{parts.netloc}/{account}", folder[1:]
    return account, f"{parts.scheme}://{parts.netloc}", folder


def _key(key: str) -> str:
    try:
        base64.b64decode(key, validate=True)
    except binascii.Error:
        raise BadParameter("The account's key is not in Base64.") from None
    return key
