"""The form of a connection: one field for each parameter that an authentication spec's JSON Schema declares."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headgate.errors import HeadgateError
from headgate.model.runs import Json
from headgate.service.connections import MASK

__all__ = ["AuthField", "AuthForm"]

_STEM = "p."  # what the names of these fields begin with
_WHERE = "auth.params."
_KEYS = re.compile(r"privatekey|serviceaccountkey", re.IGNORECASE)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_SHORT = {word.lower(): word for word in ("API", "AWS", "DSN", "SAS", "SQL", "SSH", "SSL", "TLS", "URI", "URL")}
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_SELDOM = ("serviceUrl",)


@dataclass(frozen=True, slots=True)
class AuthField:
    """One parameter: how it is asked for, what it holds now, and what is wrong with that.

    `kept` says of a secret that one is stored, which an empty field leaves as it is.
    """

    name: str
    label: str
    form: str  # text, number, select, area, password or secret-area
    help: str
    required: bool
    options: Sequence[tuple[str, str]] | None = None
    attributes: Mapping[str, Any] | None = None
    placeholder: str = ""
    kept: bool = False

    @property
    def seldom(self) -> bool:
        """Whether hardly anybody fills it in."""
        return not self.required and self.name in _SELDOM

    @property
    def field(self) -> str:
        """The name of the form's field."""
        return _STEM + self.name

    @property
    def secret(self) -> bool:
        """Whether what it holds is never shown."""
        return self.form in ("password", "secret-area")


class AuthForm:
    """The parameters of one authentication spec; `stored` are those that a connection has, with its secrets masked."""

    def __init__(self, auth: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
        self.name: str = auth["name"]
        schema = auth.get("spec") or {}
        self._properties: Mapping[str, Any] = schema.get("properties") or {}
        required = schema.get("required") or ()
        self.stored = stored
        found = [
            _field(name, about, required=name in required, kept=stored.get(name) == MASK)
            for name, about in self._properties.items()
        ]
        self.fields = sorted(found, key=lambda field: (not field.required, field.seldom))

    def values(self, form: Mapping[str, str]) -> dict[str, str]:
        """What the fields show: what was sent, else what is stored; of a secret nothing, unless it is a reference."""
        shown = {}
        for field in self.fields:
            value = self.stored.get(field.name)
            text = form.get(field.field, "" if value in (None, MASK) else _written(value))
            shown[field.name] = "" if field.secret and text != _written(value) else text
        return shown

    def params(self, form: Mapping[str, str]) -> Json:
        """`auth.params` that the form stands for. Empty fields are left out, but for secrets that are to stay."""
        params: Json = {}
        for field in self.fields:
            text = form.get(field.field, "")
            text = text if field.secret else text.strip()
            if text:
                params[field.name] = self._read(field.name, text)
            elif field.kept:
                params[field.name] = MASK
        return params

    def missing(self, params: Json) -> dict[str, str]:
        """The fields that must be filled and are not, each with a sentence."""
        lacking = [field.name for field in self.fields if field.required and field.name not in params]
        return dict.fromkeys(lacking, "Fill this in.")

    def _read(self, name: str, text: str) -> Any:
        types = _types(self._properties[name])
        if _as_json(self._properties[name]):
            try:
                return json.loads(text)
            except ValueError:
                return text  # which the service refuses, with the parameter's name
        if "array" in types:
            return [line.strip() for line in text.splitlines() if line.strip()]
        if "boolean" in types and text in ("true", "false"):
            return text == "true"
        if "integer" in types and _WHOLE.fullmatch(text):
            return int(text)
        if "number" in types and _DECIMAL.fullmatch(text):
            return float(text)
        return text

    @staticmethod
    def field_of(error: HeadgateError) -> str:
        """The parameter that an error is about; empty when it is about none."""
        where = error.report.get("parameter", "")
        return where.removeprefix(_WHERE).split(".")[0] if where.startswith(_WHERE) else ""


def _field(name: str, about: Mapping[str, Any], *, required: bool, kept: bool) -> AuthField:
    types, help_ = _types(about), str(about.get("description", ""))
    options = None
    form = "text"
    if about.get("format") == "password":
        form = "secret-area" if "object" in types or _KEYS.search(name) or "PEM" in help_ else "password"
    elif "enum" in about:
        options = [("", "as the system has it")] * (not required) + [(str(one), str(one)) for one in about["enum"]]
    elif constants := [one for one in about.get("oneOf", ()) if "const" in one]:
        given = [(str(one["const"]), str(one.get("title", one["const"]))) for one in constants]
        options = [("", "as the system has it")] * (not required) + given
    elif "boolean" in types:
        options = [("", "as the system has it")] * (not required) + [("true", "yes"), ("false", "no")]
    elif _as_json(about):
        form, help_ = "area", f"{help_} As JSON.".strip()
    elif "array" in types:
        form = "area"
    elif types[0] in ("integer", "number"):
        form = "number"
    attributes = {"min": about.get("minimum"), "max": about.get("maximum")} if form == "number" else {}
    if form == "number" and "number" in types:
        attributes["step"] = "any"
    if form == "text" and "integer" not in types:
        attributes = {"pattern": f".*{about['pattern'].removeprefix('^')}.*"} if about.get("pattern") else {}
    examples = about.get("examples") or ()
    hint = str(examples[0]) if examples else str(about.get("default", ""))
    return AuthField(
        name,
        str(about.get("title") or _spoken(name)),
        form if options is None else "select",
        help_,
        required,
        options,
        {key: value for key, value in attributes.items() if value is not None},
        "stored; leave empty to keep it" if kept else hint,
        kept,
    )


def _types(about: Mapping[str, Any]) -> Sequence[str]:
    if "type" not in about and (kinds := [*about.get("oneOf", ()), *about.get("anyOf", ())]):
        return [type_ for kind in kinds for type_ in _types(kind)]
    types = about.get("type", "string")
    return [types] if isinstance(types, str) else list(types)


def _as_json(about: Mapping[str, Any]) -> bool:
    """Whether a parameter is an object, or a list of other things than texts, which no field of its own can hold."""
    types = _types(about)
    return "object" in types or ("array" in types and "string" not in _types(about.get("items") or {}))


def _spoken(name: str) -> str:
    """`hostKeyFingerprint` as a person writes it: Host key fingerprint; `sslMode`: SSL mode."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ")
    spoken = " ".join(word if word.isupper() else _SHORT.get(word.lower(), word.lower()) for word in words.split())
    return spoken[:1].upper() + spoken[1:]


def _written(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    if isinstance(value, bool | dict | list):
        return json.dumps(value)
    return str(value)
