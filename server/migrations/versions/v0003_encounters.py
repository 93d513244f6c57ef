"""Visits: encounters, participants, cards, chat; recordings with their answers, keys, logs and films."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.db import UtcDateTime
from server.migrations.triggers import refuse_changes

revision = "0003"
down_revision = "0002"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    op.create_table(
        "clinic_text",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("kind IN ('video_consent', 'recording_consent')", name="ck_clinic_text_kind"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_clinic_text_clinic_id"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_clinic_text"),
        sa.UniqueConstraint(
            "clinic_id", "kind", "language", "version", name="uq_clinic_text_clinic_id_kind_language_version"
        ),
    )
    op.create_table(
        "recording_purpose",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("words", sa.String(length=300), nullable=False),
        sa.Column("who_may_watch", sa.String(length=300), nullable=False),
        sa.Column("kept_days", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("kept_days > 0", name="ck_recording_purpose_kept_days"),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_recording_purpose_clinic_id"),
        sa.PrimaryKeyConstraint("clinic_id", "code", name="pk_recording_purpose"),
    )
    op.create_table(
        "encounter",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("appointment_id", sa.String(length=36), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("by_phone", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("ended_by", sa.String(length=36), nullable=True),
        sa.Column("chat_count", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('seen', 'finished_by_phone', 'not_reached', 'left', 'sent_elsewhere', 'wrong_person')",
            name="ck_encounter_outcome",
        ),
        sa.CheckConstraint(
            "status IN ('planned', 'arrived', 'in-progress', 'finished', 'cancelled', 'entered-in-error')",
            name="ck_encounter_status",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "appointment_id"],
            ["appointment.clinic_id", "appointment.id"],
            name="fk_encounter_clinic_id_appointment_id",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"], name="fk_encounter_clinic_id_patient_id"
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinic.id"], name="fk_encounter_clinic_id"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_encounter"),
        sa.UniqueConstraint("id", name="uq_encounter_id"),
    )
    op.create_index("ix_encounter_patient", "encounter", ["clinic_id", "patient_id"], unique=False)
    op.create_index("ix_encounter_status", "encounter", ["status"], unique=False)
    op.create_index(
        "uq_encounter_live",
        "encounter",
        ["clinic_id", "appointment_id"],
        unique=True,
        sqlite_where=sa.text("status NOT IN ('cancelled', 'entered-in-error')"),
        postgresql_where=sa.text("status NOT IN ('cancelled', 'entered-in-error')"),
    )
    op.create_table(
        "participant",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("encounter_id", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=True),
        sa.Column("name", sa.String(length=400), nullable=False),
        sa.Column("relation", sa.String(length=200), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("waiting_since", UtcDateTime(), nullable=True),
        sa.Column("admitted_at", UtcDateTime(), nullable=True),
        sa.Column("left_at", UtcDateTime(), nullable=True),
        sa.Column("reads_after", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.String(length=36), nullable=True),
        sa.Column("is_blocked", sa.Boolean(), nullable=False),
        sa.Column("is_closed", sa.Boolean(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=True),
        sa.Column("agreed_at", UtcDateTime(), nullable=True),
        sa.Column("agreed_by", sa.String(length=36), nullable=True),
        sa.Column("refused_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("(state = 'left') = (reason IS NOT NULL)", name="ck_participant_departure"),
        sa.CheckConstraint(
            "role IN ('doctor', 'patient', 'proxy', 'guest', 'interpreter')", name="ck_participant_role"
        ),
        sa.CheckConstraint("state IN ('invited', 'waiting', 'admitted', 'left')", name="ck_participant_state"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "encounter_id"],
            ["encounter.clinic_id", "encounter.id"],
            name="fk_participant_clinic_id_encounter_id",
        ),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_participant_person_id"),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_participant"),
        sa.UniqueConstraint(
            "clinic_id", "encounter_id", "person_id", name="uq_participant_clinic_id_encounter_id_person_id"
        ),
        sa.UniqueConstraint("id", name="uq_participant_id"),
    )
    op.create_index("ix_participant_person", "participant", ["clinic_id", "person_id"], unique=False)
    op.create_index(
        "uq_participant_open_patient",
        "participant",
        ["clinic_id", "encounter_id"],
        unique=True,
        sqlite_where=sa.text("role = 'patient' AND NOT is_closed"),
        postgresql_where=sa.text("role = 'patient' AND NOT is_closed"),
    )
    op.create_table(
        "chat_line",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("encounter_id", sa.String(length=36), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("participant_id", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinic_id", "encounter_id"],
            ["encounter.clinic_id", "encounter.id"],
            name="fk_chat_line_clinic_id_encounter_id",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "participant_id"],
            ["participant.clinic_id", "participant.id"],
            name="fk_chat_line_clinic_id_participant_id",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "encounter_id", "n", name="pk_chat_line"),
        sa.UniqueConstraint(
            "clinic_id", "participant_id", "event_id", name="uq_chat_line_clinic_id_participant_id_event_id"
        ),
    )
    op.create_table(
        "emergency_press",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("encounter_id", sa.String(length=36), nullable=False),
        sa.Column("participant_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.String(length=16), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("pressed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinic_id", "encounter_id"],
            ["encounter.clinic_id", "encounter.id"],
            name="fk_emergency_press_clinic_id_encounter_id",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "participant_id"],
            ["participant.clinic_id", "participant.id"],
            name="fk_emergency_press_clinic_id_participant_id",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_emergency_press"),
    )
    op.create_index(
        "ix_emergency_press_encounter", "emergency_press", ["clinic_id", "encounter_id", "pressed_at"], unique=False
    )
    op.create_table(
        "recording",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("encounter_id", sa.String(length=36), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("question", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("text_id", sa.String(length=36), nullable=False),
        sa.Column("asked_by", sa.String(length=36), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("answer_by", UtcDateTime(), nullable=True),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("delete_at", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "phase IN ('asking', 'starting', 'running', 'paused', 'stopped', 'declined', 'failed')",
            name="ck_recording_phase",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "asked_by"],
            ["participant.clinic_id", "participant.id"],
            name="fk_recording_clinic_id_asked_by",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "encounter_id"],
            ["encounter.clinic_id", "encounter.id"],
            name="fk_recording_clinic_id_encounter_id",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "purpose"],
            ["recording_purpose.clinic_id", "recording_purpose.code"],
            name="fk_recording_clinic_id_purpose",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "text_id"], ["clinic_text.clinic_id", "clinic_text.id"], name="fk_recording_clinic_id_text_id"
        ),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_recording"),
        sa.UniqueConstraint("clinic_id", "encounter_id", "n", name="uq_recording_clinic_id_encounter_id_n"),
        sa.UniqueConstraint("id", name="uq_recording_id"),
    )
    op.create_table(
        "visit_card",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("encounter_id", sa.String(length=36), nullable=False),
        sa.Column("participant_id", sa.String(length=36), nullable=True),
        sa.Column("session_id", sa.String(length=36), nullable=True),
        sa.Column("identity", sa.String(length=16), nullable=False),
        sa.Column("place", sa.String(length=300), nullable=True),
        sa.Column("phone", sa.String(length=32), nullable=True),
        sa.Column("others", sa.String(length=300), nullable=True),
        sa.Column("agreed_text_id", sa.String(length=36), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("identity IN ('self', 'helping', 'denied', 'not_given')", name="ck_visit_card_identity"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "agreed_text_id"],
            ["clinic_text.clinic_id", "clinic_text.id"],
            name="fk_visit_card_clinic_id_agreed_text_id",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "encounter_id"],
            ["encounter.clinic_id", "encounter.id"],
            name="fk_visit_card_clinic_id_encounter_id",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "participant_id"],
            ["participant.clinic_id", "participant.id"],
            name="fk_visit_card_clinic_id_participant_id",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_visit_card"),
    )
    op.create_index("ix_visit_card_participant", "visit_card", ["clinic_id", "participant_id", "at"], unique=False)
    op.create_index("ix_visit_card_session", "visit_card", ["session_id"], unique=False)
    op.create_table(
        "consent_answer",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("participant_id", sa.String(length=36), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("question", sa.Integer(), nullable=False),
        sa.Column("answer", sa.String(length=16), nullable=False),
        sa.Column("others_present", sa.String(length=200), nullable=False),
        sa.Column("others_agree", sa.Boolean(), nullable=False),
        sa.Column("given_for", sa.String(length=16), nullable=False),
        sa.Column("text_id", sa.String(length=36), nullable=False),
        sa.Column("text_version", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("session_id", sa.String(length=36), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "answer IN ('yes', 'no', 'unanswered', 'withdrawn', 'lapsed')", name="ck_consent_answer_answer"
        ),
        sa.CheckConstraint("given_for IN ('self', 'patient')", name="ck_consent_answer_given_for"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "participant_id"],
            ["participant.clinic_id", "participant.id"],
            name="fk_consent_answer_clinic_id_participant_id",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "recording_id"],
            ["recording.clinic_id", "recording.id"],
            name="fk_consent_answer_clinic_id_recording_id",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "text_id"],
            ["clinic_text.clinic_id", "clinic_text.id"],
            name="fk_consent_answer_clinic_id_text_id",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "recording_id", "participant_id", "n", name="pk_consent_answer"),
    )
    op.create_table(
        "film",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("encounter_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
        sa.Column("path", sa.String(length=400), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("composed_from", sa.Text(), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("state <> 'empty' OR path IS NULL", name="ck_film_empty"),
        sa.CheckConstraint("state <> 'ready' OR (path IS NOT NULL AND wrapped_key IS NOT NULL)", name="ck_film_ready"),
        sa.CheckConstraint("state IN ('queued', 'composing', 'ready', 'empty', 'failed')", name="ck_film_state"),
        sa.ForeignKeyConstraint(
            ["clinic_id", "encounter_id"],
            ["encounter.clinic_id", "encounter.id"],
            name="fk_film_clinic_id_encounter_id",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "recording_id"],
            ["recording.clinic_id", "recording.id"],
            name="fk_film_clinic_id_recording_id",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "id", name="pk_film"),
        sa.UniqueConstraint("clinic_id", "recording_id", name="uq_film_clinic_id_recording_id"),
    )
    op.create_index("ix_film_encounter", "film", ["clinic_id", "encounter_id"], unique=False)
    op.create_table(
        "segment_key",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("segment", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("participant_id", sa.String(length=36), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinic_id", "participant_id"],
            ["participant.clinic_id", "participant.id"],
            name="fk_segment_key_clinic_id_participant_id",
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "recording_id"],
            ["recording.clinic_id", "recording.id"],
            name="fk_segment_key_clinic_id_recording_id",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "recording_id", "segment", "participant_id", name="pk_segment_key"),
    )
    op.create_table(
        "stored_log",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("path", sa.String(length=400), nullable=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("packets", sa.BigInteger(), nullable=False),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        sa.Column("stored_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinic_id", "recording_id"],
            ["recording.clinic_id", "recording.id"],
            name="fk_stored_log_clinic_id_recording_id",
        ),
        sa.PrimaryKeyConstraint("clinic_id", "recording_id", "path", name="pk_stored_log"),
    )
    op.create_table(
        "film_grant",
        sa.Column("clinic_id", sa.String(length=36), nullable=False),
        sa.Column("film_id", sa.String(length=36), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("granted_by", sa.String(length=36), nullable=False),
        sa.Column("granted_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["clinic_id", "film_id"], ["film.clinic_id", "film.id"], name="fk_film_grant_clinic_id_film_id"
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"], ["patient.clinic_id", "patient.id"], name="fk_film_grant_clinic_id_patient_id"
        ),
        sa.ForeignKeyConstraint(["granted_by"], ["person.id"], name="fk_film_grant_granted_by"),
        sa.PrimaryKeyConstraint("clinic_id", "film_id", "patient_id", name="pk_film_grant"),
    )
    refuse_changes("clinic_text")
    refuse_changes("consent_answer")
