"""The forms a registry document is shown in, which the Accept header chooses.

Grammar: `application/vnd.adobe.<xed|xdm>[-id|-full|-v2][-notext][-desc][-flat][-deprecated][-link]+json[; version=N]`.
"""

import re
from dataclasses import dataclass

from headgate.errors import SchemaVersionUnknown

__all__ = ["Form", "form_asked"]

_ACCEPT = re.compile(
    r"application/vnd\.adobe\.(?:xed|xdm)(?P<flags>(?:-[a-z0-9]+)*)\+json\s*(?P<rest>;.*)?", re.IGNORECASE
)
_VERSION = re.compile(r"[;\s]version\s*=\s*\"?(?P<number>[0-9.]{1,10})\"?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Form:
    """`id`: only what names a document; `full`: with all it refers to put in its place; `text`: with titles."""

    id: bool = False
    full: bool = False
    link: bool = False
    flat: bool = False
    descriptors: bool = False
    text: bool = True


def form_asked(accept: str, *, default: Form) -> Form:
    """The form that an Accept header asks for, `default` when it names none of ours. Raises SchemaVersionUnknown."""
    for part in accept.split(","):
        found = _ACCEPT.fullmatch(part.strip())
        if found is None:
            continue
        if (version := _VERSION.search(found["rest"] or "")) and version["number"] not in ("1", "1.0"):
            raise SchemaVersionUnknown(
                f"Accept asks for the version {version['number']}; documents have the version 1."
            )
        flags = set(found["flags"].lower().split("-"))
        return Form(
            id="id" in flags,
            full="full" in flags,
            link="link" in flags,
            flat="flat" in flags,
            descriptors="desc" in flags,
            text="notext" not in flags,
        )
    return default
