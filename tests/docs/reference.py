"""The parts of docs/reference that the code says: settings, addresses, commands, error codes, types, the client.

    make reference        (python -m tests.docs.reference)

writes them anew. Such a part stands between `<!-- generated: NAME WORDS -->` and `<!-- /generated -->`, and NAME is one
of `MAKERS`; what stands around it is written by people. Who adds a setting, an address, an option or an error describes
it in the code: its `description`, its docstring, its `help`.
"""

import importlib
import inspect
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import click

import headgate
from headgate import errors
from headgate.api import create_app
from headgate.cli.commands import cli
from headgate.client import errors as client_errors
from headgate.client.asking import Group, call, pages
from headgate.config import Settings
from headgate.model.orgs import BUILT_IN_ROLES
from headgate.service import access
from headgate.service.service import Service
from tests.conformance import reference as sources

__all__ = ["PAGES", "Undocumented", "addresses", "commands", "page"]

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
PAGES = sorted(FOLDER.glob("*.md"))
_PART = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- /generated -->)", re.DOTALL)
_METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
_AS_IT_IS = "\b\n"  # before a paragraph of a command's help that Click does not wrap
_SHARED = 6  # commands that have an option before it is told once for all

# Where a setting is explained at length.
_SEE = {
    "allowed_hosts": "[security](../explanation/security.md)",
    "issuers": "[issuers](#issuers)",
    "reject_days": "[bad records](../how-to/bad-records.md)",
    "secrets_key_command": "[security](../explanation/security.md#secrets)",
    "snapshots": "[tables](../explanation/tables.md)",
}


class Undocumented(AssertionError):
    """Something of the code is described nowhere."""


def page(path: Path) -> str:
    """The page at `path` with its generated parts as they have to be. Raises Undocumented."""
    text = path.read_text(encoding="utf-8")
    if path == sources.PAGE:
        return sources.page()
    return _PART.sub(lambda part: part[1] + "\n".join(_made(*part[2].split())) + "\n" + part[3], text)


def _made(name: str, *words: str) -> Iterable[str]:
    return MAKERS[name](*words)


def _settings() -> Iterator[str]:
    yield from ("| variable | default | meaning |", "|---|---|---|")
    for name, field in Settings.model_fields.items():
        if not field.description:
            raise Undocumented(f"Settings.{name} has no description; `make reference` needs one.")
        meaning = field.description + (f" See {_SEE[name]}." if name in _SEE else "")
        default = "(see right)" if "Default:" in meaning else _value(field.default)
        yield _row(f"`HEADGATE_{name.upper()}`", default, meaning)


def _value(default: object) -> str:
    if default in ("", None, ()):
        return "none"
    if isinstance(default, bool | float):
        return json.dumps(int(default) if isinstance(default, float) and default.is_integer() else default)
    return str(default)


def _routes(*bases: str) -> Iterator[str]:
    """The addresses below `bases`, each without its base, if that is one of a service below /data."""
    yield from ("| address | permission | what it does |", "|---|---|---|")
    described = addresses()
    for base in bases:
        for path in sorted(path for path in described if f"{path}/".startswith(f"{base}/")):
            for method in (method for method in _METHODS if method.lower() in described[path]):
                about = described[path][method.lower()]
                if not about.get("description"):
                    raise Undocumented(f"The handler of {method} {path} has no docstring; `make reference` needs one.")
                address = (path.removeprefix(base) or "/") if base.startswith("/data/") else path
                permission = about.get("x-permission", "none")
                yield _row(f"`{method} {address}`", permission, about["description"].split("\n\n")[0])


@cache
def addresses() -> dict[str, dict[str, dict[str, Any]]]:
    """Every address of the API, and what OpenAPI says of each of its methods."""
    described: dict[str, dict[str, dict[str, Any]]] = create_app(cast(Service, None)).openapi()["paths"]
    return described


