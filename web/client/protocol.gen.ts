// Made by `python -m signaling.schema` from signaling/messages.py. Don't edit.

export const PROTOCOL_VERSION = 1;

export const EVENT_LIMIT_BYTES = 16384;

export const DESCRIPTION_LIMIT_BYTES = 65536;

export const CHAT_LIMIT_CHARACTERS = 4000;

export type Code =
  | "malformed"
  | "too_long"
  | "too_many"
  | "reload_needed"
  | "not_signed_in"
  | "not_allowed"
  | "not_found"
  | "cross_site"
  | "link_closed"
  | "visit_over"
  | "removed"
  | "not_admitted"
  | "wrong_phase"
  | "stale_revision"
  | "consent_missing"
  | "already_answered"
  | "node_down"
  | "unsupported_sdp"
  | "storage_full"
  | "slot_taken"
  | "slot_not_offered"
  | "in_the_past"
  | "unknown_zone"
  | "conflict"
  | "precondition_missing"
  | "note_signed"
  | "nothing_recorded"
  | "unavailable"
  | "internal";

export interface AdmitEvent {
  id: string;
  participant_id: string;
}

/** The patient's word on a guest in `snapshot.guests`: seen by name and role, let in only after a yes. */
export interface AgreeGuest {
  id: string;
  participant_id: string;
  agree: boolean;
}

/** Lets a second device take its person's place over; by the doctor, or by that person's first device. */
export interface AllowDevice {
  id: string;
  participant_id: string;
  device: string;
}

/** Of another country, told by something else. */
export interface AlsoNumber {
  number: string;
  country: string;
  country_from: "place" | "phone" | "clinic";
}

/** A yes says who else is in the room and that they agree, and for whom it is given. */
export interface AnswerRecording {
  id: string;
  recording_id: string;
  question: number;
  answer: "yes" | "no";
  others_present?: string;
  others_agree?: boolean;
  given_for?: GivenFor;
}

export interface AnsweredSection {
  mid: string;
  kind: "audio" | "video" | "application";
  source: Source | null;
  accepted: boolean;
  /** why not: audio_codec_unsupported, video_codec_unsupported, no_source, … */
  code: string | null;
}

/** `name` is None while a screen is shared anywhere by this doctor; `untaken`: nobody holds the visit yet. */
export interface ArrivalView {
  room_id: string;
  participant_id: string;
  name: string | null;
  role: Role;
  waiting_since: string;
  late: boolean;
  seen: boolean;
  untaken: boolean;
}

/** Pushed in `/clinic` as `arrivals`: whole each time. `silent` while this doctor is in a visit: a count only. */
export interface Arrivals {
  revision: number;
  waiting: Array<ArrivalView>;
  silent: boolean;
  names_hidden: boolean;
}

/** In `/clinic`: the doctor has seen these arrivals; the repeating sound ends on every open page. */
export interface ArrivalsSeen {
  id: string;
  participant_ids: Array<string>;
}

/** Asks everybody; `purpose` is a code of the clinic's list. */
export interface AskRecording {
  id: string;
  purpose: string;
}

/** What the socket says when it connects; who it is comes from its cookie, which must own `participation`. */
export interface Auth {
  v: number;
  participation: string;
  /** random for each loaded page; a newer tab of one browser takes the place over */
  tab: string;
}

export interface BackToWaiting {
  id: string;
  participant_id: string;
}

export interface BlockedView {
  participant_id: string;
  name: string;
}

export type CameraState = "on" | "off" | "none" | "denied";

/** A trickled candidate of the direct connection; an empty `candidate` ends them (RFC 8838 §8.2). */
export interface Candidate {
  id: string;
  to: string;
  attempt: number;
  candidate: string;
  mid?: string | null;
  line?: number | null;
}

/** Only the doctor's snapshot has these: what the patient answered at the door. None is shown as "not given". */
export interface CardView {
  participant_id: string;
  place: string | null;
  /** as the patient wrote it: perhaps no number at all */
  phone: string | null;
  /** who is with them */
  others: string | null;
  /** to a video visit, by the clinic's text */
  agrees: boolean;
}

/** Keeps visit, note and clock open and stops capture; the acknowledgement holds `PhoneFacts`. */
export interface CarryOnByPhone {
  id: string;
}

