"""Taps of Singer and connectors of Airbyte: programs that an operator has installed and registered, each a process.

`registration` says which there are, `supervisor` is the process that looks after one, `process` talks to that, `schema`
makes columns of what a program says of its records, and `singer` and `airbyte` are the two protocols, as stream readers
on what `reader` has for both.
"""

import json
from collections.abc import Mapping
from typing import Any

from headgate.errors import BadParameter
from headgate.sources.batches import BatchSource
from headgate.sources.child.airbyte import AirbyteReader
from headgate.sources.child.reader import ProgramReader
from headgate.sources.child.registration import Connector, Protocol, registered, the_connector
from headgate.sources.child.singer import SingerReader
from headgate.sources.context import Context

__all__ = ["Connector", "open_airbyte", "open_singer", "registered"]


def open_singer(auth_params: Mapping[str, Any], context: Context) -> BatchSource:
    """The streams of the tap that `connector` names, with its `config`. Raises BadParameter, SourceError."""
    return _opened(SingerReader, "singer", auth_params, context)


def open_airbyte(auth_params: Mapping[str, Any], context: Context) -> BatchSource:
    """The streams of the connector that `connector` names, with its `config`. Raises BadParameter, SourceError."""
    return _opened(AirbyteReader, "airbyte", auth_params, context)


def _opened(
    reader: type[ProgramReader], protocol: Protocol, auth_params: Mapping[str, Any], context: Context
) -> BatchSource:
    settings, tenancy = context.settings, context.tenancy
    connector = the_connector(auth_params.get("connector"), protocol, settings.connectors, tenancy)
    config = connector.config_of(_config(auth_params.get("config")), shared=tenancy.shared)
    return BatchSource(reader(connector, config, settings.scratch_folder, context.telling))


def _config(given: object) -> Mapping[str, Any]:
    """The configuration, which may be JSON in a text: so a reference leads to one. Raises BadParameter."""
    if isinstance(given, str) and given.strip():
        try:
            given = json.loads(given)
        except ValueError:
            raise BadParameter("config is a text that is no JSON. Send an object.", field="config") from None
    if given is None or given == "":
        return {}
    if not isinstance(given, Mapping):
        raise BadParameter("config must be an object.", field="config")
    return given
