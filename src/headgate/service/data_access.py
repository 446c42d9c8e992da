"""Data access: reading back what was brought, as files of a batch and as the first rows of a dataset.

A file's id is `<batch id>-<number>`, and both are looked up in the table's manifests: nothing that a request says
is ever made part of a path.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from headgate.errors import RECORD_ERROR, FileNotFound, NotFound
from headgate.model.addresses import EXPORT
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
from headgate.targets import BroughtFile, Lake, brought_files, first_rows, source_files

__all__ = ["DataAccess"]

_FILE_ID = re.compile(r"(?P<batch>[0-9a-f-]{36})-(?P<number>[1-9][0-9]{0,5})")
_PREVIEW_ROWS = 100
_ROW_ERRORS = "parsing_errors_0.json"
_SAMPLE = "row_errors_sample.json"
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
        table = self._lake.find(tuple(dataset.frozen["table"]))
        rows = first_rows(table, _PREVIEW_ROWS) if table is not None else []
        return {"data": [plain(row) for row in rows]}

    def meta(self, caller: Caller, batch_id: str, parameters: Parameters) -> Json | str:
        """What is known of the errors of a batch: a list of files, or the lines of the one that `path` names.

        Raises BatchNotFound, FileNotFound, InvalidRequest.
        """
        start, limit, path = _page_and_path(parameters)
        run = batch_of(self._store.catalog(caller), batch_id)
        lines = _row_errors(run)
        at = f"{EXPORT}/batches/{batch_id}/meta"
        size = len(lines.encode())
        match path.strip("/"):
            case "":
                sample = [_part(_SAMPLE, size, at)] if lines else []
                return _answer([_part("row_errors", 0, at), _part("input_files", 0, at), *sample], start, limit, at)
            case "row_errors":
                items = [_part(f"row_errors/{_ROW_ERRORS}", size, at)] if lines else []
                return _answer(items, start, limit, at)
            case "input_files":
                size = len(self._input_files(run).encode())
                return _answer([_part(_INPUT_FILES, size, at)] if size else [], start, limit, at)
            case name if name == _INPUT_FILES and (paths := self._input_files(run)):
                return paths
            case name if lines and name in (_SAMPLE, f"row_errors/{_ROW_ERRORS}"):
                return lines
        raise FileNotFound(f"The batch {batch_id} has no file {shown(path)} about it.", id=batch_id)

    def failed(self, caller: Caller, batch_id: str, parameters: Parameters) -> Json:
        """The files that a batch rejected: none, because a run that meets a bad record keeps nothing.

        Raises BatchNotFound, FileNotFound, InvalidRequest.
        """
        start, limit, path = _page_and_path(parameters)
        batch_of(self._store.catalog(caller), batch_id)
        if path:
            raise FileNotFound(f"The batch {batch_id} has rejected no file {shown(path)}.", id=batch_id)
        return _answer([], start, limit, "")

    # -- inside ----------------------------------------------------------------------------------

    def _files(self, run: Run) -> Sequence[BroughtFile]:
        """The files of a batch, numbered as ever; none when the table no longer knows all that there were."""
        table = self._lake.find(tuple(run.frozen["target"]["table"]))
        files = brought_files(table, run.id) if table is not None else ()
        return files if len(files) == run.metrics.get("fileSummary", {}).get("outputFileCount") else ()

    def _input_files(self, run: Run) -> str:
        """One line of JSON for every file that the batch's rows come from; empty when they come from a table."""
        table = self._lake.find(tuple(run.frozen["target"]["table"]))
        paths = source_files(table, run.id) if table is not None else []
        return "".join(json.dumps({"path": path}, ensure_ascii=False) + "\n" for path in paths)

    def _file(self, caller: Caller, file_id: str) -> BroughtFile:
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


def _file_entry(run: Run, number: int, file: BroughtFile) -> Json:
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


def _row_errors(run: Run) -> str:
    """One line of JSON for every record that is known to have failed; empty when none is."""
    records = [
        {"_errors": [{"code": error["code"], "message": error["description"]}], "_filename": _ROW_ERRORS}
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
