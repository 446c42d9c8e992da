"""The specs that organisations describe themselves, one organisation's at a time."""

import sqlalchemy as sa

from headgate.model.resources import new_etag, now_ms
from headgate.model.runs import Json
from headgate.store import tables

__all__ = ["all_of", "one", "put"]

_TABLE = tables.specs


def all_of(connection: sa.Connection, org_id: str, collection: str) -> tuple[Json, ...]:
    """All specs of the organisation's `collection`, oldest first."""
    chosen = sa.select(_TABLE.c.body).where(*_mine(org_id, collection)).order_by(_TABLE.c.seq)
    return tuple(connection.execute(chosen).scalars())


def one(connection: sa.Connection, org_id: str, collection: str, id_: str) -> Json | None:
    """The spec with this id."""
    chosen = sa.select(_TABLE.c.body).where(*_mine(org_id, collection), _TABLE.c.id == id_)
    return connection.execute(chosen).scalar()


def put(
    connection: sa.Connection, org_id: str, collection: str, body: Json, who: tuple[str, str]
) -> tuple[str | None, str]:
    """Store a spec as `who`, a user and a client, say; the versions before, if there was one, and after."""
    mine = (*_mine(org_id, collection), _TABLE.c.id == body["id"])
    present, (user, client) = now_ms(), who
    etag = new_etag(present)
    values = {"body": body, "updated_at": present, "updated_by": user, "updated_client": client, "etag": etag}
    before: str | None = connection.execute(sa.select(_TABLE.c.etag).where(*mine).with_for_update()).scalar()
    if before is not None:
        connection.execute(sa.update(_TABLE).where(*mine).values(values))
    else:
        place = {"org_id": org_id, "collection": collection, "id": body["id"]}
        made = {"created_at": present, "created_by": user, "created_client": client}
        connection.execute(sa.insert(_TABLE).values(**place, **made, **values))
    return before, etag


def _mine(org_id: str, collection: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (_TABLE.c.org_id == org_id, _TABLE.c.collection == collection)
