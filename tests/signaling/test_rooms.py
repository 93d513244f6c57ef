"""The room's pure state: people, media way, deadlines, rebuilding."""

from __future__ import annotations

from datetime import timedelta

import pytest

from signaling import changes as c
from signaling.arrivals import arrivals_view
from signaling.desired import desired
from signaling.messages import CameraState, LinkState, MediaMode, MicrophoneState, PersonState, Phase
from signaling.people import patients_trouble
from signaling.rooms import born
from signaling.words import Departure, Outcome, PersonId
from tests.signaling.play import DOCTOR, GUEST, PATIENT, START, Play, participant, question, room_facts

# ── People ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_doctor_is_in_at_once_and_the_patient_waits() -> None:
    play = Play()
    play.connect(DOCTOR)
    play.connect(PATIENT)
    assert play.state.people[DOCTOR].standing == "admitted"
    assert play.state.people[PATIENT].standing == "waiting"
    assert play.state.phase == Phase.WAITING


def test_the_first_admission_opens_the_visit_and_wants_a_node() -> None:
    play = Play()
    play.connect(DOCTOR)
    play.connect(PATIENT)
    assert desired(play.state) is None
    play.admit(PATIENT)
    assert play.state.phase == Phase.OPEN
    wanted = desired(play.state)
    assert wanted is not None
    assert set(wanted.admitted) == {DOCTOR, PATIENT}


def test_the_late_end_of_an_old_socket_changes_nothing() -> None:
    play = Play()
    play.meet()
    play.connect(PATIENT, tab="t1", sid="sidB")
    before = play.state
    assert play.do(c.Disconnected(PATIENT, "patient-session-patient-t1", "ping_timeout")) is before
    place = before.people[PATIENT].place
    assert place is not None
    assert place.sid == "sidB"


def test_a_disconnect_is_an_away_mark_that_keeps_the_place() -> None:
    play = Play()
    play.meet()
    play.do(c.Disconnected(PATIENT, "patient-session-patient-t1", "ping_timeout"))
    shown = next(one for one in play.sees(DOCTOR).people if one.participant_id == PATIENT)
    assert (shown.state, shown.away) == (PersonState.ADMITTED, True)
    play.connect(PATIENT, sid="again")
    assert not next(one for one in play.sees(DOCTOR).people if one.participant_id == PATIENT).away


def test_the_desk_hears_of_a_patient_who_was_cut_off_or_allows_no_camera() -> None:
    play = Play()
    assert patients_trouble(play.state) is None, "nobody is here yet"
    play.meet()
    assert patients_trouble(play.state) is None
    play.do(c.DevicesChanged(PATIENT, MicrophoneState.ON, CameraState.DENIED, False))
    assert patients_trouble(play.state) == "camera_refused"
    play.do(c.Disconnected(PATIENT, "patient-session-patient-t1", "ping_timeout"))
    assert patients_trouble(play.state) == "dropped"
    play.do(c.Departed(PATIENT, Departure.LEFT))
    assert patients_trouble(play.state) is None


def test_everybody_of_a_dead_server_is_away() -> None:
    play = Play()
    play.meet()
    play.do(c.ServersAlive(frozenset({"server2"})))
    assert all(person.place is None for person in play.state.people.values())
    assert len(play.state.admitted()) == 2


def test_another_browser_is_a_second_device_and_is_shown_nothing() -> None:
    play = Play()
    play.meet()
    play.connect(PATIENT, session="other", sid="sid2")
    snapshot = play.sees(PATIENT, "sid2")
    assert snapshot.you.second_device
    assert snapshot.people == []
    assert snapshot.relay_room is None
    assert [one.device for one in play.sees(DOCTOR).devices] == ["device-other"]


def test_a_waiting_persons_other_browser_takes_the_place_when_the_first_is_gone() -> None:
    play = Play()
    play.connect(DOCTOR)
    play.connect(PATIENT, sid="sid1")
    play.do(c.Disconnected(PATIENT, "sid1", "closed"))
    play.connect(PATIENT, session="phone", sid="sid2")
    assert not play.sees(PATIENT, "sid2").you.second_device