def _errors(module: str) -> Iterator[str]:
    found = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.HeadgateError)]
    found = [kind for kind in found if kind.__module__ == f"headgate.errors.{module}"]
    answered = not any(issubclass(kind, errors.RunError) for kind in found)  # others stand in a run, without a status
    yield _row("code", *(["status"] if answered else []), "what it says", "what to do")
    yield "|---" * (4 if answered else 3) + "|"
    for kind in sorted(found, key=lambda kind: (kind.code, kind.__name__)):
        if not kind.__doc__:
            raise Undocumented(f"The error {kind.__name__} has no docstring; `make reference` needs one.")
        says, _, do = " ".join(kind.__doc__.split()).partition(". ")
        if kind.retryable and not answered:
            do = "It is tried again by itself; if that did not help, run the window again later."
        yield _row(f"`{kind.code}`", *([str(kind.status)] if answered else []), f"{says.rstrip('.')}.", do)


def _permissions() -> Iterator[str]:
    yield from ("| permission | allows | roles that have it |", "|---|---|---|")
    for name, allowed in access.reference()["permissions"].items():
        (what, actions), *_ = allowed.items()
        roles = ", ".join(role for role, permissions in BUILT_IN_ROLES.items() if name in permissions)
        yield _row(f"`{name}`", f"{', '.join(actions)}: {what}", roles)


def _types(module: str) -> Iterator[str]:
    yield from (
        line
        for line in (importlib.import_module(f"headgate.sources.sql.{module}").__doc__ or "").splitlines()
        if line.startswith("|")
    )


def commands() -> dict[tuple[str, ...], click.Command]:
    """Every command, and every group of them, by the words that call it."""
    return dict(_walk(cli, ("headgate",)))


def _commands() -> Iterator[str]:
    every = [(path, command, [_option(path, one) for one in _options(command)]) for path, command in commands().items()]
    counts = Counter(row for _, _, rows in every for row in rows)
    shared = [row for row, count in counts.items() if count >= _SHARED]
    yield from ("Most commands take these; they are not repeated below.", "", "| option | meaning |", "|---|---|")
    yield from (_row(*row) for row in shared)
    for path, command, rows in every[1:]:
        usage = " ".join([*path, *(f"{a.make_metavar(click.Context(command))}" for a in _arguments(command))])
        yield from ("", f"{'#' * min(len(path), 4)} `{usage}`", "")
        if not command.help:
            raise Undocumented(f"`{' '.join(path)}` has no docstring; `make reference` needs one.")
        yield "\n\n".join(
            f"```text\n{part.removeprefix(_AS_IT_IS)}\n```" if part.startswith(_AS_IT_IS) else part
            for part in inspect.cleandoc(command.help).split("\n\n")
        )
        if own := [row for row in rows if row not in shared]:
            yield from ("", "| option | meaning |", "|---|---|", *(_row(*row) for row in own))
    yield ""


def _walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from _walk(below, (*path, name))


def _arguments(command: click.Command) -> Iterator[click.Argument]:
    yield from (one for one in command.params if isinstance(one, click.Argument))


def _options(command: click.Command) -> Iterator[click.Option]:
    yield from (one for one in command.params if isinstance(one, click.Option) and not one.hidden)


def _option(path: tuple[str, ...], option: click.Option) -> tuple[str, str]:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    meaning, told, default = (option.help or "").partition("[default: ")
    if not meaning.strip():
        raise Undocumented(f"The option {names} of `{' '.join(path)}` has no help; `make reference` needs one.")
    if told:
        meaning = f"{meaning.strip()} Default: {default.removesuffix(']')}."
    if isinstance(option.type, click.Choice):
        meaning += f" One of {', '.join(f'`{choice}`' for choice in option.type.choices)}."
    if option.required:
        meaning += " Required."
    if option.show_default and not option.is_flag and isinstance(option.default, str | int | float):
        meaning += f" Default: `{option.default}`."
    return names, meaning


