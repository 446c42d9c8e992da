"""Data access: reading back what was brought, as files of a batch and as the first rows of a dataset.

A file's id is `<batch id>-<number>`, and both are looked up in the table's manifests: nothing that a request says
is ever made part of a path.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.errors import RECORD_ERROR, FileNotFound, NotFound
from headgate.model.addresses import EXPORT, ROW_ERRORS, SAMPLE
from headgate.model.plain import plain
from headgate.model.query import DEFAULT_LIMIT, MAX_LIMIT, whole_number
from headgate.model.runs import Json, Run
from headgate.model.scope import Caller
from headgate.service.batches import batch_of
from headgate.service.bodies import shown
from headgate.service.catalog_wire import errors_of
from headgate.service.datasets import dataset_of
from headgate.service.paging import Parameters, known_parameters
from headgate.store import CatalogStore, Store
from headgate.targets import Lake, reject_files

if TYPE_CHECKING:
    from headgate.targets import BroughtFile

__all__ = ["DataAccess"]

_FILE_ID = re.compile(r"(?P<batch>[0-9a-f-]{36})-(?P<number>[1-9][0-9]{0,5})")
_PREVIEW_ROWS = 100
_ONLY = "parsing_errors_0.json"
_SAMPLED = 100
_INPUT_FILES = "input_files/fileMetaData1.json"


class DataAccess:
    """Files of batches and previews of datasets."""

    def __init__(self, store: Store, lake: Lake) -> None:
        self._store = store
        self._lake = lake

    def batch_files(self, caller: Caller, batch_id: str, parameters: Parameters) -> Json:
        """One page of the data files that a batch brought. Raises BatchNotFound, InvalidRequest."""
        start, limit = _page(parameters)
        run = batch_of(self._store.catalog(caller), batch_id)
        files = self._files(run)
        items = [_file_entry(run, number, file) for number, file in enumerate(files, 1)]
        return _answer(items, start, limit, f"{EXPORT}/batches/{batch_id}/files")

    def file_parts(self, caller: Caller, file_id: str, parameters: Parameters) -> Json:
        """The one part that a data file consists of, with its name. Raises FileNotFound, InvalidRequest."""
        known_parameters(parameters, ("start", "limit", "range"))
        file = self._file(caller, file_id)
        return _answer([_part(file.path.name, file.size, f"{EXPORT}/files/{file_id}")], 0, DEFAULT_LIMIT, "")

    def file(self, caller: Caller, file_id: str, name: str) -> Path:
        """Where the bytes of the data file are. Raises FileNotFound."""
        file = self._file(caller, file_id)
        if name != file.path.name:
            raise FileNotFound(f"The file {file_id} has no part {shown(name)}; it has {file.path.name}.", id=file_id)
        if not file.live:
            raise FileNotFound(
                f"The file {file_id} is no longer part of the table: a later run replaced its rows, or the table was "
                "compacted. Query the table for what it holds now.",
                id=file_id,
            )
        if not file.path.is_file():
            raise FileNotFound(f"The file {file_id} has been removed from the warehouse.", id=file_id)
        return file.path

    def preview(self, caller: Caller, dataset_id: str) -> Json:
        """The first 100 rows of a dataset; none before its first run. Raises DatasetNotFound."""
        dataset = dataset_of(self._store.catalog(caller), dataset_id)
        from headgate.targets import first_rows

        table = self._lake.find(tuple(dataset.frozen["table"]))
        rows = first_rows(table, _PREVIEW_ROWS) if table is not None else []
        return {"data": [plain(row) for row in rows]}

    def meta(self, caller: Caller, batch_id: str, parameters: Parameters) -> Json | str:
        """What is known of the errors of a batch: a list of files, or the lines of the one that `path` names.

        Raises BatchNotFound, FileNotFound, InvalidRequest.
        """
        start, limit, path = _page_and_path(parameters)
        run = batch_of(self._store.catalog(caller), batch_id)
        at = f"{EXPORT}/batches/{batch_id}/meta"
        match path.strip("/"):
            case "":
                items = [_part(ROW_ERRORS, 0, at), _part("input_files", 0, at)]
                if sample := self._sample(run):
                    items.append(_part(SAMPLE, len(sample.encode()), at))
                return _answer(items, start, limit, at)
            case "row_errors":
                items = [_part(f"{ROW_ERRORS}/{name}", size, at) for name, size in self._row_errors(run).items()]
                return _answer(items, start, limit, f"{at}?path={ROW_ERRORS}")
            case "input_files":
                size = len(self._input_files(run).encode())
                return _answer([_part(_INPUT_FILES, size, at)] if size else [], start, limit, at)
            case name if name == _INPUT_FILES and (paths := self._input_files(run)):
                return paths
            case name if name == SAMPLE and (sample := self._sample(run)):
                return sample
            case name if name.startswith(f"{ROW_ERRORS}/") and (lines := self._lines(run, name.split("/", 1)[1])):
                return lines
        raise FileNotFound(f"The batch {batch_id} has no file {shown(path)} about it.", id=batch_id)

    def failed(self, caller: Caller, batch_id: str, parameters: Parameters) -> Json | str:
        """The files of records that a batch rejected, or the lines of the one that `path` names.

        A run without partial ingestion keeps none. Raises BatchNotFound, FileNotFound, InvalidRequest.
        """
        start, limit, path = _page_and_path(parameters)
        run = batch_of(self._store.catalog(caller), batch_id)
        rejected = self._rejected(run)
        if not path:
            at = f"{EXPORT}/batches/{batch_id}/failed"
            items = [_part(file.name, file.stat().st_size, at) for file in rejected.values()]
            return _answer(items, start, limit, at)
        if path not in rejected:
            raise FileNotFound(f"The batch {batch_id} has rejected no file {shown(path)}.", id=batch_id)
        return rejected[path].read_text("utf-8")

    # -- inside ----------------------------------------------------------------------------------

    def _files(self, run: Run) -> "Sequence[BroughtFile]":
        """The files of a batch, numbered as ever; none when the table no longer knows all that there were."""
        from headgate.targets import brought_files

        table = self._lake.find(tuple(run.frozen["target"]["table"]))
        files = brought_files(table, run.id) if table is not None else ()
        return files if len(files) == run.metrics.get("fileSummary", {}).get("outputFileCount") else ()

    def _input_files(self, run: Run) -> str:
        """One line of JSON for every file that the batch's rows come from; empty when they come from a table."""
        from headgate.targets import source_files

        table = self._lake.find(tuple(run.frozen["target"]["table"]))
        paths = source_files(table, run.id) if table is not None else []
        return "".join(json.dumps({"path": path}, ensure_ascii=False) + "\n" for path in paths)

    def _rejected(self, run: Run) -> Mapping[str, Path]:
        """The files of the records that the batch rejected, by name; none before it has ended."""
        if not run.state.final or not run.metrics.get("recordSummary", {}).get("failedRecordCount"):
            return {}
        table = self._lake.find(tuple(run.frozen["target"]["table"]))
        return {file.name: file for file in reject_files.published(table, run.id)} if table is not None else {}

    def _row_errors(self, run: Run) -> Mapping[str, int]:
        """The names and sizes of the files of records that are known to have failed."""
        sizes = {name: file.stat().st_size for name, file in self._rejected(run).items()}
        return sizes or ({_ONLY: len(lines.encode())} if (lines := _record_error(run)) else {})

    def _lines(self, run: Run, name: str) -> str:
        """What one of these files holds, nothing when there is no such file."""
        if (file := self._rejected(run).get(name)) is not None:
            return file.read_text("utf-8")
        return _record_error(run) if [name] == [*self._row_errors(run)] else ""

    def _sample(self, run: Run) -> str:
        """The first records that are known to have failed, a line of JSON each."""
        lines: list[str] = []
        for name in self._row_errors(run):
            lines += [f"{line}\n" for line in self._lines(run, name).split("\n") if line]
            if len(lines) >= _SAMPLED:
                break
        return "".join(lines[:_SAMPLED])

    def _file(self, caller: Caller, file_id: str) -> "BroughtFile":
        if found := _FILE_ID.fullmatch(file_id):
            files = self._files(_run(self._store.catalog(caller), found["batch"], file_id))
            if int(found["number"]) <= len(files):
                return files[int(found["number"]) - 1]
        raise _no_file(file_id)