/** Stored before it is acknowledged. */
export interface Chat {
  id: string;
  text: string;
}

export interface ChatHistory {
  id: string;
  /** the highest number this page has */
  after?: number;
}

/** Name and role are the sender's as they were then. */
export interface ChatLine {
  n: number;
  /** RFC 3339, UTC */
  at: string;
  participant_id: string;
  name: string;
  role: Role;
  text: string;
}

export interface ChatLines {
  ok: true;
  lines: Array<ChatLine>;
}

/** The line's number; the line itself comes back as the event `chat`, also to its sender. */
export interface ChatStored {
  ok: true;
  n: number;
  at: string;
}

/** What becomes of what was recorded, by somebody who has withdrawn; answered with `WithdrawnChosen`. */
export interface ChooseWithdrawn {
  id: string;
  recording_id: string;
  choice: KeepWhat;
}

/** The `/clinic` namespace: a staff member's open page. */
export interface ClinicAuth {
  v: number;
  clinic: string;
}

/** Why somebody is no longer in the room. */
export type Departure = "left" | "removed" | "wrong_person" | "visit_ended" | "link_closed" | "replaced";

/** A description of the direct connection; crosses only between two admitted people in direct mode. Only `snapshot.direct.offerer` sends offers, so offers never cross; `attempt` must be the snapshot's. */
export interface Describe {
  id: string;
  to: string;
  attempt: number;
  type: "offer" | "answer" | "restart_please";
  sdp?: string;
}

/** A second device of a person, waiting without media, roster or chat. */
export interface DeviceView {
  participant_id: string;
  device: string;
  name: string;
  since: string;
}

/** What this person sends now, as others should see it. */
export interface Devices {
  id: string;
  microphone: MicrophoneState;
  camera: CameraState;
  screen?: boolean;
}

export interface DirectView {
  peer: string;
  offerer: string;
}

export interface DownAnswerEvent {
  id: string;
  connection_id: string;
  revision: number;
  sdp: string;
}

/** Also pushed as the event `down_offer` when tracks come or go. */
export interface DownOffered {
  ok: true;
  connection_id: string;
  revision: number;
  sdp: string;
  sections: Array<OfferedSection>;
}

/** Begin, or restart, the connection that receives from the relay; the acknowledgement holds `DownOffered`. */
export interface DownRequestEvent {
  id: string;
  connection_id: string;
  restart?: boolean;
}

/** Writes the time into the visit; the acknowledgement holds `EmergencyFacts`. */
export interface Emergency {
  id: string;
}

/** None is shown as "not given". */
export interface EmergencyFacts {
  ok: true;
  place: string | null;
  /** as the patient wrote it at the door: perhaps no number at all */
  phone: string | null;
  phone_on_file: string | null;
  /** the emergency number of that country */
  number: string;
  country: string;
  /** what told it; 'clinic': nothing did */
  country_from: "place" | "phone" | "clinic";
  /** when place and phone tell of two countries */
  also: AlsoNumber | null;
  pressed_at: string;
}

export interface EndVisit {
  id: string;
  outcome: Outcome;
}

export type GivenFor = "self" | "patient";

/** Only the patient's snapshot has these: a guest who asks to come in; answered with `agree_guest`. */
export interface GuestView {
  participant_id: string;
  name: string;
  role: Role;
}

export type KeepWhat = "keep" | "delete_mine" | "delete_all";

/** By the person's own button; keeps the link, so that they may come back to the waiting room. */
export interface Leave {
  id: string;
}

/** How this browser's media stands; `attempt` is the snapshot's, an older one is ignored. */
export interface Link {
  id: string;
  attempt: number;
  state: LinkState;
}

export type LinkState = "direct_connected" | "direct_failed" | "relay_prepared" | "relay_ready" | "relay_failed";

export type MediaMode = "direct" | "switching" | "relay";

export type MicrophoneState = "on" | "muted" | "none" | "denied";

/** `error` is a `signaling.words.Code`; `message` may be shown to a person as it is. */
export interface NotOk {
  ok: false;
  error: string;
  message: string;
  limit: number | null;
}

/** `participant_id` and `source` are None while the section is kept for reuse and carries nothing. */
export interface OfferedSection {
  mid: string;
  kind: "audio" | "video";
  participant_id: string | null;
  source: Source | null;
}

