"""`headgate api`: any address of the service, for what has no command of its own."""

import json
from urllib.parse import parse_qsl, urlsplit

import click

from headgate.cli.calling import Call, calling
from headgate.cli.documents import pairs, read_document
from headgate.cli.output import show_document

__all__ = ["api"]

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@click.command()
@click.argument("method", type=click.Choice(_METHODS, case_sensitive=False))
@click.argument("path")
@click.option("--file", "-f", "file", metavar="FILE", help="The body, JSON or YAML; - for standard input.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="Of the query. Repeatable.")
@click.option("--header", "-H", "headers", multiple=True, metavar="NAME: VALUE", help="Of the request. Repeatable.")
@calling
def api(
    call: Call, method: str, path: str, file: str | None, params: tuple[str, ...], headers: tuple[str, ...]
) -> None:
    """Call an address of the API, such as /headgate/queue, with the token and the sandbox that commands use.

    The answer is printed as JSON, or as YAML. See docs/reference/api.md for what there is.
    """
    if not path.startswith("/") or path.startswith("//"):
        raise click.UsageError("PATH is an address below the service's, and begins with one slash.")
    split = urlsplit(path)
    asked = {**dict(parse_qsl(split.query, keep_blank_values=True)), **pairs(params, "--param")}
    asked = {name: value if isinstance(value, str) else json.dumps(value) for name, value in asked.items()}
    given = dict(_header(text) for text in headers)
    with call.client() as client:
        body = read_document(file) if file else None
        found = client.request(method, split.path, body=body, headers=given or None, **asked)
    if found is not None:
        show_document(found, "yaml" if call.output == "yaml" else "json")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or name.strip().lower() == "authorization":
        raise click.UsageError("--header is NAME: VALUE; how the caller is known is not given by it.")
    return name.strip(), value.strip()
