"""Lake types as manifests write them: `decimal(18,2)`, `list<string>`, `struct<id: string, at: timestamptz>`."""

import re

from headgate.model.lake import LakeType

__all__ = ["lake_type"]

_PLAIN = ("boolean", "int", "long", "float", "double", "string", "date", "timestamp", "timestamptz")
_DECIMAL = re.compile(r"decimal\((\d{1,2}),(\d{1,2})\)")
_NAME = re.compile(r"[^\s:,<>]+")


def lake_type(text: str) -> LakeType:
    """The type that `text` names. Raises ValueError."""
    reading = _Reading(re.sub(r"\s+", "", text), text)
    found = reading.type()
    if reading.rest:
        raise reading.fault()
    return found


class _Reading:
    def __init__(self, rest: str, whole: str) -> None:
        self.rest, self._whole = rest, whole

    def type(self) -> LakeType:
        if self._took("list<"):
            element = self.type()
            self._must(">")
            return LakeType("list", element=element)
        if self._took("struct<"):
            fields = [self._field()]
            while self._took(","):
                fields.append(self._field())
            self._must(">")
            if len({name.lower() for name, _ in fields}) != len(fields):
                raise ValueError(f"{self._whole!r} names a member twice")
            return LakeType("struct", fields=tuple(fields))
        if found := _DECIMAL.match(self.rest):
            self.rest = self.rest[found.end() :]
            precision, scale = int(found[1]), int(found[2])
            if not (1 <= precision <= 38 and scale <= precision):
                raise ValueError(f"{self._whole!r}: a decimal has 1 to 38 digits, and no more decimals than digits")
            return LakeType("decimal", precision, scale)
        word = _NAME.match(self.rest)
        if word is None or word[0] not in _PLAIN:
            raise self.fault()
        self.rest = self.rest[word.end() :]
        return LakeType(word[0])  # type: ignore[arg-type]

    def _field(self) -> tuple[str, LakeType]:
        name = _NAME.match(self.rest)
        if name is None:
            raise self.fault()
        self.rest = self.rest[name.end() :]
        self._must(":")
        return name[0], self.type()

    def _took(self, text: str) -> bool:
        if not self.rest.startswith(text):
            return False
        self.rest = self.rest.removeprefix(text)
        return True

    def _must(self, text: str) -> None:
        if not self._took(text):
            raise self.fault()

    def fault(self) -> ValueError:
        known = ", ".join(_PLAIN)
        return ValueError(f"{self._whole!r} is no type; use {known}, decimal(p,s), list<…> or struct<name: …>")