export interface Ok {
  ok: true;
}

/** How a visit ended: the one tap of the doctor. */
export type Outcome = "seen" | "finished_by_phone" | "not_reached" | "left" | "sent_elsewhere" | "wrong_person";

/** Capture stops at once. After an examination a person resumes it; who isn't alone any more is asked again. */
export interface PauseRecording {
  id: string;
  recording_id: string;
  why: PauseWhy;
}

export type PauseWhy = "examination" | "someone_came_in";

export type PersonState = "waiting" | "admitted" | "left";

export interface PersonView {
  participant_id: string;
  name: string;
  role: Role;
  state: PersonState;
  away: boolean;
  reason: Departure | null;
  microphone: MicrophoneState;
  camera: CameraState;
  screen: boolean;
  waiting_since: string | null;
  /** you don't get their picture now: your connection is weak */
  picture_held: boolean;
  /** they get nobody's picture now: their connection is weak */
  hears_only: boolean;
}

export type Phase = "waiting" | "open" | "ended";

export interface PhoneFacts {
  ok: true;
  /** as the patient wrote it at the door: perhaps no number at all */
  phone: string | null;
  phone_on_file: string | null;
}

export type RecordingAnswer = "asked" | "yes" | "no";

export type RecordingPhase = "off" | "asking" | "starting" | "running" | "paused" | "stopped" | "declined" | "failed";

/** `answers` is by participant, for everybody admitted; `code` says why it stopped, failed or paused. */
export interface RecordingView {
  recording_id: string | null;
  phase: RecordingPhase;
  question: number;
  /** in words */
  purpose: string | null;
  who_may_watch: string | null;
  /** how long, in words */
  kept: string | null;
  consent_text: string | null;
  asked_by: string | null;
  /** RFC 3339; no answer by then is No */
  answer_by: string | null;
  answers: Record<string, RecordingAnswer>;
  code: string | null;
  /** who pressed Pause for examination */
  paused_by: string | null;
  may_resume: boolean;
  may_ask_again: boolean;
}

/** Puts somebody out; with `block` their link is refused for the rest of the visit until `unblock`. */
export interface Remove {
  id: string;
  participant_id: string;
  block?: boolean;
}

/** After a pause for an examination, by the doctor or on the patient's side. */
export interface ResumeRecording {
  id: string;
  recording_id: string;
}

/** What a seat may do in its room; given by the clinic's permissions, checked for every event. */
export type Right = "take_part" | "admit" | "remove" | "ask_recording" | "emergency" | "carry_on_by_phone" | "end_visit" | "see_arrivals";

export type Role = "doctor" | "patient" | "proxy" | "guest" | "interpreter";

/** A direct description or candidate from the other person, as `Describe` or `Candidate` sent it. */
export interface Signal {
  sender: string;
  attempt: number;
  type: "offer" | "answer" | "restart_please" | "candidate";
  sdp: string;
  candidate: string;
  mid: string | null;
  line: number | null;
}

/** One person's own view of the room; `revision` rises, a browser drops one that is not above its own. Somebody waiting gets `you`, `doctor_name` and `phase` only: everything else is empty for them. */
export interface Snapshot {
  v: 1;
  revision: number;
  sent_at: string;
  phase: Phase;
  you: YouView;
  doctor_name: string;
  people: Array<PersonView>;
  waiting: Array<WaitingView>;
  cards: Array<CardView>;
  guests: Array<GuestView>;
  devices: Array<DeviceView>;
  blocked: Array<BlockedView>;
  mode: MediaMode;
  /** rises whenever the media way changes; signals of an older one are dropped */
  attempt: number;
  /** always relay: no direct connection is ever tried */
  relay_only: boolean;
  direct: DirectView | null;
  /** a node has this room: prepare both relay connections */
  relay_up: boolean;
  /** changes when the room moved to a node: connect anew */
  relay_room: string | null;
  node_down: boolean;
  simulcast: boolean;
  /** as RTCIceServer */
  ice_servers: Array<Record<string, string>>;
  recording: RecordingView;
  by_phone: boolean;
  chat_count: number;
  /** lines up to this number are shown no longer */
  chat_from: number;
  started_at: string | null;
  outcome: Outcome | null;
  undo_until: string | null;
}

export type Source = "microphone" | "camera" | "screen" | "screen_audio";

