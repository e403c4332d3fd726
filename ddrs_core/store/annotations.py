"""What visitors of the dashboard wrote down: notes, what they have seen, saved filters, and where
imported logs come from."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from ddrs_core.errors import InvalidParameterError
from ddrs_core.store.database import Database
from ddrs_core.store.schema import annotation_table as table

MAX_ANNOTATIONS_OF_OWNER = 2_000
MAX_ANNOTATIONS = 100_000  # of all owners together
_LONGEST = 2_000  # characters


class AnnotationKind(StrEnum):
    """What is written down."""

    NOTE = "note"
    SEEN = "seen"
    FILTER = "filter"
    LOG_SOURCE = "log source"  # data set and model of an imported log


class AnnotationStore(Database):
    """The part of the store that knows annotations."""

    def annotations(self, owner: str, kind: AnnotationKind) -> dict[str, str]:
        """An owner's texts of one kind by what they are about, in its order."""
        chosen = (
            select(table.c.subject, table.c.text)
            .where(table.c.owner == owner, table.c.kind == kind.value)
            .order_by(table.c.subject)
        )
        with self._reading() as connection:
            return {row.subject: row.text for row in connection.execute(chosen)}

    def annotate(self, owner: str, kind: AnnotationKind, subject: str, text: str) -> None:
        """Write something down, instead of what was there; an empty text removes it.

        Raises:
            InvalidParameterError: if it is too long, or the owner has too many.
        """
        if max(len(text), len(subject)) > _LONGEST:
            raise InvalidParameterError(f"At most {_LONGEST:,} characters can be kept.")
        mine = table.c.owner == owner
        this = mine & (table.c.kind == kind.value) & (table.c.subject == subject)
        by_change = select(table.c.changed).order_by(table.c.changed.desc())
        first_beyond = by_change.offset(MAX_ANNOTATIONS).limit(1).scalar_subquery()
        values = {"owner": owner, "kind": kind.value, "subject": subject, "text": text}
        with self._writing() as connection:
            if not text:
                connection.execute(delete(table).where(this))
                return
            others = select(func.count()).select_from(table).where(mine, ~this)
            if connection.execute(others).scalar_one() >= MAX_ANNOTATIONS_OF_OWNER:
                raise InvalidParameterError(
                    f"You have {MAX_ANNOTATIONS_OF_OWNER:,} notes, marks and filters: remove some."
                )
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            added = dialect.insert(table).values(**values, changed=self._now())
            again = added.on_conflict_do_update(
                index_elements=table.primary_key.columns,
                set_={"text": added.excluded.text, "changed": added.excluded.changed},
            )
            connection.execute(again)
            connection.execute(delete(table).where(table.c.changed <= first_beyond))
