"""What of a reading lands: its columns as they are, or what the flow's mapping set makes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from headgate.dataplane import quote
from headgate.errors import MappingFailed
from headgate.mapping import Rule, Shape, Unmappable, compiled, held, thawed
from headgate.model.lake import PROVENANCE, Column, LakeType, column_named, kept_delta
from headgate.model.resources import WriteMode
from headgate.model.runs import Json
from headgate.sources import Reading

__all__ = ["Landing"]

_UNKNOWN = Column("", LakeType("string"))


@dataclass(frozen=True, slots=True)
class Landing:
    """The columns that a run brings into its table, and the SQL that makes them from the source's.

    `delta` is the source's column that orders its rows. What is known of them only with a reading is empty
    before `onto()`.
    """

    rules: tuple[Rule, ...] | None
    schema: Shape
    keeps_delta: bool
    columns: tuple[Column, ...] = ()
    sql: str = "*"
    delta: Column = _UNKNOWN

    @classmethod
    def of(cls, frozen: Json) -> "Landing":
        """What the frozen flow asks for. Raises MappingFailed."""
        keeps = frozen["target"]["writeMode"] == WriteMode.REPLACE_WINDOW
        about = frozen.get("mapping")
        if about is None:
            return cls(None, Shape(), keeps)
        try:
            return cls(*thawed(about), keeps)
        except Unmappable as error:
            raise MappingFailed(str(error)) from error

    def held(self, columns: Sequence[Column]) -> Mapping[str, LakeType]:
        """The types that columns of the source should take, where the data allows, to fit a table of `columns`."""
        if self.rules is None:
            return {column.name: column.type for column in columns}
        return held(self.rules, columns, self.schema)

    def onto(self, reading: Reading) -> "Landing":
        """This landing for the columns of `reading`. Raises MappingFailed.

        A mapping may rename or drop the delta column, by which a repeated window finds its rows; so its values
        are kept in a provenance column.
        """
        if not reading.columns:
            return self
        delta = column_named(reading.columns, reading.window_column) or _UNKNOWN
        if self.rules is None:
            return replace(self, columns=reading.columns, delta=delta)
        try:
            made = compiled(
                self.rules, [column for column in reading.columns if column.name not in PROVENANCE], self.schema
            )
        except Unmappable as error:
            raise MappingFailed(str(error)) from error
        columns, values = [*made.columns], [made.sql]
        for column in reading.columns:
            if column.name in PROVENANCE:
                columns.append(column)
                values.append(quote(column.name))
        if self.keeps_delta and delta.name not in PROVENANCE:
            name = kept_delta(delta.type.kind)
            columns.append(Column(name, delta.type))
            values.append(f"{quote(delta.name)} AS {quote(name)}")
        return replace(self, columns=tuple(columns), sql=", ".join(values), delta=delta)