def test_taking_over_tells_the_first_device_and_begins_a_new_attempt() -> None:
    play = Play()
    play.meet()
    attempt = play.state.attempt
    play.connect(PATIENT, session="other", sid="sid2")
    play.do(c.TookOver(PATIENT, "device-other"))
    assert play.effects[-1] == c.Evict("patient-session-patient-t1", "server1", Departure.REPLACED)
    assert play.state.attempt == attempt + 1
    assert play.sees(PATIENT, "patient-session-patient-t1").you.reason == Departure.REPLACED
    assert len(play.sees(PATIENT, "sid2").people) == 2


@pytest.mark.parametrize("reason", [Departure.REMOVED, Departure.WRONG_PERSON, Departure.LINK_CLOSED])
def test_whoever_is_put_out_loses_every_socket_and_the_node_forgets_them(reason: Departure) -> None:
    play = Play()
    play.meet()
    play.connect(PATIENT, session="other", sid="sid2")
    play.effects.clear()
    play.do(c.Departed(PATIENT, reason))
    assert {effect.sid for effect in play.effects if isinstance(effect, c.Evict)} == {
        "patient-session-patient-t1",
        "sid2",
    }
    assert c.SyncNode() in play.effects
    wanted = desired(play.state)
    assert wanted is not None
    assert PATIENT not in wanted.admitted


def test_a_closed_link_lets_nobody_connect_again() -> None:
    play = Play()
    play.meet()
    play.do(c.Departed(PATIENT, Departure.WRONG_PERSON))
    before = play.state
    assert play.connect(PATIENT, sid="back") is before


def test_who_left_waits_again_when_they_come_back() -> None:
    play = Play()
    play.meet()
    play.do(c.Departed(PATIENT, Departure.LEFT))
    assert next(one for one in play.sees(DOCTOR).people if one.participant_id == PATIENT).reason == Departure.LEFT
    play.connect(PATIENT, tab="t2", sid="back")
    assert play.state.people[PATIENT].standing == "waiting"
    assert play.sees(PATIENT, "back").people == []


def test_the_patient_is_asked_about_a_guest_and_nobody_else_is() -> None:
    play = Play()
    play.meet()
    play.connect(GUEST)
    assert [one.participant_id for one in play.sees(PATIENT).guests] == [GUEST]
    assert play.sees(DOCTOR).guests == []
    assert play.sees(DOCTOR).waiting[0].agreement == "asked"
    play.do(c.GuestAgreed(GUEST, True))
    assert play.sees(PATIENT).guests == []
    assert play.sees(DOCTOR).waiting[0].agreement == "yes"


@pytest.mark.parametrize(("minutes", "late"), [(0, False), (15, False), (15.1, True)])
def test_late_is_what_the_clinic_calls_late_in_the_waiting_room_and_on_the_doctors_pages(
    minutes: float, *, late: bool
) -> None:
    play = Play()
    play.now += timedelta(minutes=minutes)
    play.connect(DOCTOR)
    play.connect(PATIENT)
    play.later(3600)
    assert [one.late for one in play.sees(DOCTOR).waiting] == [late]
    shown = arrivals_view([play.state], PersonId("doctor1"), frozenset(), 1)
    assert [one.late for one in shown.waiting] == [late]


# ── Which way media goes ─────────────────────────────────────────────────────────────────────────────────────────


def test_two_people_go_straight_with_the_doctor_offering() -> None:
    play = Play()
    play.meet()
    direct = play.sees(PATIENT).direct
    assert direct is not None
    assert (direct.peer, direct.offerer) == (DOCTOR, DOCTOR)
    assert play.state.direct_by is None


@pytest.mark.parametrize("heard", [c.RelayMade("node-a", "epoch1", ("stun:192.0.2.1:3478",)), c.NoNode()])
def test_browsers_meet_once_they_can_be_told_the_nodes_stun_address_or_that_there_is_none(heard: c.Change) -> None:
    play = Play()
    play.connect(DOCTOR)
    play.connect(PATIENT)
    play.admit(PATIENT)
    assert play.sees(PATIENT).direct is None
    play.do(heard)
    snapshot = play.sees(PATIENT)
    assert snapshot.direct is not None
    assert bool(snapshot.ice_servers) == isinstance(heard, c.RelayMade)


