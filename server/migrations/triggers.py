"""Triggers that keep a table append-only, in both engines' words. Which tables, is for the revisions."""

from __future__ import annotations

from alembic import op

MESSAGE = "append-only"


def refuse_changes(table: str) -> None:
    """Update and delete of any row of `table` fail from now on."""
    if op.get_bind().dialect.name == "postgresql":
        _on_postgresql(table)
    else:
        _on_sqlite(table)


def _on_sqlite(table: str) -> None:
    for act in ("update", "delete"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{act} BEFORE {act.upper()} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is {MESSAGE}'); END"
        )


def _on_postgresql(table: str) -> None:
    op.execute(
        "CREATE OR REPLACE FUNCTION bedside_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '% is {MESSAGE}', TG_TABLE_NAME; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION bedside_refuse_change()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION bedside_refuse_change()"
    )
