"""One kind of thing that a service holds, as commands: list, show, create, update, delete.

The addresses differ in how a page looks and how the next one is asked for; what is said of that stands here, once.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, quote, urlsplit

import click

from headgate.cli.calling import Call, calling
from headgate.cli.completion import completed
from headgate.cli.documents import file_option, pairs, read_document, set_option
from headgate.cli.options import yes_option
from headgate.cli.output import Column, at
from headgate.cli.wording import did_you_mean
from headgate.model.runs import Json

if TYPE_CHECKING:
    from headgate.client import Client

__all__ = ["Pages", "Resources", "catalog_items", "limit_option", "replacing", "setting"]

_FEW = 5  # things of one name that an error names
_PAGE = 100
_COMPARED = 1000  # names that one which is not there is compared with
_ID = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|[0-9a-f]{24}")  # datasets have the short ones

_Command = Callable[..., None]
_etag_option = click.option("--etag", help="The version it must have.  [default: the one it has]")
limit_option = click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(0), help="The first so many; 0 for all."
)


@dataclass(frozen=True, slots=True)
class Pages:
    """How a service pages: `items` of an answer, and the parameter that skips the first ones.

    `skip` None is the flow service's way: a link to the next page. `sized` says that it can be asked for fewer.
    """

    items: Callable[[Any], list[Json]]
    skip: str | None = None
    sized: bool = True

    def read(self, client: "Client", path: str, params: Json, limit: int) -> Iterator[Json]:
        """The first `limit` items, or all of them when that is 0."""
        found = self._all(client, path, params, min(limit or _PAGE, _PAGE))
        return islice(found, limit) if limit else found

    def _all(self, client: "Client", path: str, params: Json, size: int) -> Iterator[Json]:
        skipped = 0
        params = {"limit": size, **params} if self.sized else params
        while True:
            page = client.request("GET", path, **params)
            items = self.items(page)
            yield from items
            skipped += len(items)
            if self.skip is not None:
                if len(items) < size:
                    return
                params = {**params, self.skip: skipped}
            elif following := at(page, "_links.next.href"):
                params = dict(parse_qsl(urlsplit(following).query))
            else:
                return


def catalog_items(page: Any) -> list[Json]:
    """What the catalog answers, each with its id."""
    return [{"id": id_, **item} for id_, item in page.items()]


@dataclass(frozen=True, slots=True)
class Resources:
    """A kind of thing: what it is called, where it is, what is shown of it.

    `paged` says how its listing is read, `one` makes the thing of the answer to a GET of it, `named` is the member that
    people call it by, `asks` how a filter is sent: as `property=member=="value"`, without the quotes, or as
    `member=value`; `versioned` tells that a change names the version it is of.
    """

    word: str
    path: str
    columns: Sequence[Column]
    fields: Sequence[Column]
    paged: Pages
    one: Callable[[Any], Json] = lambda answer: answer
    id: str = "id"
    named: str = "name"
    asks: Literal["quoted", "bare", "member"] = "quoted"
    versioned: bool = True

    @property
    def plural(self) -> str:
        """The word for several."""
        return f"{self.word}es" if self.word.endswith(("ch", "ss")) else f"{self.word}s"

    def at(self, id_: str, rest: str = "") -> str:
        """The address of one thing."""
        return f"{self.path}/{quote(id_, safe='')}{rest}"

    def all(self, client: "Client", *, limit: int = 0, filters: Sequence[str] = (), **params: Any) -> Iterator[Json]:
        """The things that hold every filter `member==value`."""
        if self.asks == "member":
            for filter_ in filters:
                member, _, value = filter_.partition("==")
                params[member] = value.strip('"')
        elif filters:
            params["property"] = list(filters)
        return self.paged.read(client, self.path, params, limit)

    def get(self, client: "Client", id_: str) -> Json:
        """The thing with this id. Raises RequestFailed."""
        return self.one(client.request("GET", self.at(id_)))

    def find(self, client: "Client", text: str) -> Json:
        """The thing with this id or, if only one has it, this name. Raises RequestFailed."""
        from headgate.client import Invalid, NotFound

        if _ID.fullmatch(text) or self.named == self.id or text.startswith("https://"):
            return self.get(client, text)
        found = list(self.all(client, limit=_FEW, filters=[self._called(text)]))
        if len(found) == 1:
            return self.get(client, str(found[0][self.id]))
        if found:
            ids = ", ".join(str(item[self.id]) for item in found)
            detail = f"Several {self.plural} are called {text!r}; name one by its id. The newest are {ids}."
            raise Invalid(detail, status=400)
        names = (str(item.get(self.named) or "") for item in self.all(client, limit=_COMPARED))
        hint = did_you_mean(text, names) or f"`headgate {self.plural.replace(' ', '-')} list` shows those there are."
        raise NotFound(f"There is no {self.word} {text!r} in this sandbox. {hint}", status=404)

    def see_double(self, call: Call, client: "Client", made: Json) -> None:
        """Say of what was made which others have its name, by which it cannot be called now."""
        name = made.get(self.named)
        found = self.all(client, limit=_FEW, filters=[self._called(str(name))]) if name else ()
        others = [str(item[self.id]) for item in found if item[self.id] != made[self.id]]
        if others:
            call.note(
                f"Note: there is another {self.word} {name!r}: {', '.join(others)}. Name each by its id, or give this "
                f"one another name: headgate {self.plural.replace(' ', '-')} update {made[self.id]} --name …"
            )

    def argument(self, name: str = "which") -> Callable[[Any], Any]:
        """The argument of a command that names one; shells complete it."""
        metavar = self.word.upper().replace(" ", "_")
        return click.argument(name, metavar=metavar, shell_complete=partial(completed, self))

    def _called(self, name: str) -> str:
        """The filter by which a name is looked for."""
        if self.asks != "quoted":
            return f"{self.named}=={name}"
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.named}=="{escaped}"'

    # -- the commands ------------------------------------------------------------------------------

    def add_reading(self, group: click.Group) -> None:
        """Add `list` and `show`."""

        @group.command("list", help=f"List {self.plural}.")
        @click.option("--name", help=f"Only those with this {self.named}.")
        @click.option("--filter", "filters", multiple=True, metavar="MEMBER==VALUE", help="Repeatable; all must hold.")
        @limit_option
        @calling
        def list_(call: Call, name: str | None, filters: tuple[str, ...], limit: int) -> None:
            named = (self._called(name),) if name else ()
            with call.client() as client:
                call.show(self.all(client, limit=limit, filters=(*named, *filters)), self.columns, id_=self.id)

        @group.command("show", help=f"Show one {self.word}, by its id or its {self.named}.")
        @self.argument()
        @calling
        def show(call: Call, which: str) -> None:
            with call.client() as client:
                call.show_one(self.find(client, which), self.fields, id_=self.id)

    def add_patch(self, group: click.Group, see: Callable[["Client", Json, Sequence[str]], None] | None = None) -> None:
        """Add `update`, by JSON Patch under the version that was read. `see` refuses what `--set` may not bring."""

        etag_option: Callable[[_Command], _Command] = _etag_option if self.versioned else _as_it_is

        @group.command("update")
        @self.argument()
        @click.option("--name", help=f"A new {self.named}.")
        @set_option
        @click.option("--unset", "unsets", multiple=True, metavar="MEMBER", help="A member that goes. Repeatable.")
        @file_option
        @etag_option
        @calling
        def update(
            call: Call,
            which: str,
            name: str | None,
            sets: tuple[str, ...],
            unsets: tuple[str, ...],
            file: str | None,
            etag: str | None = None,
        ) -> None:
            """Change members of one. FILE is an object whose members replace those there are, or a JSON Patch."""
            with call.client() as client:
                found = self.find(client, which)
                if see is not None:
                    see(client, found, sets)
                given = read_document(file) if file else {}
                ops = given if isinstance(given, list) else replacing(found, given)
                ops = [*ops, *(replacing(found, {self.named: name}) if name else ()), *setting(found, sets)]
                ops += [{"op": "remove", "path": _pointer(path.split("."))} for path in unsets]
                if not ops:
                    raise click.UsageError("Say what is to change, by --set, --unset, --name or --file.")
                self.change(client, found[self.id], ops, etag or found.get("etag"))
                call.show_one(self.get(client, found[self.id]), self.fields, id_=self.id)

    def change(self, client: "Client", id_: str, ops: Sequence[Json], etag: str | None) -> None:
        """Send a JSON Patch. Raises RequestFailed."""
        client.request("PATCH", self.at(id_), body=list(ops), headers={"If-Match": etag} if etag else None)

    def add_delete(self, group: click.Group, what_goes: str = "") -> None:
        """Add `delete`."""

        @group.command("delete", help=f"Remove one {self.word}{what_goes}.")
        @self.argument()
        @yes_option
        @calling
        def delete(call: Call, which: str, yes: bool) -> None:
            with call.client() as client:
                found = self.find(client, which)
                title = found.get(self.named) or found[self.id]
                call.confirm(f"Remove the {self.word} {title}{what_goes}?", yes=yes)
                client.request("DELETE", self.at(found[self.id]))
                call.note(f"The {self.word} {title} is gone.")

    def add_actions(self, group: click.Group, *ops: str) -> None:
        """Add a command for each action."""
        for op in ops:
            self._add_action(group, op)

    def _add_action(self, group: click.Group, op: str) -> None:
        @group.command(op, help=f"{op.capitalize()} one {self.word}.")
        @self.argument()
        @calling
        def act(call: Call, which: str) -> None:
            with call.client() as client:
                found = self.find(client, which)
                client.request("POST", self.at(found[self.id], "/action"), op=op)
                call.show_one(self.get(client, found[self.id]), self.fields, id_=self.id)


def _as_it_is(command: _Command) -> _Command:
    return command


def replacing(before: Json, members: Json) -> list[Json]:
    """A JSON Patch that puts `members` in place of those of `before`."""
    return [
        {"op": "replace" if name in before else "add", "path": _pointer([name]), "value": value}
        for name, value in members.items()
    ]


def setting(before: Json, sets: Sequence[str]) -> list[Json]:
    """A JSON Patch that does what `--set` says: each member alone, with the objects above it that are missing."""
    ops = []
    for path, value in pairs(sets, "--set").items():
        names, place = path.split("."), before
        for depth, name in enumerate(names[:-1], start=1):
            if not isinstance(place.get(name), dict):
                for missing in reversed(names[depth:]):
                    value = {missing: value}
                names = names[:depth]
                break
            place = place[name]
        ops.append({"op": "add", "path": _pointer(names), "value": value})
    return ops


def _pointer(names: Sequence[str]) -> str:
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)
