"""Alembic migrations, forward only, run by `bedside migrate` on both engines."""
