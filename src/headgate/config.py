"""Settings: environment `HEADGATE_*`, then `headgate.toml` in the working directory, then the defaults."""

import ipaddress
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

__all__ = ["AllowedHost", "IssuerSettings", "Settings", "SignInSettings"]

_PORT = re.compile(r"(?P<host>\[[^]]+\]|[^:]+)(?::(?P<port>[0-9]{1,5}))?")
_DATABASES = ("postgresql+psycopg://", "postgresql://", "sqlite://")
_NAME = re.compile(r"\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """One entry of `allowed_hosts`: a name, `.suffix`, an address or network, perhaps with a port; or a folder."""

    name: str = ""
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    port: int | None = None
    folder: str = ""

    @classmethod
    def of(cls, entry: str) -> "AllowedHost":
        """Read one entry. Raises ValueError."""
        if entry.startswith("/"):
            return cls(folder=os.path.normpath(entry))
        for text, port in _host_and_port(entry):
            try:
                return cls(network=ipaddress.ip_network(re.sub(r"^\[(.*)\]$", r"\1", text)), port=port)
            except ValueError:
                pass
            name = text.lower().removeprefix("*").rstrip(".")
            if _NAME.fullmatch(name):
                return cls(name=name, port=port)
        raise ValueError(f"{entry!r} is no host name, .suffix, address, network or socket folder")

    def admits_name(self, host: str, port: int) -> bool:
        """Whether a host of this name is listed for `port`."""
        host = host.lower().rstrip(".")
        if not self.name or self.port not in (None, port):
            return False
        return host == self.name or (self.name.startswith(".") and host.endswith(self.name))

    def admits_address(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> bool:
        """Whether this address is listed for `port`."""
        return self.network is not None and address in self.network and self.port in (None, port)

    def admits_socket(self, folder: str) -> bool:
        """Whether the Unix sockets of a folder are listed."""
        return bool(self.folder) and os.path.normpath(folder) == self.folder


def _host_and_port(entry: str) -> list[tuple[str, int | None]]:
    """The readings of an entry: whole, for an IPv6 network; and parted at its port."""
    readings: list[tuple[str, int | None]] = [(entry, None)] if entry.count(":") > 1 else []
    if (parted := _PORT.fullmatch(entry)) is not None:
        port = int(parted["port"]) if parted["port"] else None
        if port is None or 0 < port < 65536:
            readings.append((parted["host"], port))
    return readings


class SignInSettings(BaseModel):
    """How people sign in to the console at an issuer: as a client of it, by the authorization code flow with PKCE."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    client_id: str = Field(min_length=1, description="The console's client id at the issuer.")
    client_secret: str = Field(
        default="",
        pattern=r"^$|^(env|file):.+$",
        description="Where its secret is, if it has one: env:NAME or file:PATH.",
    )
    scope: str = Field(default="openid profile email", description="What is asked for.")
    token: Literal["access_token", "id_token"] = Field(
        default="access_token", description="Which of its tokens speaks for the person from then on."
    )
    label: str = Field(default="", description="What people know the issuer by. Default: its host.")


class IssuerSettings(BaseModel):
    """An OpenID Connect issuer whose tokens are taken, and what its claims mean here.

    A claim is named as it stands, or by its path: `realm_access.roles`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="The issuer's name, as in `iss`; its keys are found by discovery below it.")
    audience: tuple[str, ...] = Field(min_length=1, description="Values of `aud` that mean this deployment.")
    jwks: str = Field(default="", description="Address of the keys, where discovery gives another host.")
    user: str = Field(default="sub", description="Claim with the user id.")
    client: tuple[str, ...] = Field(default=("client_id", "azp"), description="Claims with the client id.")
    service: dict[str, str] = Field(
        default_factory=dict,
        description="Claims that mark a service's token. Default: the subject is the client.",
    )
    iat_for_nbf: bool = Field(default=False, description="Take `iat` where a token has no `nbf`.")
    org: str = Field(default="", description="The one organisation the issuer is for.")
    orgs: str = Field(default="", description="Claim with organisations. Without both, grants decide.")
    roles: str = Field(default="", description="Claim with names that `role_map` knows.")
    role_map: dict[str, str] = Field(default_factory=dict, description="From such a name to `role` or `role@sandbox`.")
    sign_in: SignInSettings | None = Field(default=None, description="How people sign in to the console there.")

    @field_validator("audience", "client", mode="before")
    @classmethod
    def _one_is_enough(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("url", "jwks")
    @classmethod
    def _safe_address(cls, value: str) -> str:
        parts = urlsplit(value)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if value and not (parts.scheme == "https" or (parts.scheme == "http" and local)):
            raise ValueError(f"{value!r} must begin with https:// (http:// only on this machine).")
        return value

    @model_validator(mode="after")
    def _roles_have_a_place(self) -> Self:
        if self.role_map and not (self.org or self.orgs):
            raise ValueError("role_map needs org or orgs, or its roles would count in every organisation.")
        return self


class Settings(BaseSettings):
    """What a service or a worker is told from outside. All times are seconds."""

    model_config = SettingsConfigDict(env_prefix="HEADGATE_", toml_file="headgate.toml", frozen=True, extra="forbid")

    data: Path = Field(
        default=Path("headgate-data"),
        description="Folder of the embedded default: metadata, warehouse and keys.",
    )
    metadata_url: str = Field(
        default="",
        description="Address of the metadata database in SQLAlchemy's form, for instance "
        "`postgresql+psycopg://user@host/headgate`. Default: SQLite in the data folder.",
    )
    secret_env_prefix: str = Field(
        default="HEADGATE_SECRET_",
        description="Prefix of the environment variables that secrets of connections may refer to as env:NAME when "
        "there are several organisations; the organisation's id and _ follow it.",
    )
    secret_files: Path | None = Field(
        default=None,
        description="Folder of the files that secrets of connections may refer to as file:PATH; with several "
        "organisations, each has the subfolder of its id. Default: none.",
    )
    secrets_key: SecretStr | None = Field(
        default=None,
        description="Keys that connections' secrets are sealed with, 32 bytes in base64: the current one, then by "
        "commas those to be rotated away. Default: a key that is made in the data folder.",
    )
    secrets_key_command: str = Field(
        default="",
        description="Command that prints such keys, for instance of a key service. It runs without a shell, for at "
        "most ten seconds.",
    )
    file_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Folders that local files and SQLite databases may be read from, separated by colons; {org} in one "
        "stands for the organisation's id. Default: the working directory and the data folder while there is one "
        "organisation, none when there are several.",
    )
    manifests: Path | None = Field(
        default=None,
        description="Folder of manifests, YAML files that each describe an API that can be read. They are looked at "
        "when the service and its workers start. Default: none.",
    )
    landing_zone: str = Field(
        default="",
        description="Where the Data Landing Zone of every sandbox lies: a folder, or s3://BUCKET/PREFIX. Default: "
        "landing in the data folder.",
    )
    landing_zone_mode: str = Field(
        default="0700",
        pattern=r"^[0-7]{3,4}$",
        description="Permissions of the folders that are made for zones, in octal; 2770 lets their group drop files.",
    )
    landing_zone_endpoint: str = Field(
        default="",
        description="Address of the service that an s3:// landing zone is on, such as https://minio.example.com:9000. "
        "Default: Amazon's.",
    )
    landing_zone_region: str = Field(
        default="", description="Region of the bucket of an s3:// landing zone. Default: the bucket's, as Amazon tells."
    )
    landing_zone_access_key: str = Field(default="", description="Access key that reads an s3:// landing zone.")
    landing_zone_secret_key: SecretStr | None = Field(
        default=None, description="Secret of that key. It is given to nobody who asks for the credentials of a zone."
    )
    landing_zone_url: str = Field(
        default="",
        description="Where others reach the folder of the zones, such as sftp://files.example.com/drop; those who ask "
        "for the credentials of a zone are told. Default: its path on this machine while there is one organisation, "
        "or the s3:// address.",
    )
    landing_zone_days: int = Field(
        default=0, ge=0, description="Days that files stay in a landing zone before a worker deletes them; 0: always."
    )
    scratch: Path | None = Field(
        default=None,
        description="Folder for copies of files that are elsewhere or packed, while a run reads them. Default: scratch "
        "in the data folder.",
    )
    scratch_bytes: int = Field(
        default=50_000_000_000, gt=0, description="Bytes that the copies of one run's files may take together."
    )
    allowed_hosts: Annotated[tuple[AllowedHost, ...], NoDecode] = Field(
        default=(),
        description="Hosts that connections may reach, by commas: names, .suffixes, addresses and networks, each "
        "with :port if only that is meant, and folders of Unix sockets. Default: everything but the addresses that "
        "are refused always while there is one organisation, nothing when there are several.",
    )
    odbc_drivers: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Names of installed ODBC drivers that connections may use, by commas. List none that reads files. "
        "Default: none.",
    )
    connectors: Path | None = Field(
        default=None,
        description="File, or folder of files (.yaml, .json), that registers the Singer taps and Airbyte connectors "
        "which connections may name: programs, which run with this service's rights. Default: none.",
    )
    audit_days: int = Field(
        default=0,
        ge=0,
        description="Days that entries of the audit log are kept before workers delete them; 0: always.",
    )
    requests_per_minute: int = Field(
        default=60_000, gt=0, description="Requests that one principal may send to one process within a minute."
    )
    org_requests_per_minute: int = Field(
        default=240_000, gt=0, description="Requests that one organisation may send to one process within a minute."
    )
    runs_per_minute: int = Field(
        default=1000, gt=0, description="Runs that one principal may make at one process within a minute."
    )
    org_runs_per_minute: int = Field(
        default=4000, gt=0, description="Runs that one organisation may make at one process within a minute."
    )
    waiting_runs: int = Field(
        default=10_000, gt=0, description="Runs of one organisation that may wait for a worker at the same time."
    )
    event_streams: int = Field(
        default=20, gt=0, description="Runs that one principal may watch at one process at the same time."
    )
    queries: int = Field(
        default=2,
        ge=1,
        description="SQL queries and previews that one process answers at the same time, each by a process of its own "
        "with at most 1 GiB and 30 seconds.",
    )
    lease: float = Field(
        default=15.0,
        ge=0.5,
        description="Seconds a worker owns a run without renewing; recovery takes as long.",
    )
    poll: float = Field(
        default=0.5, gt=0, description="Seconds between two looks at the queue when nothing wakes the worker."
    )
    worker_rest: float = Field(
        default=300.0,
        gt=0,
        description="Seconds without a run after which the worker of `headgate serve` gives back the memory that runs "
        "take. The next run then takes about a second longer.",
    )
    worker_grace: float = Field(
        default=5.0,
        ge=0,
        le=86_400,
        description="Seconds that runs may take to finish when a worker is told to stop; what is left goes back to the "
        "queue. Whatever stops it must wait longer before it kills.",
    )
    parallel_splits: int = Field(
        default=max(2, min(4, os.cpu_count() or 2)),
        ge=1,
        description="Splits of one run that are read at the same time. Default: the cores, at least 2 and at most 4.",
    )
    parallel_runs: int = Field(default=2, ge=1, description="Runs one worker executes at the same time.")
    org_parallel_runs: int = Field(
        default=0,
        ge=0,
        description="Runs of one organisation that all workers together execute at the same time; 0: any number.",
    )
    duckdb_memory: str = Field(
        default="256MB", description="Memory limit of the engine that reads one split, for instance 256MB."
    )
    max_attempts: int = Field(default=3, ge=1, description="Attempts before a run whose worker keeps dying is failed.")
    snapshots: int = Field(
        default=50,
        ge=1,
        description="Snapshots a table keeps, besides those of runs that have not ended and those that a branch or a "
        "tag names.",
    )
    snapshot_days: float = Field(
        default=5.0, gt=0, description="Days after which a snapshot is not kept even so, unless it is the present one."
    )
    reject_days: float = Field(
        default=90.0,
        gt=0,
        description="Days that the records which a run rejected stay to be looked at; their number stays in the run.",
    )
    webhook_timeout: float = Field(
        default=5.0, gt=0, le=60, description="Seconds that the receiver of a webhook has to answer."
    )
    webhook_tries: int = Field(
        default=10, ge=1, le=20, description="Tries before an event is not sent to a webhook any more."
    )
    webhook_pause: float = Field(
        default=5.0,
        gt=0,
        description="Seconds between the first two tries; each later pause is four times as long, at most six hours.",
    )
    read_grace: float = Field(
        default=3600.0,
        ge=60,
        description="Seconds for which files that no snapshot of a table lists any more stay, for readers in the "
        "middle of a query.",
    )
    token_lifetime: int = Field(default=86_400, gt=0, description="Seconds a token of the built-in issuer lives.")
    strict: bool = Field(
        default=False,
        description="Refuse what is otherwise let pass: a start time in the past, a missing x-sandbox-name, count "
        "beside limit, a run without params.",
    )

    once_initial_load: bool = Field(
        default=False,
        description="Have a flow with the frequency once bring everything there is at its startTime, by one run of its "
        "own. Holds for flows that are made, published or given another schedule while it is set.",
    )

    public_url: str = Field(
        default="", description="Address that clients reach the service at; names the built-in issuer in its tokens."
    )
    issuers: Annotated[tuple[IssuerSettings, ...], NoDecode] = Field(
        default=(), description="OpenID Connect issuers whose tokens are taken, as JSON or as `[[issuers]]` tables."
    )

    @field_validator("metadata_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value and not value.startswith(_DATABASES):  # the value may hold a password and is not quoted
            raise ValueError(f"an address begins with {_DATABASES[0]} or {_DATABASES[-1]}")
        return value

    @field_validator("issuers", mode="before")
    @classmethod
    def _read_issuers(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value or "[]")
        except ValueError as error:
            raise ValueError(f"it is no JSON: {error}") from None

    @field_validator("file_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(Path(part) for part in value.split(os.pathsep) if part)
        return value

    @field_validator("odbc_drivers", mode="before")
    @classmethod
    def _split_drivers(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        if isinstance(value, str):
            value = value.split(",")
        if isinstance(value, list | tuple):
            return tuple(AllowedHost.of(part.strip()) if isinstance(part, str) else part for part in value if part)
        return value

    @field_validator("landing_zone", mode="before")
    @classmethod
    def _zones_as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, Path) else value

    @model_validator(mode="after")
    def _see_zones(self) -> Self:
        scheme, found, rest = self.landing_zone.partition("://")
        if not found:
            return self
        bucket, *folder = rest.rstrip("/").split("/")
        if scheme != "s3" or not bucket or any(part in ("", ".", "..") for part in folder):
            raise ValueError("landing_zone must be a folder, or s3://BUCKET or s3://BUCKET/PREFIX")
        if not self.landing_zone_access_key or self.landing_zone_secret_key is None:
            raise ValueError("a landing_zone on s3:// needs landing_zone_access_key and landing_zone_secret_key")
        return self

    def roots(self, org: str, *, shared: bool) -> tuple[Path, ...]:
        """The folders that an organisation's local sources may be read from, resolved.

        `org` is the organisation's id as a folder's name; `shared` says that there are others.
        """
        default = () if shared else (Path.cwd(), self.data)
        roots = [Path(str(root).replace("{org}", org)) for root in self.file_roots or default]
        return tuple(root.expanduser().resolve() for root in roots)

    @property
    def private(self) -> tuple[Path, ...]:
        """The service's own files, and those that hold secrets: no source may read them wherever the roots are."""
        own = [self.data.resolve() / name for name in ("keys", "warehouse", "service.json")]
        own.append(Path("headgate.toml").resolve())  # below the default roots, and may hold a password
        own.append(self.scratch_folder)
        if self.landing_folder is not None:
            own.append(self.landing_folder)
        if self.metadata.startswith("sqlite"):
            database = Path(self.metadata.partition("///")[2].partition("?")[0]).resolve()
            own += [database.with_name(database.name + end) for end in ("", "-wal", "-shm", "-journal")]
        own += [path.expanduser().resolve() for path in (self.secret_files, self.connectors) if path is not None]
        return tuple(own)

    @property
    def address_note(self) -> Path:
        """The file in which the service of this folder notes the address it answers at."""
        return self.data / "service.json"

    @property
    def metadata(self) -> str:
        """SQLAlchemy address of the metadata database that is used."""
        return self.metadata_url or f"sqlite:///{self.data.resolve() / 'metadata.db'}"

    @property
    def warehouse(self) -> Path:
        """Folder that holds the lake tables and their catalog."""
        return self.data.resolve() / "warehouse"

    @property
    def landing_bucket(self) -> tuple[str, ...]:
        """The bucket and folder in it that the landing zones lie in; empty where they are folders of this machine."""
        scheme, found, rest = self.landing_zone.partition("://")
        return tuple(rest.rstrip("/").split("/")) if found and scheme == "s3" else ()

    @property
    def landing_folder(self) -> Path | None:
        """Folder of the landing zones; None where they lie in a bucket."""
        return None if self.landing_bucket else Path(self.landing_zone or self.data / "landing").expanduser().resolve()

    @property
    def scratch_folder(self) -> Path:
        """Folder of the copies of files that runs are reading."""
        return (self.scratch or self.data / "scratch").expanduser().resolve()

    @property
    def keys(self) -> Path:
        """Folder of the signing key, the secrets key and the local credentials; mode 0700."""
        return self.data.resolve() / "keys"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the places settings come from."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