def test_no_pictures_in_time_after_the_answer_means_relay() -> None:
    play = Play()
    play.connect(DOCTOR)
    play.connect(PATIENT)
    play.admit(PATIENT)
    play.do(c.NoNode())
    play.do(c.Described(play.state.attempt))
    play.later(2.4)
    assert play.state.mode == MediaMode.DIRECT
    play.later(0.2)
    assert play.state.mode == MediaMode.RELAY


def test_a_direct_connection_that_fails_goes_by_relay_for_good() -> None:
    play = Play()
    play.meet()
    play.link(LinkState.DIRECT_FAILED, PATIENT)
    assert play.state.mode == MediaMode.RELAY
    play.connect(PATIENT, tab="t2", sid="new")
    assert play.state.mode == MediaMode.RELAY


def test_a_word_about_an_older_attempt_is_dropped() -> None:
    play = Play()
    play.meet()
    play.connect(PATIENT, tab="t2", sid="new")
    before = play.state
    assert play.do(c.Linked(DOCTOR, before.attempt - 1, LinkState.DIRECT_FAILED)) is before


def test_a_reload_begins_a_new_attempt_and_a_mere_reconnection_does_not() -> None:
    play = Play()
    play.meet()
    attempt = play.state.attempt
    play.connect(PATIENT, tab="t1", sid="other-network")
    assert play.state.attempt == attempt
    play.connect(PATIENT, tab="t2", sid="reloaded")
    assert play.state.attempt == attempt + 1
    assert play.state.people[DOCTOR].direct == "none"


def test_nobodys_time_runs_while_one_is_away() -> None:
    play = Play()
    play.connect(DOCTOR)
    play.connect(PATIENT, sid="sid1")
    play.do(c.Disconnected(PATIENT, "sid1", "closed"))
    play.admit(PATIENT)
    play.later(120)
    assert play.state.mode == MediaMode.DIRECT


def test_always_relay_never_tries_direct() -> None:
    play = Play(always_relay=True)
    play.meet()
    snapshot = play.sees(PATIENT)
    assert (snapshot.mode, snapshot.direct, snapshot.relay_only) == (MediaMode.RELAY, None, True)


def test_a_third_person_switches_with_the_direct_connection_kept_until_all_are_ready() -> None:
    play = Play()
    play.meet()
    play.connect(GUEST)
    play.admit(GUEST)
    assert play.state.mode == MediaMode.SWITCHING
    assert play.sees(DOCTOR).direct is not None
    assert play.sees(GUEST).direct is None
    play.link(LinkState.RELAY_READY)
    assert play.state.mode == MediaMode.RELAY


def test_a_third_person_goes_by_relay_even_when_somebody_is_not_ready() -> None:
    play = Play()
    play.meet()
    play.connect(GUEST)
    play.admit(GUEST)
    play.later(5.1)
    assert play.state.mode == MediaMode.RELAY


def test_a_visit_never_goes_back_from_relay() -> None:
    play = Play()
    play.meet()
    play.connect(GUEST)
    play.admit(GUEST)
    play.link(LinkState.RELAY_READY)
    play.do(c.Departed(GUEST, Departure.LEFT))
    assert play.state.mode == MediaMode.RELAY
    assert play.sees(PATIENT).direct is None


def test_a_dead_node_leaves_a_direct_visit_alone_and_tells_the_doctor() -> None:
    play = Play()
    play.meet()
    play.do(c.RelayLost("node-a", "epoch1"))
    assert play.state.mode == MediaMode.DIRECT
    assert play.sees(DOCTOR).node_down
    assert not play.sees(PATIENT).node_down
    play.do(c.RelayMade("node-b", "epoch9", ()))
    assert play.sees(PATIENT).relay_room == "epoch9"
    assert not play.sees(DOCTOR).node_down


# ── The end ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_end_can_be_undone_for_ten_seconds() -> None:
    play = Play()
    play.meet()
    play.do(c.Ended(Outcome.SEEN))
    wanted = desired(play.state)
    assert wanted is not None
    assert dict(wanted.admitted) == {}
    play.later(9.9)
    play.do(c.Reopened())
    assert play.state.phase == Phase.OPEN
    assert len(play.sees(PATIENT).people) == 2


