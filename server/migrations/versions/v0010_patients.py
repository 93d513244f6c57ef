"""Trust: patients' own accounts, notices to staff, visits handed over, places of those who act for a patient."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels: None = None
depends_on: None = None

ID = sa.String(length=36)


def upgrade() -> None:
    _accounts()
    _notices()
    _visits()


def _accounts() -> None:
    op.create_table(
        "patient_account",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("patient_id", ID, nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("password_hash", sa.String(length=400), nullable=False),
        sa.Column("known_after", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        _same_clinic("patient_account", "patient_id", "patient"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_patient_account_clinic_id"),
        sa.PrimaryKeyConstraint("clinic_id", "patient_id", name="pk_patient_account"),
    )
    op.create_index("ix_patient_account_email", "patient_account", ["clinic_id", "email"], unique=False)


def _notices() -> None:
    op.create_table(
        "staff_notice",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("about_person_id", ID, nullable=True),
        sa.Column("detail", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=400), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("error", sa.String(length=64), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'failed')", name="ck_staff_notice_state"),
        sa.ForeignKeyConstraint(["about_person_id"], ["person.id"], name="fk_staff_notice_about_person_id"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_staff_notice_clinic_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_staff_notice_person_id"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_staff_notice"),
    )
    op.create_index("ix_staff_notice_person", "staff_notice", ["person_id", "at"], unique=False)


def _visits() -> None:
    op.create_table(
        "hand_over",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("encounter_id", ID, nullable=False),
        sa.Column("from_person_id", ID, nullable=False),
        sa.Column("to_person_id", ID, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("from_person_id <> to_person_id", name="ck_hand_over_two"),
        _same_clinic("hand_over", "encounter_id", "encounter"),
        sa.ForeignKeyConstraint(["from_person_id"], ["person.id"], name="fk_hand_over_from_person_id"),
        sa.ForeignKeyConstraint(["to_person_id"], ["person.id"], name="fk_hand_over_to_person_id"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_hand_over"),
    )
    op.create_index("ix_hand_over_encounter", "hand_over", ["clinic_id", "encounter_id", "at"], unique=False)
    op.create_table(
        "proxy_place",
        sa.Column("clinic_id", ID, nullable=False),
        sa.Column("participant_id", ID, nullable=False),
        sa.Column("encounter_id", ID, nullable=False),
        sa.Column("proxy_id", ID, nullable=False),
        _same_clinic("proxy_place", "encounter_id", "encounter"),
        _same_clinic("proxy_place", "participant_id", "participant"),
        _same_clinic("proxy_place", "proxy_id", "proxy"),
        sa.PrimaryKeyConstraint("clinic_id", "participant_id", name="pk_proxy_place"),
        sa.UniqueConstraint(
            "clinic_id", "encounter_id", "proxy_id", name="uq_proxy_place_clinic_id_encounter_id_proxy_id"
        ),
    )
    op.create_index("ix_proxy_place_proxy", "proxy_place", ["clinic_id", "proxy_id"], unique=False)


def _same_clinic(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["clinic_id", column], [f"{target}.clinic_id", f"{target}.id"], name=f"fk_{table}_clinic_id_{column}"
    )
