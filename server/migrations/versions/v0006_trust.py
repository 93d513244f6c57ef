"""Trust: second factors, invitations, policies, proxies, looks without a visit, uploads, a session's browser."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    _sign_in()
    _proxies()
    _the_rest()


def _sign_in() -> None:
    op.create_table(
        "invitation",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("by_person_id", sa.String(length=36), nullable=True),
        sa.Column("identity_check", sa.String(length=32), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("kind IN ('join', 'second_factor')", name="ck_invitation_kind"),
        sa.ForeignKeyConstraint(["by_person_id"], ["person.id"], name="fk_invitation_by_person_id"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_invitation_clinic_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_invitation_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_invitation"),
        sa.UniqueConstraint("token_hash", name="uq_invitation_token_hash"),
    )
    op.create_index("ix_invitation_person", "invitation", ["person_id"], unique=False)
    op.create_table(
        "recovery_code",
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_recovery_code_person_id"),
        sa.PrimaryKeyConstraint("person_id", "code_hash", name="pk_recovery_code"),
    )
    op.create_table(
        "second_factor",
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.Column("set_up_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_second_factor_person_id"),
        sa.PrimaryKeyConstraint("person_id", name="pk_second_factor"),
    )
    op.add_column("session", sa.Column("locked_at", UtcDateTime(), nullable=True))
    op.add_column("session", sa.Column("device", sa.String(length=100), nullable=True))


def _proxies() -> None:
    op.create_table(
        "patient_only",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("subject_kind", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=36), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("marked_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"],
            ["patient.clinic_id", "patient.id"],
            name="fk_patient_only_clinic_id_patient_id",
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_patient_only_clinic_id"),
        sa.PrimaryKeyConstraint("clinic_id", "subject_kind", "subject_id", name="pk_patient_only"),
    )
    op.create_table(
        "proxy",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=400), nullable=False),
        sa.Column("relation", sa.String(length=200), nullable=False),
        sa.Column("phone", sa.String(length=32), nullable=True),
        sa.Column("authority", sa.String(length=32), nullable=False),
        sa.Column("seen_by", sa.String(length=36), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("may_book", sa.Boolean(), nullable=False),
        sa.Column("may_attend", sa.Boolean(), nullable=False),
        sa.Column("may_read_notes", sa.Boolean(), nullable=False),
        sa.Column("may_watch_films", sa.Boolean(), nullable=False),
        sa.Column("may_consent", sa.Boolean(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("stopped_at", UtcDateTime(), nullable=True),
        sa.Column("stopped_by", sa.String(length=36), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "authority IN ('parent', 'guardian', 'power_of_attorney', 'patient_said_so')", name="ck_proxy_authority"
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"], name="fk_proxy_clinic_id_patient_id"
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_proxy_clinic_id"),
        sa.ForeignKeyConstraint(["seen_by"], ["person.id"], name="fk_proxy_seen_by"),
        sa.ForeignKeyConstraint(["stopped_by"], ["person.id"], name="fk_proxy_stopped_by"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_proxy"),
    )
    op.create_index("ix_proxy_patient", "proxy", ["clinic_id", "patient_id"], unique=False)
    op.create_table(
        "session_proxy",
        sa.Column("session_id", sa.String(length=36), nullable=False),
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("proxy_id", sa.String(length=36), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinic_id", "proxy_id"], ["proxy.clinic_id", "proxy.id"], name="fk_session_proxy_clinic_id_proxy_id"
        ),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name="fk_session_proxy_session_id"),
        sa.PrimaryKeyConstraint("session_id", "clinic_id", "proxy_id", name="pk_session_proxy"),
    )


def _the_rest() -> None:
    op.create_table(
        "clinic_policy",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("letterhead", sa.Text(), nullable=False),
        sa.Column("idle_min", sa.Integer(), nullable=False),
        sa.Column("proxy_ends_age", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_clinic_policy_clinic_id"),
        sa.PrimaryKeyConstraint("clinic_id", name="pk_clinic_policy"),
    )
    op.create_table(
        "upload",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("subject_kind", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sealed_name", sa.LargeBinary(), nullable=True),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("by_person_id", sa.String(length=36), nullable=True),
        sa.Column("by_participation_id", sa.String(length=36), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("erased_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["by_person_id"], ["person.id"], name="fk_upload_by_person_id"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_upload_clinic_id"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_upload"),
    )
    op.create_index("ix_upload_subject", "upload", ["clinic_id", "subject_kind", "subject_id"], unique=False)
    op.create_table(
        "break_glass",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("sealed_reason", sa.LargeBinary(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("hidden_until", UtcDateTime(), nullable=True),
        sa.Column("sealed_hiding_reason", sa.LargeBinary(), nullable=True),
        sa.Column("reviewed_by", sa.String(length=36), nullable=True),
        sa.Column("reviewed_at", UtcDateTime(), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.CheckConstraint("verdict IN ('justified', 'not_justified')", name="ck_break_glass_verdict"),
        sa.CheckConstraint("(reviewed_at IS NULL) = (verdict IS NULL)", name="ck_break_glass_review"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"], name="fk_break_glass_clinic_id_patient_id"
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_break_glass_clinic_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_break_glass_person_id"),
        sa.ForeignKeyConstraint(["reviewed_by"], ["person.id"], name="fk_break_glass_reviewed_by"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_break_glass"),
    )
    op.create_index("ix_break_glass_patient", "break_glass", ["clinic_id", "patient_id"], unique=False)
    op.create_table(
        "parked_form",
        sa.Column("session_id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_parked_form_person_id"),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name="fk_parked_form_session_id"),
        sa.PrimaryKeyConstraint("session_id", name="pk_parked_form"),
    )
