"""How the tables came to be, step by step (Alembic).

A change of ``tables.py`` needs a new file in ``versions`` whose ``down_revision`` is the newest
one, and that file's ``revision`` as ``NEWEST`` in ``ddrs_core/store/migrate.py``. Files that were
released stay as they are.
"""
