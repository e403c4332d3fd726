"""Names of what visitors of the dashboard uploaded, so that each finds their own again."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from ddrs_core.store.database import Database
from ddrs_core.store.schema import uploads

MAX_UPLOADS_OF_KIND = 24  # for each owner
MAX_UPLOADS = 50_000  # of all owners together


class UploadStore(Database):
    """The part of the store that knows uploads by name; their files lie elsewhere."""

    def uploads(self, owner: str, kind: str) -> list[str]:
        """Names of an owner's uploads of one kind, the most recently used first."""
        chosen = (
            select(uploads.c.name)
            .where(uploads.c.owner == owner, uploads.c.kind == kind)
            .order_by(uploads.c.used.desc(), uploads.c.name)
        )
        with self._reading() as connection:
            return list(connection.execute(chosen).scalars())

    def use_upload(self, owner: str, kind: str, name: str) -> None:
        """Note that an owner uses an upload now; those that were unused longest are forgotten."""
        mine = (uploads.c.owner == owner) & (uploads.c.kind == kind)
        names = select(uploads.c.name).where(mine).order_by(uploads.c.used.desc(), uploads.c.name)
        kept = names.limit(MAX_UPLOADS_OF_KIND)
        by_use = select(uploads.c.used).order_by(uploads.c.used.desc())
        first_beyond = by_use.offset(MAX_UPLOADS).limit(1).scalar_subquery()
        values = {"owner": owner, "kind": kind, "name": name, "used": self._now()}
        with self._writing() as connection:
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            added = dialect.insert(uploads).values(values)  # another tab may add it meanwhile
            again = added.on_conflict_do_update(
                index_elements=uploads.primary_key.columns, set_={"used": added.excluded.used}
            )
            connection.execute(again)
            connection.execute(delete(uploads).where(mine, uploads.c.name.not_in(kept)))
            connection.execute(delete(uploads).where(uploads.c.used <= first_beyond))