def _run(store: CatalogStore, batch_id: str, file_id: str) -> Run:
    try:
        return batch_of(store, batch_id)
    except NotFound as error:
        raise _no_file(file_id) from error


def _no_file(file_id: str) -> FileNotFound:
    return FileNotFound(
        f"No file {shown(file_id)} belongs to a batch of this sandbox, or the snapshot that brought it has expired.",
        id=file_id[:80],
    )


def _file_entry(run: Run, number: int, file: "BroughtFile") -> Json:
    id_ = f"{run.id}-{number}"
    return {
        "dataSetFileId": id_,
        "dataSetViewId": run.dataset_id,
        "version": "1.0.0",
        "created": str(run.created_at),
        "updated": str(run.updated_at),
        "records": str(file.rows),
        "size": str(file.size),
        "isValid": file.live,
        "_links": {"self": {"href": f"{EXPORT}/files/{id_}"}},
    }


def _part(name: str, length: int, at: str) -> Json:
    return {"name": name, "length": str(length), "_links": {"self": {"href": f"{at}?path={name}"}}}


def _answer(items: list[Json], start: int, limit: int, at: str) -> Json:
    page = items[start : start + limit]
    answer: Json = {"data": page, "_page": {"limit": limit, "count": len(page)}}
    if start + limit < len(items):
        answer["_links"] = {"next": {"href": f"{at}?start={start + limit}&limit={limit}"}}
    return answer


def _record_error(run: Run) -> str:
    """One line of JSON for the record that a run failed at; empty when it was none."""
    records = [
        {"_errors": [{"code": error["code"], "message": error["description"]}], "_filename": _ONLY}
        for error in errors_of(run)
        if error["code"] == RECORD_ERROR
    ]
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _page(parameters: Parameters) -> tuple[int, int]:
    start, limit, _ = _page_and_path(parameters, "start", "limit")
    return start, limit


def _page_and_path(parameters: Parameters, *known: str) -> tuple[int, int, str]:
    _, single = known_parameters(parameters, known or ("start", "limit", "path"))
    start = whole_number("start", single.get("start", "0"))
    limit = whole_number("limit", single.get("limit", str(DEFAULT_LIMIT)), 1, MAX_LIMIT)
    return start, limit, single.get("path", "")
