"""What is refused of those who manage who may do what."""

from headgate.errors.root import InvalidRequest

__all__ = ["LastAdmin", "RoleInUse"]


class LastAdmin(InvalidRequest):
    """Nobody would be left who may do everything in the organisation. Give somebody else the role admin first."""

    status = 409
    code = "FLOW-EXT-ACCESS-409"
    title = "Last admin"


class RoleInUse(InvalidRequest):
    """The role is granted to somebody. Take it from them first."""

    status = 409
    code = "FLOW-EXT-ACCESS-409"
    title = "Role in use"