/** By anybody, always; takes the presser's consent back. */
export interface StopRecording {
  id: string;
  recording_id: string;
}

/** Send me my snapshot again: the browser saw a gap, or woke up. */
export interface Sync {
  id: string;
}

export interface Unblock {
  id: string;
  participant_id: string;
}

/** Within ten seconds of ending. */
export interface UndoEnd {
  id: string;
}

export interface UpAccepted {
  ok: true;
  connection_id: string;
  revision: number;
  sdp: string;
  sections: Array<AnsweredSection>;
}

/** Offer of the connection that publishes to the relay; the acknowledgement holds `UpAccepted`. */
export interface UpOfferEvent {
  id: string;
  connection_id: string;
  revision: number;
  sdp: string;
  sources: Record<string, Source>;
}

/** Only the doctor's snapshot has these. Birth date and opener are for the check at Admit. */
export interface WaitingView {
  participant_id: string;
  name: string;
  role: Role;
  birth_date: string | null;
  /** 'the patient', 'somebody helping', or a guest's relation, in words */
  opened_by: string | null;
  waiting_since: string;
  late: boolean;
  away: boolean;
  identity: "self" | "helping" | "denied" | "not_given";
  /** a guest's: what the patient said; Admit is refused until yes */
  agreement: "not_needed" | "asked" | "yes" | "no";
}

/** `asked`: the note is signed, or something keeps the recording, so that a named person answers the wish. */
export interface WithdrawnChosen {
  ok: true;
  result: "done" | "asked";
}

/** Not the right person: cut off at once, link closed, appointment put back, incident filed. */
export interface WrongPerson {
  id: string;
  participant_id: string;
}

export interface YouView {
  participant_id: string;
  name: string;
  role: Role;
  state: PersonState;
  reason: Departure | null;
  rights: Array<Right>;
  second_device: boolean;
  device: string;
  waiting_since: string | null;
  /** somebody helping, or a guest: their yes to a recording says for whom it is given */
  may_speak_for_patient: boolean;
}

/** What the browser sends by name, and what a yes to it holds; a no is always NotOk. */
export interface VisitEvents {
  sync: { send: Sync; ok: Ok };
  devices: { send: Devices; ok: Ok };
  leave: { send: Leave; ok: Ok };
  describe: { send: Describe; ok: Ok };
  candidate: { send: Candidate; ok: Ok };
  up_offer: { send: UpOfferEvent; ok: UpAccepted };
  down_request: { send: DownRequestEvent; ok: DownOffered };
  down_answer: { send: DownAnswerEvent; ok: Ok };
  link: { send: Link; ok: Ok };
  chat: { send: Chat; ok: ChatStored };
  chat_history: { send: ChatHistory; ok: ChatLines };
  admit: { send: AdmitEvent; ok: Ok };
  wrong_person: { send: WrongPerson; ok: Ok };
  back_to_waiting: { send: BackToWaiting; ok: Ok };
  remove: { send: Remove; ok: Ok };
  unblock: { send: Unblock; ok: Ok };
  agree_guest: { send: AgreeGuest; ok: Ok };
  allow_device: { send: AllowDevice; ok: Ok };
  ask_recording: { send: AskRecording; ok: Ok };
  answer_recording: { send: AnswerRecording; ok: Ok };
  stop_recording: { send: StopRecording; ok: Ok };
  pause_recording: { send: PauseRecording; ok: Ok };
  resume_recording: { send: ResumeRecording; ok: Ok };
  choose_withdrawn: { send: ChooseWithdrawn; ok: WithdrawnChosen };
  emergency: { send: Emergency; ok: EmergencyFacts };
  carry_on_by_phone: { send: CarryOnByPhone; ok: PhoneFacts };
  end_visit: { send: EndVisit; ok: Ok };
  undo_end: { send: UndoEnd; ok: Ok };
}

/** What the browser sends by name, and what a yes to it holds; a no is always NotOk. */
export interface ClinicEvents {
  arrivals_seen: { send: ArrivalsSeen; ok: Ok };
}

/** What the server sends by name. */
export interface ServerEvents {
  snapshot: Snapshot;
  signal: Signal;
  down_offer: DownOffered;
  chat: ChatLine;
  arrivals: Arrivals;
  reload_needed: void;
  server_restart: void;
}
