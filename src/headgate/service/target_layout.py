"""What a target connection may ask of the layout of its table's files."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headgate.errors import BadParameter, TargetError
from headgate.model.lake import PROVENANCE, Column
from headgate.model.runs import Json
from headgate.service.bodies import shown

if TYPE_CHECKING:
    from headgate.targets import LakeTable

__all__ = ["LAYOUT", "check_layout"]

LAYOUT = ("partitionBy", "sortBy", "targetFileSizeMb")
_PARTITIONS = ("day", "month")
_LARGEST_MB = 10_000


def check_layout(params: Json, table: "LakeTable | None") -> None:
    """See that the parameters of the layout are well formed, and fit the dataset's table if there is one yet.

    Raises BadParameter.
    """
    if "partitionBy" in params:
        _check_partition(params["partitionBy"], table)
    if "sortBy" in params:
        _check_order(params["sortBy"], table.columns if table is not None else None)
    if "targetFileSizeMb" in params:
        size = params["targetFileSizeMb"]
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= _LARGEST_MB:
            raise _refused("targetFileSizeMb", size, f"send a whole number from 1 to {_LARGEST_MB}")


def _check_partition(given: Any, table: "LakeTable | None") -> None:
    if given not in _PARTITIONS:
        raise _refused("partitionBy", given, f"send {' or '.join(_PARTITIONS)}, or leave it out")
    if table is None:
        return
    try:
        held = table.partition
    except TargetError as error:
        raise _refused("partitionBy", given, error.detail) from error
    if held is None or held[0] != given:
        is_ = f"partitioned by the {held[0]} of {held[1]!r}" if held is not None else "not partitioned"
        raise _refused("partitionBy", given, f"the dataset's table is {is_}; leave it out, or use a new dataset")


def _check_order(names: Any, columns: Sequence[Column] | None) -> None:
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise _refused("sortBy", names, 'send a list of columns, such as ["id"], or leave it out')
    ordered = [column.name for column in columns or () if column.type.kind not in ("list", "struct")]
    for number, name in enumerate(names):
        if name in names[:number] or name in PROVENANCE:
            raise _refused("sortBy", name, "it is named already, or is Headgate's own")
        if columns is not None and name not in ordered:
            known = ", ".join(name for name in ordered if name not in PROVENANCE)
            raise _refused("sortBy", name, f"send some of the columns of the dataset's table: {known}")


def _refused(name: str, value: Any, advice: str) -> BadParameter:
    return BadParameter(f"params.{name} holds {shown(value)}: {advice}.", parameter=f"params.{name}")