def test_after_ten_seconds_everybody_has_left_and_the_node_forgets_the_room() -> None:
    play = Play()
    play.meet()
    play.do(c.Ended(Outcome.SEEN))
    play.later(10)
    assert play.sees(PATIENT).you.reason == Departure.VISIT_ENDED
    assert desired(play.state) is None
    before = play.state
    assert play.do(c.Reopened()) is before


def test_a_cancelled_visit_ends_for_everybody() -> None:
    play = Play()
    play.meet()
    play.do(c.Refreshed(room_facts(phase="ended")))
    assert play.sees(PATIENT).phase == Phase.ENDED
    assert desired(play.state) is None


def test_the_doctor_reads_how_a_visit_ended_that_somebody_else_ended() -> None:
    play = Play()
    play.connect(DOCTOR)
    play.do(c.Refreshed(room_facts(phase="ended", outcome=Outcome.NOT_REACHED)))
    assert (play.sees(DOCTOR).you.state, play.sees(DOCTOR).outcome) == (PersonState.LEFT, Outcome.NOT_REACHED)
    assert play.sees(DOCTOR).undo_until is None
    play.connect(PATIENT)
    assert play.sees(PATIENT).outcome is None


def test_a_no_show_that_is_undone_opens_the_room_for_whoever_comes() -> None:
    play = Play()
    play.connect(PATIENT, sid="sid1")
    play.do(c.Refreshed(room_facts(phase="ended")))
    assert play.sees(PATIENT).you.state == PersonState.LEFT
    play.effects.clear()
    play.do(c.Refreshed(room_facts(), was_ended=True))
    assert c.Evict("sid1", "server1", Departure.VISIT_ENDED, silent=True) in play.effects
    assert play.state.phase == Phase.WAITING
    assert play.state.people[PATIENT].standing == "invited"
    play.connect(PATIENT, sid="sid2")
    play.connect(DOCTOR)
    play.admit(PATIENT)
    assert play.state.phase == Phase.OPEN
    assert len(play.state.admitted()) == 2


def test_an_end_undone_elsewhere_leaves_everybody_where_they_were() -> None:
    play = Play()
    play.meet()
    play.do(c.Ended(Outcome.SEEN))
    play.do(c.Refreshed(room_facts(phase="open", started_at=START), was_ended=True))
    assert play.state.phase == Phase.OPEN
    assert len(play.sees(PATIENT).people) == 2


def test_facts_read_before_an_end_do_not_undo_it() -> None:
    play = Play()
    play.meet()
    play.do(c.Ended(Outcome.SEEN))
    play.do(c.Refreshed(room_facts(phase="open", started_at=START)))
    assert play.state.phase == Phase.ENDED
    assert play.state.undo_until is not None


# ── Rebuilding ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lost_room_comes_back_with_the_same_admissions_and_consents_above_every_old_revision() -> None:
    play = Play()
    play.record()
    people = [
        participant(DOCTOR, state="waiting", session_id="session-doctor"),
        participant(PATIENT, state="admitted", session_id="session-patient"),
        participant(GUEST),
    ]
    facts = room_facts(
        phase="open",
        participants=people,
        started_at=START,
        recording=question(1, START, phase="running", answer_by=None, consents={DOCTOR: True, PATIENT: True}),
    )
    rebuilt = born(facts, play.now + timedelta(seconds=5))
    assert rebuilt.revision > play.state.revision
    assert {one.participant_id for one in rebuilt.admitted()} == {DOCTOR, PATIENT}
    assert rebuilt.mode == MediaMode.RELAY
    before, after = desired(play.state), desired(rebuilt)
    assert before == after
    assert after is not None
    assert after.capture is not None
    assert after.capture.running


def test_a_withdrawal_stored_before_the_loss_keeps_capture_off() -> None:
    facts = room_facts(
        phase="open",
        participants=[
            participant(DOCTOR, state="admitted", session_id="s1"),
            participant(PATIENT, state="admitted", session_id="s2"),
        ],
        recording=question(1, START, phase="running", answer_by=None, consents={DOCTOR: True, PATIENT: False}),
    )
    wanted = desired(born(facts, START))
    assert wanted is not None
    assert wanted.capture is None
