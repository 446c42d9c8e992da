"""Numbers of a size that a system does not vouch for: they come as text, so that none is rounded."""

import pyarrow as pa

from headgate.model.lake import LakeType
from headgate.sources.sql.dialect import Rule

__all__ = ["exact_rule"]


def exact_rule(decimal: LakeType, value: str = "{c}") -> Rule:
    """How a number of any size is read, whose digits `value` gives, as a decimal that may not hold it."""
    cast = f"TRY_CAST({{v}} AS {decimal.sql})"
    digits = decimal.precision - decimal.scale
    shape = f"-?0*[0-9]{{{{0,{digits}}}}}([.][0-9]{{{{0,{decimal.scale}}}}}0*)?"
    refused = f"NOT regexp_full_match({{v}}, '{shape}') OR ({{v}} IS NOT NULL AND {cast} IS NULL)"
    return Rule(decimal, pa.string(), value, cast, refused, f"which {decimal} cannot hold exactly", "decimal")
