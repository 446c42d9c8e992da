"""A flow that is being put together, step by step. What was chosen so far is the address of the step, and no secret.

So that steps can be gone back to, reloaded, opened twice and sent to somebody, and nothing of it is kept here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from headgate.errors import BadParameter
from headgate.model.resources import WriteMode
from headgate.model.runs import Json

__all__ = ["STEPS", "Draft", "Pairs", "resource_params"]

Pairs = Sequence[tuple[str, str]]
STEPS = {
    "connection": "Connection",
    "data": "Data",
    "target": "Dataset",
    "mapping": "Columns",
    "schedule": "When",
    "review": "Review",
}
"""The steps in their order, and what each is called."""

_LONGEST = 8000  # characters of an address that browsers and proxies let pass, with the session's cookies beside it
_RENAMED = "as."
_LISTS = ("drop",)
_WILD = frozenset("*?[")


def resource_params(text: str) -> Json:
    """The params of a source connection to a resource of an API, which is called by name, or described in JSON.

    Parameters follow a name as in an address: `members?listId=7`. Raises BadParameter.
    """
    if not text.startswith("{"):
        return {"resourcePath": text}
    try:
        params: Json = json.loads(text)
    except ValueError as error:
        raise BadParameter(f"The resource begins like JSON and is none: {error}.", parameter="object") from None
    return params


@dataclass(frozen=True, slots=True)
class Draft:
    """What has been chosen. Everything is as a form has it: a text, empty for what was not said.

    `object` is the table, the resource as `resource_params` takes it, or the file that the preview shows; `reads` says
    of files whether it is the file, its folder or what matches `pattern`. `key` are the source's columns that tell rows
    apart, `drop` those that are left out, `renamed` the other names of those that stay.
    """

    connection: str = ""
    spec: str = ""
    object: str = ""
    reads: str = "file"
    pattern: str = ""
    recursive: str = ""
    fileType: str = ""  # noqa: N815 - these four as the API spells them
    columnDelimiter: str = ""  # noqa: N815
    compressionType: str = ""  # noqa: N815
    encoding: str = ""
    dataset: str = ""
    dataset_name: str = ""
    name: str = ""
    mode: str = WriteMode.REPLACE_WINDOW.value
    key: tuple[str, ...] = ()
    partition: str = ""
    percent: str = ""
    drop: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    frequency: str = "once"
    interval: str = "1"
    start: str = ""
    backfill: str = ""
    delta: str = ""

    @classmethod
    def of(cls, pairs: Pairs) -> "Draft":
        """The draft that an address or a form holds. Of what is not known, nothing is taken."""
        texts = {one.name for one in fields(cls)} - {"drop", "key", "renamed"}
        given: dict[str, Any] = {name: value.strip() for name, value in pairs if name in texts and value.strip()}
        drop = tuple(dict.fromkeys(value for name, value in pairs if name == "drop"))
        key = tuple(dict.fromkeys(value for name, value in pairs if name == "key" and value))
        renamed = {name.removeprefix(_RENAMED): value.strip() for name, value in pairs if name.startswith(_RENAMED)}
        kept = {old: new for old, new in renamed.items() if new and new != old and old not in drop}
        return cls(**given, key=key, drop=drop, renamed=tuple(kept.items()))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """What an address or a form must hold for this draft."""
        default, found = Draft(), []
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name in ("drop", "key"):
                found += [(one.name, column) for column in value]
            elif one.name == "renamed":
                found += [(_RENAMED + old, new) for old, new in value]
            elif value != getattr(default, one.name):
                found.append((one.name, value))
        return found

    def but(self, names: Iterable[str]) -> list[tuple[str, str]]:
        """The pairs without those of some names, which a form asks for: what its hidden fields must hold."""
        left_out = set(names)
        return [
            (name, value)
            for name, value in self.pairs
            if name not in left_out and not ("renamed" in left_out and name.startswith(_RENAMED))
        ]

    def address(self, step: str) -> str:
        """The address of a step with this draft."""
        return f"/wizard?{urlencode([('step', step), *self.pairs])}"

    @property
    def too_long(self) -> bool:
        """Whether so much was chosen that no address can hold it."""
        return len(self.address("connection")) > _LONGEST

    # -- what follows from what was chosen -----------------------------------------------------------

    @property
    def how(self) -> Mapping[str, str]:
        """How the file is written, by the names of the API's parameters."""
        return {
            "fileType": self.fileType,
            "columnDelimiter": self.columnDelimiter,
            "compressionType": self.compressionType,
            "encoding": self.encoding,
        }

    @property
    def folder(self) -> str:
        """The folder that the file lies in."""
        return self.object.rpartition("/")[0] or "/"

    @property
    def matching(self) -> str:
        """The wildcard: the one that was written, or all files of this ending in the folder."""
        ending = self.object.rpartition("/")[2].partition(".")[2]
        return self.pattern or f"{self.folder.rstrip('/')}/*{'.' + ending if ending else ''}"

    @property
    def path(self) -> str:
        """Which files are read."""
        return {"folder": self.folder, "match": self.matching}.get(self.reads, self.object)

    @property
    def path_type(self) -> str:
        """Whether the path is a file or a folder; empty for a wildcard."""
        if self.reads == "match" and _WILD & set(self.matching):
            return ""
        return "folder" if self.reads == "folder" else "file"

    @property
    def subject(self) -> str:
        """The table or the files, as a name has it."""
        text = self.object
        if text.startswith("{"):
            text = str(resource_params(text).get("resourcePath", "query"))
        return text.partition("?")[0].rstrip("/").rpartition("/")[2] or text

    @property
    def keys(self) -> list[str]:
        """The columns of the primary key, as the dataset calls them."""
        new = dict(self.renamed)
        return [new.get(name, name) for name in self.key]

    @property
    def mapped(self) -> bool:
        """Whether the columns are any other than those of the source."""
        return bool(self.drop or self.renamed)

    def columns(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Those of the source's columns that are kept, each with the name that it gets."""
        new = dict(self.renamed)
        return [(name, new.get(name, name)) for name in names if name not in self.drop]

    @property
    def begins(self) -> int | None:
        """The schedule's start, in seconds since the epoch; None when it is no time."""
        try:
            return int(datetime.fromisoformat(self.start.removesuffix("Z")).replace(tzinfo=UTC).timestamp())
        except ValueError:
            return None

    @property
    def delta_column(self) -> Mapping[str, str]:
        """The delta column as a run and a flow take it."""
        name, _, form = self.delta.partition("\t")
        return {"name": name, **({"dateFormat": form} if form else {})}
