"""`headgate whoami` and `headgate permissions`: who calls, and what they may do."""

import sys

import click

from headgate.cli.calling import Call, calling
from headgate.cli.output import Column
from headgate.model.addresses import ACCESS, HEADGATE

__all__ = ["permissions", "whoami"]

_ME: tuple[Column, ...] = (
    ("user", "sub"),
    ("name", "name"),
    ("kind", "account_type"),
    ("organisation", "organisation"),
    ("sandbox", "sandbox"),
    ("may act in", lambda me: [one["orgId"] for one in me["organisations"]]),
    ("may", "permissions"),
)


@click.command()
@calling
def whoami(call: Call) -> None:
    """Say whom the commands act for: user, organisation, sandbox and permissions there."""
    known = call.credentials()
    with call.client() as client:
        me = client.request("GET", "/ims/userinfo/v2")
        organisations = client.request("GET", f"{HEADGATE}/organisations")["items"]
        names = client.request("GET", f"{ACCESS}/acl/reference")["permissions"]
        asked = [f"/permissions/{name}" for name in names]
        allowed = client.request("POST", f"{ACCESS}/acl/effective-policies", body=asked)["policies"]
    held = [name for name in names if allowed[f"/permissions/{name}"]]
    more = {"organisation": known["orgId"], "sandbox": known["sandbox"]}
    call.show_one({**me, **more, "organisations": organisations, "permissions": held}, _ME, id_="sub")


@click.group()
def permissions() -> None:
    """Show what can be allowed, and what is."""


@permissions.command("list")
@calling
def list_(call: Call) -> None:
    """List every permission, what it allows, and whether the caller has it in the sandbox."""
    with call.client() as client:
        meanings = client.request("GET", f"{ACCESS}/acl/reference")["permissions"]
        asked = [f"/permissions/{name}" for name in meanings]
        held = client.request("POST", f"{ACCESS}/acl/effective-policies", body=asked)["policies"]
    rows = [
        {"permission": name, "on": what, "allows": actions, "held": bool(held[f"/permissions/{name}"])}
        for name, allowed in meanings.items()
        for what, actions in allowed.items()
    ]
    columns: tuple[Column, ...] = (("permission", "permission"), ("on", "on"), ("allows", "allows"), ("yours", "held"))
    call.show(rows, columns, id_="permission")


@permissions.command()
@click.argument("names", metavar="PERMISSION...", nargs=-1, required=True)
@calling
def check(call: Call, names: tuple[str, ...]) -> None:
    """Say whether the caller has each PERMISSION in the sandbox. Exits with 1 when one is missing."""
    with call.client() as client:
        asked = [f"/permissions/{name}" for name in names]
        found = client.request("POST", f"{ACCESS}/acl/effective-policies", body=asked)["policies"]
    rows = [{"permission": name, "held": bool(found[f"/permissions/{name}"])} for name in names]
    call.show(rows, (("permission", "permission"), ("yours", "held")), id_="permission")
    if not all(row["held"] for row in rows):
        sys.exit(1)
