"""Records: signed text sealed under keys of its own, exports, erasures, holds, what patients ask to see or erase."""

from __future__ import annotations

import json
import os

import sqlalchemy as sa
from alembic import op
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.db import UtcDateTime
from server.migrations.triggers import refuse_changes

revision = "0011"
down_revision = "0010"
branch_labels: None = None
depends_on: None = None

ID = sa.String(length=36)
VERSION = ["note_version.clinic_id", "note_version.note_id", "note_version.n"]
PATIENT = ["patient.clinic_id", "patient.id"]
ONCE = bytes(12)


def upgrade() -> None:
    _erasures()
    _texts()
    _seal_what_is_there()
    _exports()
    _requests()
    op.add_column("clinic_policy", sa.Column("notes_kept_years", sa.Integer(), nullable=False, server_default="10"))


def _erasures() -> None:
    op.create_table(
        "note_erasure",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("note_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ground", sa.String(length=24), nullable=False),
        sa.Column("decided_by", ID, nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("proof", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "ground IN ('period_over', 'entered_in_error', 'ordered', 'restored')", name="ck_note_erasure_ground"
        ),
        sa.ForeignKeyConstraint(["clinic_id", "note_id", "n"], VERSION, name="fk_note_erasure_clinic_id_note_id_n"),
        sa.ForeignKeyConstraint(["decided_by"], ["person.id"], name="fk_note_erasure_decided_by"),
        sa.PrimaryKeyConstraint("clinic_id", "note_id", "n", name="pk_note_erasure"),
    )
    refuse_changes("note_erasure")
    op.create_table(
        "record_hold",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("patient_id", ID, nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("placed_by", ID, nullable=False),
        sa.Column("placed_at", UtcDateTime(), nullable=False),
        sa.Column("lifted_by", ID, nullable=True),
        sa.Column("lifted_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["clinic_id", "patient_id"], PATIENT, name="fk_record_hold_clinic_id_patient_id"),
        sa.ForeignKeyConstraint(["lifted_by"], ["person.id"], name="fk_record_hold_lifted_by"),
        sa.ForeignKeyConstraint(["placed_by"], ["person.id"], name="fk_record_hold_placed_by"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_record_hold"),
    )
    op.create_index("ix_record_hold_patient", "record_hold", ["clinic_id", "patient_id"], unique=False)


def _texts() -> None:
    op.create_table(
        "note_text",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("note_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id", "note_id", "n"], VERSION, name="fk_note_text_clinic_id_note_id_n"),
        sa.PrimaryKeyConstraint("clinic_id", "note_id", "n", name="pk_note_text"),
    )
    op.create_table(
        "note_key",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("note_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id", "note_id", "n"], VERSION, name="fk_note_key_clinic_id_note_id_n"),
        sa.PrimaryKeyConstraint("clinic_id", "note_id", "n", name="pk_note_key"),
    )
    for table in ("note_text", "note_key"):
        _keep_until_erased(table)
    _refuse_update("note_text")


def _keep_until_erased(table: str) -> None:
    """A row goes only after its erasure was written down, in the same transaction or before."""
    same = " AND ".join(f"note_erasure.{one} = OLD.{one}" for one in ("clinic_id", "note_id", "n"))
    stands = f"EXISTS (SELECT 1 FROM note_erasure WHERE {same})"  # noqa: S608 (our own names)
    if op.get_bind().dialect.name != "postgresql":
        op.execute(
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} WHEN NOT {stands} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
        return
    op.execute(
        f"CREATE FUNCTION bedside_{table}_erased() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NOT {stands} THEN RAISE EXCEPTION '{table} is append-only'; END IF; RETURN OLD; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION bedside_{table}_erased()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION bedside_refuse_change()"
    )


def _refuse_update(table: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION bedside_refuse_change()"
        )
        return
    op.execute(
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )


def _seal_what_is_there() -> None:
    """No keyset is at hand here: the new keys stay as they are (32 bytes) until the first job has wrapped them."""
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT clinic_id, note_id, n, text, reason, summary, key FROM note_content"))
    for row in rows.mappings().all():
        place = {"clinic_id": row["clinic_id"], "note_id": row["note_id"], "n": row["n"]}
        content = {"text": row["text"], "reason": row["reason"], "summary": row["summary"], "key": row["key"].hex()}
        key = os.urandom(32)
        bound = f"bedside note v1\0{row['clinic_id']}\0{row['note_id']}\0{row['n']}".encode()
        sealed = AESGCM(key).encrypt(ONCE, json.dumps(content, ensure_ascii=False).encode(), bound)
        for table, column, value in (("note_text", "sealed", sealed), ("note_key", "wrapped", key)):
            statement = f"INSERT INTO {table} (clinic_id, note_id, n, {column}) VALUES (:clinic_id, :note_id, :n, :it)"  # noqa: S608
            connection.execute(sa.text(statement), place | {"it": value})
    op.drop_table("note_content")


def _exports() -> None:
    op.create_table(
        "record_export",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("patient_id", ID, nullable=False),
        sa.Column("proxy_id", ID, nullable=True),
        sa.Column("scopes", sa.String(length=200), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("ready_at", UtcDateTime(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("path", sa.String(length=400), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("state IN ('asked', 'ready', 'failed', 'gone')", name="ck_record_export_state"),
        sa.CheckConstraint("(state = 'ready') = (wrapped_key IS NOT NULL)", name="ck_record_export_ready"),
        sa.ForeignKeyConstraint(["clinic_id", "patient_id"], PATIENT, name="fk_record_export_clinic_id_patient_id"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "proxy_id"], ["proxy.clinic_id", "proxy.id"], name="fk_record_export_clinic_id_proxy_id"
        ),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_record_export"),
        sa.UniqueConstraint("id", name="uq_record_export_id"),
    )
    op.create_index("ix_record_export_patient", "record_export", ["clinic_id", "patient_id"], unique=False)


def _requests() -> None:
    op.create_table(
        "record_request",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("patient_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject_kind", sa.String(length=16), nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("encounter_id", ID, nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=True),
        sa.Column("sealed_text", sa.LargeBinary(), nullable=True),
        sa.Column("decided_by", ID, nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("kind IN ('see', 'erase')", name="ck_record_request_kind"),
        sa.CheckConstraint("subject_kind IN ('note', 'film')", name="ck_record_request_subject_kind"),
        sa.CheckConstraint(
            "state IN ('asked', 'released', 'redacted', 'refused', 'erased')", name="ck_record_request_state"
        ),
        sa.CheckConstraint("(state = 'asked') = (decided_at IS NULL)", name="ck_record_request_decided"),
        sa.CheckConstraint("(state = 'refused') = (reason IS NOT NULL)", name="ck_record_request_refused"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "encounter_id"],
            ["encounter.clinic_id", "encounter.id"],
            name="fk_record_request_clinic_id_encounter_id",
        ),
        sa.ForeignKeyConstraint(["clinic_id", "patient_id"], PATIENT, name="fk_record_request_clinic_id_patient_id"),
        sa.ForeignKeyConstraint(["decided_by"], ["person.id"], name="fk_record_request_decided_by"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_record_request"),
        sa.UniqueConstraint(
            "clinic_id",
            "kind",
            "subject_kind",
            "subject_id",
            name="uq_record_request_clinic_id_kind_subject_kind_subject_id",
        ),
    )
    op.create_index("ix_record_request_patient", "record_request", ["clinic_id", "patient_id"], unique=False)
