"""What people call a source, as the kind of connection it is: URLs of databases and stores, folders, files."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from headgate.cli.connections import ENDINGS
from headgate.errors import InvalidRequest
from headgate.model.runs import Json

__all__ = ["Source", "source_of"]

_DATABASES = {
    "postgresql": ("postgresql", 5432, "PGPASSWORD"),
    "postgres": ("postgresql", 5432, "PGPASSWORD"),
    "mysql": ("mysql", 3306, "MYSQL_PWD"),
    "mariadb": ("mariadb", 3306, "MYSQL_PWD"),
}
_FILES = {"sqlite": "sqlite", "duckdb": "duckdb"}
_SCHEMES = "postgresql://, mysql://, mariadb://, sqlite:///, duckdb:///, s3:// or a folder or a file"
_SECRET = "${SECRET}"  # noqa: S105 - the place of one in a document


@dataclass(frozen=True, slots=True)
class Source:
    """A connection, and what it is called: its address without a secret.

    `secrets` are those of the connection that are not to be stored as references, `folders` the places on this machine
    that it reads.
    """

    name: str
    spec: str
    params: Json
    auth: str | None = None
    path: str | None = None
    password: bool = True
    secrets: Json = field(default_factory=dict, repr=False)
    folders: tuple[Path, ...] = ()

    @property
    def connection(self) -> str:
        """The name of the connection; how one lets in cannot change."""
        return self.name if self.password else f"{self.name} without a password"

    @property
    def of_files(self) -> bool:
        """Whether files are read, and not tables."""
        return self.spec in ("local-files", "amazon-s3")

    def reads(self, table: str | None, format_: str | None) -> Json:
        """The source of a document: a table, or files below the connection. Raises InvalidRequest."""
        if not self.of_files:
            if table is None:
                raise InvalidRequest("Name the table that is to be copied, behind the source.")
            return {"params": {"tableName": table}}
        path = table or self.path
        if path is None:
            raise InvalidRequest("Name the files below the source that are to be copied: a path or a wildcard.")
        form = format_ or ENDINGS.get(path.removesuffix(".gz").rpartition(".")[2].lower())
        if form is None:
            raise InvalidRequest(f"How {path} is written cannot be seen by its name. Say it by --format.")
        return {"params": {"path": path}, "data": {"format": form}}


def source_of(text: str, password: str | None) -> Source:
    """Read an address. `password` is the secret itself, or a reference to it (env:NAME). Raises InvalidRequest."""
    if "://" not in text:
        return _folder(Path(text))
    url = urlsplit(text)
    try:
        port = url.port
    except ValueError:
        raise InvalidRequest("The port of the source is no number up to 65535.") from None
    if url.password is not None:
        raise InvalidRequest(
            "The source holds a password, which others on this machine can read. Leave it out, and give it by "
            "--password env:NAME or --password-stdin."
        )
    match url.scheme:
        case "file":
            return _folder(Path(unquote(url.path)))
        case "s3":
            return _s3(url)
        case scheme if scheme in _FILES:
            path = Path(unquote(url.netloc + url.path.removeprefix("/"))).absolute()
            return Source(f"{scheme}:///{path}", _FILES[scheme], {"path": str(path)}, folders=(path.parent,))
        case scheme if scheme in _DATABASES:
            return _database(url, port, password)
    raise InvalidRequest(f"{url.scheme}:// cannot be copied from at once; send {_SCHEMES}. For others make a flow.")


def _folder(path: Path) -> Source:
    path = path.expanduser().absolute()
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(16)
        scheme = "sqlite" if head.startswith(b"SQLite format 3") else "duckdb" if head[8:12] == b"DUCK" else None
        if scheme is not None:
            raise InvalidRequest(f"{path.name} is a database. Write {scheme}:///{path}, and behind it the table.")
        return Source(
            f"{path.parent}", "local-files", {"folder": str(path.parent)}, path=path.name, folders=(path.parent,)
        )
    if not path.is_dir():
        raise InvalidRequest(f"There is no folder or file {path}. A source is {_SCHEMES}.")
    return Source(str(path), "local-files", {"folder": str(path)}, folders=(path,))


def _s3(url: SplitResult) -> Source:
    names = {"s3AccessKey": "AWS_ACCESS_KEY_ID", "s3SecretKey": "AWS_SECRET_ACCESS_KEY"}
    for variable in names.values():
        if not os.environ.get(variable):
            raise InvalidRequest(f"Files in S3 need the environment variable {variable}, which is not set.")
    params = {name: f"env:{variable}" for name, variable in names.items()}
    if os.environ.get("AWS_SESSION_TOKEN"):
        params["s3SessionToken"] = "env:AWS_SESSION_TOKEN"
    params["bucketName"] = url.netloc
    if folder := url.path.strip("/"):
        params["folderPath"] = folder
    for name, variable in (("region", "AWS_REGION"), ("serviceUrl", "AWS_ENDPOINT_URL")):
        if os.environ.get(variable):
            params[name] = os.environ[variable]
    return Source(f"s3://{url.netloc}{url.path.rstrip('/')}", "amazon-s3", params)


def _database(url: SplitResult, port: int | None, password: str | None) -> Source:
    spec, usual, variable = _DATABASES[url.scheme]
    asked = dict(parse_qsl(url.query))
    host = asked.pop("host", None) or url.hostname or ""
    mode = asked.pop("sslmode", asked.pop("sslMode", None))
    if asked:
        raise InvalidRequest(f"The parameter {min(asked)} of the source is not known here; there are host and sslmode.")
    user, database = unquote(url.username or ""), unquote(url.path.strip("/"))
    for value, what in ((host, "a host"), (user, "a user"), (database, "a database")):
        if not value:
            raise InvalidRequest(f"The source lacks {what}: {spec}://user@host/database.")
    if password is None and os.environ.get(variable):
        password = f"env:{variable}"
    name = f"{spec}://{user}@{host}:{port or usual}/{database}"
    if password is None and spec == "postgresql":  # a server that lets this user in without one
        place = f"{quote(user, safe='')}@:{port or usual}/{quote(database, safe='')}"
        text = f"postgresql://{place}?host={quote(host, safe='')}"
        text += f"&sslmode={mode}" if mode else ""
        return Source(name, spec, {"connectionString": _SECRET}, password=False, secrets={"SECRET": text})
    if password is None:
        raise InvalidRequest(f"{spec} needs a password: --password env:NAME, --password-stdin, or {variable}.")
    params: Json = {"server": host, "port": port or usual, "database": database, "username": user}
    params |= {"sslMode": mode} if mode else {}
    named = password.startswith(("env:", "file:"))
    params["password"] = password if named else _SECRET
    return Source(name, spec, params, auth="Basic Authentication", secrets={} if named else {"SECRET": password})
