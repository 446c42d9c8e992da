"""Bodies that people write: in a file of JSON or YAML, and by `--set member=value`."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from headgate.model.runs import Json

__all__ = ["file_option", "pairs", "put", "read_document", "read_object", "set_option"]

file_option = click.option(
    "--file", "-f", "file", metavar="FILE", help="JSON or YAML, as the API takes it; - reads it from standard input."
)
set_option = click.option(
    "--set", "sets", metavar="MEMBER=VALUE", multiple=True, help="A member by its path, as in params.tableName=orders."
)


def read_document(file: str) -> Any:
    """What a file of JSON or YAML holds; `-` is standard input. Raises UsageError."""
    import yaml

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"{file} is no text in UTF-8.") from None
    try:
        yaml_by_name = file.endswith((".yaml", ".yml"))
        if file.endswith(".json") or (text.lstrip()[:1] in ("{", "[") and not yaml_by_name):
            return json.loads(text)
        return yaml.load(text, Loader=_plain(yaml))  # noqa: S506 - a loader of texts, numbers, lists and mappings
    except json.JSONDecodeError as error:
        raise click.UsageError(f"{file} is no JSON: line {error.lineno}, {error.msg}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}," if mark else ""
        raise click.UsageError(f"{file} is no YAML:{where} {getattr(error, 'problem', error)}.") from None


def read_object(file: str | None) -> Json:
    """The object in a file; an empty one when there is no file. Raises UsageError."""
    if file is None:
        return {}
    found = read_document(file)
    if not isinstance(found, dict):
        raise click.UsageError(f"{file} holds no object.")
    return found


def pairs(given: Iterable[str], option: str) -> dict[str, Any]:
    """`name=value` texts as a mapping; a value is read as JSON where it is some. Raises UsageError."""
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.UsageError(f"{option} takes NAME=VALUE.")  # without the text, which may be a secret
        found[name] = _value(value)
    return found


def put(body: Json, sets: Iterable[str]) -> None:
    """Put what `--set` names into `body`."""
    for path, value in pairs(sets, "--set").items():
        *parents, name = path.split(".")
        place = body
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise click.UsageError(f"--set {path}: {parent} is no object.")
        place[name] = value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _plain(yaml: Any) -> Any:
    """PyYAML's safe loader without its times: `2026-01-01` stays the text that it is."""

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        yaml_implicit_resolvers = {  # noqa: RUF012 - as in PyYAML
            first: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:timestamp"]
            for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                name = getattr(key, "value", None)
                if isinstance(name, str) and name in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{name!r} stands twice", key.start_mark)
                seen.add(name if isinstance(name, str) else id(key))
            return super().construct_mapping(node, deep)

    return Loader