def _client() -> Iterator[str]:
    """The Python client: itself, its groups of methods, runs and errors."""
    client = headgate.Client("http://localhost", token="-", api_key="-", org="-")
    own = type(client)
    yield from ("## `headgate.Client`", "", *_paragraphs(own), "", f"`Client{_signature(own.__init__)}`", "")
    yield from (*_paragraphs(own.__init__), "", *_methods(own), "")
    yield from ("## `headgate.AsyncClient`", "", *_paragraphs(headgate.AsyncClient), "")
    for name, group in vars(client).items():
        if isinstance(group, Group):
            yield from (f"## `client.{name}`", "", *_paragraphs(type(group)), "", *_methods(type(group)), "")
    yield from ("## `headgate.Run`", "", *_paragraphs(headgate.Run), "", *_methods(headgate.Run), "")
    yield from ("## Errors", "", "| exception | when |", "|---|---|")
    for kind in (headgate.HeadgateError, *(vars(client_errors)[name] for name in client_errors.__all__)):
        if inspect.isclass(kind):
            own_words = kind.__doc__ if kind is not headgate.HeadgateError else "What all of them are."
            yield _row(f"`{kind.__name__}`", own_words or "")


def _methods(of: type) -> Iterator[str]:
    """A table of the public methods and properties of a class, those of its bases first."""
    yield from ("| method | what it does |", "|---|---|")
    names = [name for kind in reversed(of.__mro__) for name in vars(kind) if not name.startswith("_")]
    for name in dict.fromkeys(names):
        found = inspect.getattr_static(of, name)
        if isinstance(found, call | pages | classmethod | property) or inspect.isfunction(found):
            yield _row(f"`{name}{_signature(found)}`", "<br>".join(_paragraphs(found, f"{of.__name__}.{name}")))


def _paragraphs(thing: object, name: str = "") -> list[str]:
    text = inspect.getdoc(thing)
    if not text:
        raise Undocumented(f"{name or thing} has no docstring; `make reference` needs one.")
    return [" ".join(part.split()) for part in text.split("\n\n")]


def _signature(thing: Any) -> str:
    """The parameters of a method, without the object's own and without types."""
    if isinstance(thing, property):
        return ""
    function = thing.steps if isinstance(thing, call | pages) else getattr(thing, "__func__", thing)
    _, *given = inspect.signature(function).parameters.values()
    return str(inspect.Signature([one.replace(annotation=inspect.Parameter.empty) for one in given]))


def _row(*cells: str) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', '&#124;') for cell in cells)} |"


def _manifest(name: str = "") -> Iterator[str]:
    """The members of a manifest, or of one part of it by its name in the schema."""
    schema = json.loads((FOLDER.parents[1] / "src/headgate/sources/rest/manifest.schema.json").read_text())
    part = schema["$defs"][name] if name else schema
    shapes = [shape for shape in part.get("oneOf", part.get("anyOf", ())) if "properties" in shape] or [part]
    told = [(shape["properties"].get("kind", {}).get("const"), shape) for shape in shapes]
    yield from ("| member | what it says |", "|---|---|")
    for kind, shape in told:
        if kind is not None:
            yield _row(f"`kind: {kind}`", _of_schema(f"{name} {kind}", shape))
        for member, about in shape["properties"].items():
            if member == "kind":
                continue
            needed = " *(needed)*" if member in shape.get("required", ()) else ""
            indent = "&emsp;" if kind is not None else ""
            yield _row(f"{indent}`{member}`{needed}", _of_schema(f"{name} {member}", about))


def _of_schema(what: str, about: dict[str, Any]) -> str:
    if not about.get("description"):
        raise Undocumented(f"{what} has no description in manifest.schema.json; `make reference` needs one.")
    words = ", ".join(f"`{word}`" for word in about.get("enum", ()))
    return f"{about['description']}{f' One of {words}.' if words else ''}"


MAKERS: dict[str, Callable[..., Iterable[str]]] = {
    "client": _client,
    "commands": _commands,
    "errors": _errors,
    "manifest": _manifest,
    "permissions": _permissions,
    "routes": _routes,
    "settings": _settings,
    "types": _types,
}


def main(pages: Sequence[Path] = PAGES) -> None:
    """Write the generated parts of all pages."""
    for path in pages:
        made = page(path)
        if made != path.read_text(encoding="utf-8"):
            path.write_text(made, encoding="utf-8")
            print(f"{path.relative_to(FOLDER.parents[1])} written anew")


if __name__ == "__main__":
    main()
