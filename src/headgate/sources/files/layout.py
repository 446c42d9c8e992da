"""How planned files become SQL: one scan for all files that are read the same way, one SELECT per split."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headgate.dataplane import literal, quote
from headgate.errors import UnreadableRecord, UnsupportedType
from headgate.model.lake import SOURCE_FILE, SOURCE_MODIFIED, Column, LakeType
from headgate.sources.guard import REJECT
from headgate.sources.interface import FileRef, Split

__all__ = ["FILE", "PROVENANCE", "Layout", "Scan", "check_names", "file_list", "splits"]

FILE = quote(SOURCE_FILE)
PROVENANCE = (
    Column(SOURCE_FILE, LakeType("string"), nullable=False),
    Column(SOURCE_MODIFIED, LakeType("timestamptz"), nullable=False),
)
_FILES_PER_SPLIT = 2000
_MOST_COLUMNS = 10_000
_GLOB = str.maketrans({"*": "[*]", "?": "[?]", "[": "[[]"})


@dataclass(frozen=True, slots=True)
class Scan:
    """A DuckDB table function, its options, and what is selected from it. Equal scans share one call.

    `reasons` are `WHEN … THEN …` clauses against a row; then `condition` says what becomes of it, see `guard`.
    """

    function: str
    options: str
    projection: str
    reasons: str = ""
    condition: str = ""

    def sql(self, files: Sequence[FileRef]) -> str:
        """The SELECT over `files`: the projection, then the address of the file each row is from."""
        read = (
            f"{self.function}({file_list(files)}, {self.options}, "
            f"hive_partitioning = false, filename = {literal(SOURCE_FILE)})"
        )
        if self.reasons:
            read = f"(SELECT *, CASE{self.reasons} END AS {REJECT} FROM {read}) WHERE {self.condition}"
        return f"SELECT {self.projection}, {FILE} FROM {read}"


@dataclass(frozen=True, slots=True)
class Layout:
    """What planned files hold: columns, and by address how each file is scanned; one without rows is not."""

    columns: tuple[Column, ...]
    scans: Mapping[str, Scan]


def file_list(files: Sequence[FileRef]) -> str:
    """The addresses of `files` as a list for a table function, taken literally and not as wildcards."""
    return "[" + ", ".join(literal(file.path.translate(_GLOB)) for file in files) + "]"


def splits(layout: Layout, files: Sequence[FileRef], parallel: int) -> tuple[Split, ...]:
    """`files` in about `parallel` splits of similar bytes, neighbours together."""
    full = [file for file in files if file.path in layout.scans]
    total = sum(file.size for file in full) or 1
    groups: dict[int, list[FileRef]] = {}
    before = 0
    for file in full:
        groups.setdefault((2 * before + file.size) * parallel // (2 * total), []).append(file)
        before += file.size
    parts = [
        group[at : at + _FILES_PER_SPLIT] for group in groups.values() for at in range(0, len(group), _FILES_PER_SPLIT)
    ]
    if parts:
        # Files without rows were read too, as far as the run's figures go.
        parts[0] = parts[0] + [file for file in files if file.path not in layout.scans]
    return tuple(_split(layout, part) for part in parts)


def check_names(names: Sequence[str], file: str) -> None:
    """Refuse names the lake cannot hold apart, or that are ours, and more of them than a table should have."""
    if len(names) > _MOST_COLUMNS:
        raise UnsupportedType(f"{file} has {len(names)} columns; {_MOST_COLUMNS} are the most that one table may have.")
    seen: dict[str, str] = {}
    for name in names:
        if name.lower().startswith("_headgate_"):
            raise UnsupportedType(f"{file} has a column {name!r}; names that begin with _headgate_ are reserved.")
        if not name:
            raise UnsupportedType(f"{file} has a column without a name.")
        if name.lower() in seen:
            raise UnreadableRecord(
                f"{file} has the columns {seen[name.lower()]!r} and {name!r}; "
                "the names of columns must differ in more than their case.",
                path=file,
            )
        seen[name.lower()] = name


def _split(layout: Layout, files: Sequence[FileRef]) -> Split:
    groups: dict[Scan, list[FileRef]] = {}
    for file in files:
        if scan := layout.scans.get(file.path):
            groups.setdefault(scan, []).append(file)
    rows = " UNION ALL ".join(scan.sql(group) for scan, group in groups.items())
    times = ", ".join(
        f"({literal(file.path)}, {literal(file.original or file.path)}, {file.as_of_us}::BIGINT)" for file in files
    )
    address = "planned.original" if any(file.original for file in files) else "read." + FILE
    # A row of a file that is not in the plan must fail, not vanish; hence the left join.
    relation = (
        f"SELECT {', '.join(quote(column.name) for column in layout.columns)}, {address} AS {FILE}, "
        f"make_timestamptz(coalesce(planned.modified, error('not planned: ' || read.{FILE})::BIGINT)) "
        f"AS {quote(SOURCE_MODIFIED)} "
        f"FROM ({rows}) AS read LEFT JOIN (VALUES {times}) AS planned(path, original, modified) "
        f"ON read.{FILE} = planned.path"
    )
    pinned = "\n".join("\0".join(map(str, (file.original or file.path, *file.state))) for file in files)
    # The same for other copies of the files, and however much of the types was known before they were looked at.
    scans = (layout.scans.get(file.path) for file in files)
    meaning = repr((layout.columns, [scan and (scan.function, scan.options) for scan in scans]))
    digest = hashlib.sha256(f"{meaning}\n{pinned}".encode()).hexdigest()
    return Split(f"files-{digest[:20]}", relation, tuple(files), pinned, meaning=meaning)
