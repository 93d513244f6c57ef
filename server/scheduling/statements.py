"""The statements of what many do at once (finding a time, booking it), each built once: building one anew takes
SQLAlchemy longer than SQLite takes to answer it.

They speak of plain tables, so they flush nothing by themselves. What the answers mean is for those who say them.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import String, TextClause, and_, bindparam, cast, delete, exists, func, insert, or_, select, text

from server.accounts.models import Membership, Patient
from server.db import Id, table_of
from server.permissions import StaffRole
from server.scheduling.models import (
    Appointment,
    AppointmentHistory,
    AppointmentPractitioner,
    ChannelRefusal,
    Hold,
    Message,
    Schedule,
    ScheduleException,
    Tick,
    VisitType,
    VisitTypeOffer,
)

_doctor = table_of(Membership).c
_offered = table_of(VisitTypeOffer).c
_schedule = table_of(Schedule).c
_exception = table_of(ScheduleException).c
_tick = table_of(Tick).c
_hold = table_of(Hold).c
_kind = table_of(VisitType).c
_refusal = table_of(ChannelRefusal).c
_appointment = table_of(Appointment).c

_clinic = bindparam("clinic", type_=Id)
_now = bindparam("now", type_=_hold.expires_at.type)
_people = bindparam("people", type_=Id, expanding=True)
_visit_type = bindparam("visit_type", type_=Id)

HOURS = select(
    _schedule.person_id,
    _schedule.zone,
    _schedule.rule,
    _schedule.opens_min,
    _schedule.closes_min,
    _schedule.valid_from,
    _schedule.valid_until,
).where(
    _schedule.clinic_id == _clinic,
    _schedule.person_id.in_(_people),
    _schedule.valid_from <= bindparam("last"),
)
"""clinic, people, last (date)."""

EXCEPTIONS = select(
    _exception.person_id,
    _exception.zone,
    _exception.on_date,
    _exception.kind,
    _exception.opens_min,
    _exception.closes_min,
).where(
    _exception.clinic_id == _clinic,
    _exception.person_id.in_(_people),
    _exception.on_date.between(bindparam("first"), bindparam("last")),
)
"""clinic, people, first and last (dates)."""

ZONE = (
    select(_schedule.zone)
    .where(_schedule.clinic_id == _clinic, _schedule.person_id.in_(_people))
    .order_by(_schedule.created_at)
    .limit(1)
)
"""clinic, people."""

NAMED = select(_offered.person_id).where(_offered.clinic_id == _clinic, _offered.visit_type_id == _visit_type)
"""clinic, visit_type: the doctors who are named for it."""

ACTIVE = select(_doctor.person_id).where(
    _doctor.clinic_id == _clinic,
    _doctor.role == StaffRole.DOCTOR.value,
    _doctor.is_active,
    _doctor.person_id.in_(_people),
)
"""clinic, people: those of them who see patients."""

_named = exists().where(_offered.clinic_id == _clinic, _offered.visit_type_id == _visit_type)
OFFERING = ACTIVE.where(or_(~_named, _named.where(_offered.person_id == _doctor.person_id)))
"""clinic, people, visit_type: those of them who see patients for it: the named ones, or all when nobody is named."""

PATIENT = select(Patient).where(Patient.clinic_id == _clinic, Patient.id == bindparam("id", type_=Id))
"""clinic, id; mapped."""

VISIT_TYPE = select(VisitType).where(VisitType.clinic_id == _clinic, VisitType.id == bindparam("id", type_=Id))
"""clinic, id; mapped."""

FOR_WHOM = (
    select(Patient, VisitType)
    .join(VisitType, VisitType.clinic_id == Patient.clinic_id)
    .where(
        Patient.clinic_id == _clinic,
        Patient.id == bindparam("patient", type_=Id),
        VisitType.id == bindparam("visit_type", type_=Id),
        VisitType.is_active,
    )
)
"""clinic, patient, visit_type; mapped: both in one go, for who has no time for two."""

REFUSED = select(_refusal.channel).where(
    _refusal.clinic_id == _clinic, _refusal.patient_id == bindparam("patient", type_=Id)
)
"""clinic, patient."""

_holds = and_(_hold.clinic_id == _tick.clinic_id, _hold.id == _tick.hold_id)

BUSY = (
    select(_tick.person_id, func.aggregate_strings(cast(_tick.tick, String), " "))
    .where(
        _tick.person_id.in_(_people),
        _tick.tick >= bindparam("first"),
        _tick.tick < bindparam("end"),
        or_(_tick.hold_id.is_(None), exists().where(_holds, _hold.expires_at > _now)),
    )
    .group_by(_tick.person_id)
)
"""people, first, end (ticks), now. One row a person: a row for each of a month's hundred thousand ticks is slow."""

DROP_EXPIRED = delete(table_of(Tick)).where(
    _tick.person_id.in_(_people),
    _tick.tick >= bindparam("first"),
    _tick.tick < bindparam("end"),
    _tick.hold_id.in_(select(_hold.id).where(_hold.clinic_id == _tick.clinic_id, _hold.expires_at <= _now)),
)
"""people, first, end (ticks), now."""

IN_VAIN = (
    select(_tick.tick)
    .where(
        _kind.clinic_id == _clinic,
        _kind.id == _visit_type,
        _tick.person_id.in_(_people),
        _tick.tick >= bindparam("tick") - _kind.buffer_before_min // 5,
        _tick.tick < bindparam("tick") + (_kind.length_min + _kind.buffer_after_min) // 5,
        or_(
            _tick.appointment_id.is_not(None),
            exists().where(
                _holds,
                _hold.expires_at > _now,
                _hold.id != bindparam("own_hold", type_=Id),
                or_(_hold.created_by.is_(None), _hold.created_by != bindparam("by", type_=Id)),
            ),
        ),
        ~exists().where(
            _appointment.clinic_id == _clinic, _appointment.idempotency_key == bindparam("key", type_=String(64))
        ),
    )
    .limit(1)
)
"""clinic, visit_type, people, tick (of the start), now, own_hold and by ("" for none), key (None for none): a tick that
somebody else has, of those that this visit needs; none when this very form has booked before."""

INSERT_APPOINTMENT = insert(table_of(Appointment))
INSERT_PRACTITIONERS = insert(table_of(AppointmentPractitioner))
INSERT_HISTORY = insert(table_of(AppointmentHistory))
INSERT_MESSAGES = insert(table_of(Message))


@lru_cache(maxsize=256)
def insert_ticks(count: int) -> TextClause:
    """One insert of so many ticks: person0, tick0, person1 … and clinic, appointment, hold. As text, since SQLAlchemy
    compiles its own insert of many values anew each time."""
    rows = ", ".join(f"(:person{n}, :tick{n}, :clinic, :appointment, :hold)" for n in range(count))
    types = {"clinic": _tick.clinic_id, "appointment": _tick.appointment_id, "hold": _tick.hold_id}
    types |= {f"person{n}": _tick.person_id for n in range(count)} | {f"tick{n}": _tick.tick for n in range(count)}
    columns = "person_id, tick, clinic_id, appointment_id, hold_id"
    statement = text(f"INSERT INTO tick ({columns}) VALUES {rows}")  # noqa: S608 (numbers of ours alone)
    return statement.bindparams(*(bindparam(name, type_=column.type) for name, column in types.items()))
