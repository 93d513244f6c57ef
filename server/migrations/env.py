"""What Alembic runs: on the connection that `server.migrations` hands over. Makes no connection of its own."""

from __future__ import annotations

from alembic import context

from server.db import Base

connection = context.config.attributes["connection"]
# No batch mode on SQLite: it rebuilds tables and silently drops their triggers.
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=False, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
