"""What a table's manifests list, remembered: a manifest never changes, and every commit asks for the same ones."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import BooleanExpression
from pyiceberg.expressions.visitors import _InclusiveMetricsEvaluator, bind, extract_field_ids
from pyiceberg.manifest import DataFile, ManifestContent, ManifestEntry
from pyiceberg.table import FileScanTask
from pyiceberg.types import NestedField, PrimitiveType

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table

__all__ = ["entries_of", "planned_files"]

_COUNTS = ("value_counts", "null_value_counts")
_BOUNDS: dict[str, Callable[..., Any]] = {"lower_bounds": min, "upper_bounds": max}
_REMEMBERED = 10_000  # files, each of 2.6 kB and 0.2 more for a column


@dataclass(frozen=True, slots=True)
class _Listed:
    """The live files of one manifest; `wholes` sums up their figures by the ids of the columns asked for."""

    entries: tuple[ManifestEntry, ...]
    wholes: dict[frozenset[int], DataFile] = field(default_factory=dict)

    def whole(self, fields: Sequence[NestedField]) -> DataFile:
        """The figures of all files together, as if they were one."""
        ids = frozenset(each.field_id for each in fields)
        if ids not in self.wholes:
            self.wholes[ids] = _whole([entry.data_file for entry in self.entries], fields)
        return self.wholes[ids]


_known: OrderedDict[str, _Listed] = OrderedDict()  # the one that was asked for last at the end
_lock = threading.Lock()


def entries_of(manifest: "ManifestFile", io: "FileIO") -> tuple[ManifestEntry, ...]:
    """The entries of the files that a manifest lists and does not remove."""
    return _listed(manifest, io).entries


def planned_files(table: "Table", rows: BooleanExpression) -> Iterator[FileScanTask]:
    """The table's files that may hold `rows`, with those that delete rows of them. Raises ValueError as PyIceberg does.

    Whole manifests are passed over by the figures of their files.
    """
    snapshot = table.current_snapshot()
    manifests = snapshot.manifests(table.io) if snapshot is not None else []
    if any(manifest.content is not ManifestContent.DATA for manifest in manifests):
        yield from table.scan(row_filter=rows).plan_files()
        return
    schema = table.schema()
    fields = [schema.find_field(id_) for id_ in extract_field_ids(bind(schema, rows, case_sensitive=True))]
    may_hold = _InclusiveMetricsEvaluator(schema, rows).eval
    for manifest in manifests:
        if not (manifest.has_added_files() or manifest.has_existing_files()):
            continue
        listed = _listed(manifest, table.io)
        if may_hold(listed.whole(fields)):
            yield from (FileScanTask(entry.data_file) for entry in listed.entries if may_hold(entry.data_file))


def _listed(manifest: "ManifestFile", io: "FileIO") -> _Listed:
    path = manifest.manifest_path
    with _lock:
        if (found := _known.get(path)) is not None:
            _known.move_to_end(path)
            return found
    found = _Listed(tuple(manifest.fetch_manifest_entry(io)))
    with _lock:
        _known[path] = found
        while sum(len(listed.entries) for listed in _known.values()) > _REMEMBERED:
            _known.popitem(last=False)
    return found


def _whole(files: Sequence[DataFile], fields: Sequence[NestedField]) -> DataFile:
    figures: dict[str, dict[int, Any]] = {name: {} for name in (*_COUNTS, *_BOUNDS)}
    for each in fields:
        id_ = each.field_id
        for name in _COUNTS:
            counts = _figures(files, name, id_)
            if None not in counts:
                figures[name][id_] = sum(counts)
        with_values = [file for file in files if not _only_nulls(file, id_)]
        for name, outermost in _BOUNDS.items():
            bounds = _figures(with_values, name, id_)
            if bounds and None not in bounds and isinstance(each.field_type, PrimitiveType):
                figures[name][id_] = outermost(bounds, key=_decoded(each.field_type))
    return DataFile.from_args(record_count=sum(file.record_count for file in files), **cast(Any, figures))


def _figures(files: Sequence[DataFile], name: str, id_: int) -> list[Any]:
    return [(getattr(file, name) or {}).get(id_) for file in files]


def _only_nulls(file: DataFile, id_: int) -> bool:
    values, nulls = ((each or {}).get(id_) for each in (file.value_counts, file.null_value_counts))
    return values is not None and values == nulls


def _decoded(type_: PrimitiveType) -> Callable[[bytes], Any]:
    return lambda value: from_bytes(type_, value)
