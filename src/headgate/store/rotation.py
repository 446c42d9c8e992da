"""Rotation: every secret under the current key, while the service serves and runs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any

import sqlalchemy as sa

from headgate.errors import VaultLocked
from headgate.store import tables
from headgate.store.keyring import FileKeys, Keyring
from headgate.store.transactions import Transactions
from headgate.store.vault import Place, Vault

__all__ = ["KeyUse", "Rotation", "SecretsAdmin"]

_BATCH = 100


@dataclass(frozen=True, slots=True)
class KeyUse:
    """The current key, how many secrets each known key holds, and the connections whose key is not known."""

    current: str
    secrets: dict[str, int]
    locked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did: the key it ended with, how many secrets it wrapped anew, which keys it deleted."""

    key: str
    rewrapped: int
    forgotten: tuple[str, ...]
    locked: tuple[str, ...]


class SecretsAdmin:
    """What an operator does with all secrets of a deployment. Looks across organisations, at no secret's content."""

    def __init__(self, transactions: Transactions, vault: Vault, keyring: Keyring) -> None:
        self._transactions = transactions
        self._vault = vault
        self._keyring = keyring

    def use(self) -> KeyUse:
        """Which key holds how many secrets."""
        counted: Counter[str] = Counter({key.id: 0 for key in self._keyring.all()})
        locked = []
        for row in chain.from_iterable(self._batches()):
            try:
                counted[self._vault.key_id(row.sealed, _place(row))] += 1
            except VaultLocked:
                locked.append(row.connection_id)
        return KeyUse(self._keyring.current().id, dict(counted), tuple(locked))

    def rotate(self) -> Rotation:
        """Wrap every secret under the current key; a keyring of files gets a new current key first.

        A rotation that was broken off is finished with the key it had made. Secrets whose key is not known are
        left as they are and named. Raises SecretsKeyUnusable, Unavailable.
        """
        files = self._keyring if isinstance(self._keyring, FileKeys) else None
        with files.alone() if files else nullcontext():
            before = self.use()
            if files and not any(count for key, count in before.secrets.items() if key != before.current):
                files.renew()
            total = 0
            while rewrapped := self._pass():  # again for what a process that did not know the key yet has sealed
                total += rewrapped
            after = self.use()
            forgotten = files.forget(frozenset(key for key, count in after.secrets.items() if count)) if files else ()
        return Rotation(after.current, total, forgotten, after.locked)

    def _pass(self) -> int:
        table, rewrapped = tables.secrets, 0
        for rows in self._batches():
            fresh = [(row, sealed) for row in rows if (sealed := self._rewrapped(row)) is not None]
            if not fresh:
                continue
            with self._transactions.write() as connection:
                for row, sealed in fresh:
                    # Only if it is still the same: a PATCH may have brought other credentials meanwhile.
                    same = (table.c.connection_id == row.connection_id, table.c.sealed == row.sealed)
                    rewrapped += connection.execute(sa.update(table).where(*same).values(sealed=sealed)).rowcount
        return rewrapped

    def _rewrapped(self, row: Any) -> bytes | None:
        try:
            return self._vault.rewrapped(row.sealed, _place(row))
        except VaultLocked:
            return None  # it is counted and named by `use()`

    def _batches(self) -> Iterator[Sequence[Any]]:
        table, last = tables.secrets, ""
        while True:
            chosen = sa.select(table).where(table.c.connection_id > last).order_by(table.c.connection_id).limit(_BATCH)
            with self._transactions.read() as connection:
                rows = connection.execute(chosen).all()
            yield rows
            if len(rows) < _BATCH:
                return
            last = rows[-1].connection_id


def _place(row: Any) -> Place:
    return Place(row.org_id, row.sandbox_id, row.connection_id)
