// What every part of the visit page is given: its configuration, a way to send, a voice, the room as last told.
import type { Announcer } from "./announce";
import type { Right, Snapshot, VisitEvents } from "./protocol.gen";
import type { Body, EventName } from "./socket";
import type { RoomConfig } from "./wire";

export interface Context {
  readonly config: RoomConfig;
  readonly announcer: Announcer;
  room(): Snapshot | null;
  /** The answer, or null when it was refused; a refusal has been shown by then. */
  send<N extends EventName>(name: N, body: Body<N>): Promise<VisitEvents[N]["ok"] | null>;
}

export function may(room: Snapshot, right: Right): boolean {
  return room.you.rights.includes(right);
}

/** Seconds from now until an RFC 3339 time, by the server's clock as the snapshot told it. */
export function secondsUntil(at: string, skewMs: number): number {
  return (Date.parse(at) - (Date.now() + skewMs)) / 1000;
}
