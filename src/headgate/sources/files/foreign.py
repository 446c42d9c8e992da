"""Recognises by their first bytes files that are not what they are said to be, the encrypted ones above all."""

import re

__all__ = ["HEAD", "foreign"]

HEAD = 64
"""How many bytes of a file are enough."""

_PACKED = "it is packed with {}; say so by `compressionType`, or by the end of its name"
_ENCRYPTED = "it is encrypted ({}); encrypted files are not read, decrypt it first"
_ARCHIVE = "it is a {} archive, which is not read; pack it as zip or tar.gz"
_KNOWN: tuple[tuple[bytes, str], ...] = (
    (rb"-----BEGIN PGP MESSAGE-----", _ENCRYPTED.format("OpenPGP")),
    # A session key for a public key (3, 6) or a password (4 to 6), in a packet of the old or of the new form.
    (rb"(?:[\x84\xc1].|\x85..|\xc1[\xc0-\xdf].)[\x03\x06]", _ENCRYPTED.format("OpenPGP")),
    (rb"(?:[\x8c\xc3].|\x8d..)[\x04-\x06][\x01-\x0d]", _ENCRYPTED.format("OpenPGP")),
    (rb"age-encryption\.org/|-----BEGIN AGE ENCRYPTED FILE-----", _ENCRYPTED.format("age")),
    (rb"Salted__(?=.{0,7}[^\x20-\x7e\r\n\t])", _ENCRYPTED.format("openssl enc")),
    (rb"-----BEGIN (?:CMS|PKCS7)-----", _ENCRYPTED.format("CMS")),
    (rb"PARE(?:\x15|.{2,3}\0)", _ENCRYPTED.format("the footer of Parquet")),
    (rb"7z\xbc\xaf\x27\x1c", _ARCHIVE.format("7z")),
    (rb"Rar!\x1a\x07", _ARCHIVE.format("RAR")),
    (rb"\xfd7zXZ\0", _PACKED.format("xz")),
    (
        rb"PK(?:\x03\x04|\x05\x06\0)",
        _PACKED.format("zip") + "; a workbook of Excel is such a file, too: export it as CSV",
    ),
    (rb"\x1f\x8b\x08", _PACKED.format("gzip")),
    (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", _PACKED.format("bzip2")),
    (rb"\x28\xb5\x2f\xfd", _PACKED.format("zstd")),
    (rb"Obj\x01", "it is Avro; say so by `data.format`"),
    (rb"PAR1\x15", "it is Parquet; say so by `data.format`"),
)
_PATTERNS = tuple((re.compile(pattern, re.DOTALL), told) for pattern, told in _KNOWN)


def foreign(head: bytes, own: bytes = b"") -> str | None:
    """What a file that begins with `head` is instead of one that begins with `own`; None when nothing tells."""
    if own and head.startswith(own):
        return None
    return next((told for pattern, told in _PATTERNS if pattern.match(head)), None)
