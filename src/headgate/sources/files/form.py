"""How the files of a selection are written, as its `data` says: format, packing and encoding."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate.errors import BadFormat, BadParameter, UnreadableRecord
from headgate.sources.files import avro_files, orc_files
from headgate.sources.files.encodings import encoding_of
from headgate.sources.files.foreign import foreign
from headgate.sources.files.packing import Packing

__all__ = ["ENCRYPTED", "FORMATS", "Form", "properties"]

FORMATS = ("delimited", "json", "parquet", "avro", "orc")
ENCRYPTED = "`{}` is not offered: encrypted files are not read. Decrypt them first."
_TEXT = ("delimited", "json")
_MAGIC = {"parquet": b"PAR1", "avro": avro_files.MAGIC, "orc": orc_files.MAGIC}


@dataclass(frozen=True, slots=True)
class Form:
    """How files are written. Without a `packing`, the end of a file's name tells how it is packed."""

    format: str
    packing: Packing | None = None
    encoding: str = "utf-8"

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Form":
        """What the `data` of a source connection says. Raises BadFormat, BadParameter."""
        given = properties(data)
        format_ = str(data.get("format")).lower()
        if format_ not in FORMATS:
            raise BadFormat(f"`data.format` is {data.get('format')!r}; files are read as {', '.join(FORMATS)}.")
        for name in ("isFileEncrypted", "encryption"):
            if str(given.get(name) or "false").lower() != "false":
                raise BadParameter(ENCRYPTED.format(name), parameter=name)
        packing, encoding = Packing.declared(given.get("compressionType")), encoding_of(given.get("encoding", "utf-8"))
        if format_ != "delimited" and encoding != "utf-8":
            raise BadParameter(f"{format_} files are always utf-8.", parameter="encoding")
        if format_ not in _TEXT and packing is not None:
            raise BadParameter(
                f"`compressionType` is for {' and '.join(_TEXT)} files; {format_} says itself how it is.",
                parameter="compressionType",
            )
        return cls(format_, packing, encoding)

    @property
    def wide(self) -> bool:
        """Whether the text has to become UTF-8 before it can be read."""
        return self.encoding.startswith("utf-16")

    @property
    def read_as(self) -> str:
        """The format that is read in the end."""
        return self.format if self.format in _TEXT else "parquet"

    @property
    def rewritten(self) -> bool:
        """Whether files are read as Parquet, which is made of them."""
        return self.read_as != self.format

    def direct(self, name: str) -> bool:
        """Whether the file of this name is read where it is, or rewritten from there."""
        return self.in_place(name) or (self.rewritten and not self.packing_of(name))

    @property
    def suffix(self) -> str:
        """How the name of a copy ends."""
        return "" if self.format in _TEXT else f".{self.format}"

    def check(self, head: bytes, name: str) -> None:
        """Raises UnreadableRecord when a file that begins with `head` is something else than it is said to be."""
        if told := foreign(head, _MAGIC.get(self.format, b"")):
            raise UnreadableRecord(f"{name} is not read as {self.format}: {told}.", path=name)

    def packing_of(self, name: str) -> Packing:
        """How the file of this name is packed."""
        return Packing.named(name) if self.packing is None else self.packing

    def in_place(self, name: str) -> bool:
        """Whether DuckDB reads the file of this name exactly, as it is."""
        packing = self.packing_of(name)
        if self.format in _TEXT:
            return not self.wide and packing in (Packing(), Packing("gzip"))
        return self.format == "parquet" and not packing


def properties(data: Mapping[str, Any]) -> dict[str, Any]:
    """The members of `data` that describe a file; clients put them there, or into its `properties`.

    Raises BadParameter.
    """
    inner = data.get("properties") or {}
    if not isinstance(inner, Mapping):
        raise BadParameter("`data.properties` must be an object.", parameter="properties")
    return {**inner, **data}
