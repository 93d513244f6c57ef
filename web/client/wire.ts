// What the pages share beside the generated protocol: the room page's configuration, ids, how a refusal is told.
// Leaves sending and receiving to socket.ts.
import type { NotOk, Role } from "./protocol.gen";

export interface RoomConfig {
  participation: string;
  room_id: string;
  role: Role;
  env: string;
  back_url: string;
  note: NoteConfig | null;
  closing_url: string | null;
  purposes: { code: string; words: string }[];
  guest_link_url: string | null;
  film_url: string | null;
  clinic_phone: string | null;
  /** What the tab says: a name. */
  title: string;
  /** By the server's clock; this browser's may be wrong. */
  sent_at: string;
  opens_at: string | null;
}

export interface NoteConfig {
  url: string;
  draft_url: string;
  revision: number;
  text: string;
  sign_url: string;
  start_url: string;
  attached_url: string;
  attached: AttachedFile[];
  /** What unsent words are sealed with in this browser: the same for this writer and visit each time. */
  keep_key: string;
  /** The headings a note of this kind of visit begins with. */
  template: string;
  release: ReleaseConfig;
}

export interface AttachedFile {
  id: string;
  name: string;
}

/** What stands beside Sign: who will read the note, and the reasons why somebody may not yet. */
export interface ReleaseConfig {
  patient: string;
  proxies: { name: string; reads: boolean }[];
  reasons: [string, string][];
  review_on: string;
  /** What was chosen before, where a signature could not be taken. */
  typed: { summary?: string; readers?: string; reason?: string; review_on?: string };
}

export function isRefusal(reply: object): reply is NotOk {
  return "error" in reply;
}

/** Random, unguessable, in the protocol's alphabet. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
