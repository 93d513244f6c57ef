// Which way media goes: straight between two browsers, or by the relay, and the change from one to the other without
// a break: publish there, show it hidden and muted, swap picture and sound at its first frame, say so.
// Leaves connections to direct.ts and relay.ts, and elements to its stage.
import type { Tracks } from "./devices";
import { DirectLink } from "./direct";
import { RelayPair } from "./pair";
import type { DownOffered, Signal, Snapshot } from "./protocol.gen";
import type { EventName, RoomSocket } from "./socket";
import { isRefusal } from "./wire";

export type Way = "direct" | "relay";

/** What shows people. Each person has a place for either way; one of the two is in front, seen and heard. */
export interface Stage {
  put(person: string, way: Way, tracks: Tracks | null): void;
  /** Resolves at the first frame of that way. */
  pictureRuns(person: string, way: Way): Promise<void>;
  /** Swaps picture and sound in one task. */
  front(person: string, way: Way): void;
}

export interface SwitchNews {
  /** How media stands, for the words on the page. */
  way(way: Way, connected: boolean): void;
}

const NOTHING: Tracks = { microphone: null, camera: null, screen: null };
const CLOSE_DIRECT_AFTER_MS = 2000;
const SOUND_FOR_MS = 200;
const SOUND_BESIDE_MS = 50;

export class MediaSwitch {
  direct: DirectLink | null = null;
  relay: RelayPair | null = null;
  private room: Snapshot | null = null;
  private tracks: Tracks = NOTHING;
  private isHeld = false;
  private early: Signal[] = [];
  private readonly fronts = new Map<string, Way>();
  private readonly watched = new Set<string>();
  private closing: ReturnType<typeof setTimeout> | undefined;
  private readyFor = -1;
  private preparedFor = "";

  constructor(
    private readonly socket: RoomSocket,
    private readonly stage: Stage,
    private readonly news: SwitchNews,
  ) {}

  apply(room: Snapshot): void {
    const before = this.room;
    this.room = room;
    const takesPart = room.you.state === "admitted" && room.phase === "open" && !room.you.second_device;
    if (!takesPart) {
      this.close();
      return;
    }
    this.keepRelay(room);
    this.keepDirect(room, before);
    this.publish(room);
    this.show(room);
    this.tell();
  }

  setTracks(tracks: Tracks): void {
    this.tracks = { ...tracks };
    this.direct?.setTracks(this.tracks);
    if (this.room && this.room.mode !== "direct") this.publish(this.room);
  }

  /** Keeps the own media from the relay, where it could be stored, whatever becomes of the connection meanwhile. */
  hold(yes: boolean): void {
    this.isHeld = yes;
    if (this.room) this.publish(this.room);
  }

  handleSignal(signal: Signal): void {
    if (this.direct && signal.attempt === this.direct.attempt) this.direct.handle(signal);
    // Two servers' messages may arrive the wrong way round: this one is of a connection the snapshot will announce.
    else if (signal.attempt > (this.room?.attempt ?? -1)) this.early = [...this.early, signal].slice(-64);
  }

  handleDownOffer(offer: DownOffered): void {
    this.relay?.handle(offer);
  }

  /** The network changed: both ways look for a new path. */
  nudge(): void {
    this.direct?.nudge();
    this.relay?.nudge();
  }

  close(): void {
    this.closeDirect();
    this.relay?.close();
    this.relay = null;
    this.fronts.clear();
    this.watched.clear();
    this.preparedFor = "";
    this.readyFor = -1;
  }

  private publish(room: Snapshot): void {
    this.relay?.publish(room.mode === "direct" || this.isHeld ? NOTHING : this.tracks, room.simulcast);
  }

  private keepRelay(room: Snapshot): void {
    const wanted = room.relay_up ? room.relay_room : null;
    if (this.relay && this.relay.room !== wanted) {
      this.relay.close();
      this.relay = null;
      this.watched.clear();
    }
    if (this.relay || wanted === null) return;
    this.relay = new RelayPair(wanted, this.socket, {
      changed: () => this.relayChanged(),
      failed: () => this.link("relay_failed"),
    });
  }

  private relayChanged(): void {
    const { room, relay } = this;
    if (!room || !relay) return;
    const key = `${relay.room} ${room.attempt}`;
    if (relay.connected && this.preparedFor !== key) {
      this.preparedFor = key;
      this.link("relay_prepared");
    }
    this.show(room);
    this.tell();
  }

  private keepDirect(room: Snapshot, before: Snapshot | null): void {
    if (room.mode === "relay") {
      if (this.direct && this.closing === undefined) {
        void this.direct.quiet();
        this.closing = setTimeout(() => this.closeDirect(), CLOSE_DIRECT_AFTER_MS);
      }
      return;
    }
    const plan = room.direct;
    if (!plan) {
      if (room.mode === "direct") this.closeDirect();
      return;
    }
    // Into a switch, and back from one that failed, the connection that stands goes on under the new number.
    const isKept = room.mode === "switching" || before?.mode === "switching";
    if (this.direct?.peer === plan.peer && isKept) this.direct.attempt = room.attempt;
    if (this.direct?.attempt === room.attempt || room.mode === "switching") return;
    this.closeDirect();
    this.openDirect(room, plan.peer, plan.offerer === room.you.participant_id);
  }

  private openDirect(room: Snapshot, peer: string, isOfferer: boolean): void {
    const attempt = room.attempt;
    const stale = () => this.direct?.attempt !== attempt;
    const link = new DirectLink(
      attempt,
      peer,
      isOfferer,
      this.socket.ice,
      this.tracks,
      {
        describe: (type, sdp) =>
          void this.socket.send("describe", { to: peer, attempt: link.attempt, type, sdp }, stale),
        candidate: (candidate, mid, line) =>
          void this.socket.send("candidate", { to: peer, attempt: link.attempt, candidate, mid, line }, stale),
      },
      {
        connected: () => {
          this.link("direct_connected");
          this.tell();
        },
        failed: () => {
          this.link("direct_failed");
          this.tell();
        },
        remote: (tracks) => {
          this.stage.put(peer, "direct", tracks);
          if (this.room) this.show(this.room);
        },
      },
    );
    this.direct = link;
    const early = this.early.filter((signal) => signal.attempt === attempt);
    this.early = this.early.filter((signal) => signal.attempt > attempt);
    for (const signal of early) link.handle(signal);
  }

  private closeDirect(): void {
    clearTimeout(this.closing);
    this.closing = undefined;
    if (!this.direct) return;
    this.stage.put(this.direct.peer, "direct", null);
    this.direct.close();
    this.direct = null;
  }

  /** Decides who is in front by which way, and watches for the first sign of the relayed one. */
  private show(room: Snapshot): void {
    const others = room.people.filter(
      (each) => each.participant_id !== room.you.participant_id && each.state === "admitted",
    );
    for (const gone of this.fronts.keys()) if (!others.some((each) => each.participant_id === gone)) this.forget(gone);
    for (const { participant_id: person } of others) {
      if (room.mode === "direct") this.front(person, "direct");
      const tracks = this.relay?.people.get(person);
      if (room.mode === "direct" || !this.relay) continue;
      this.stage.put(person, "relay", tracks ?? null);
      if (room.mode === "relay") this.front(person, "relay");
      else this.watch(room, person);
    }
    this.sayReady(
      room,
      others.map((each) => each.participant_id),
    );
  }

  /** In a switch: at the first relayed frame, or sound where there is no picture, this person goes over. */
  private watch(room: Snapshot, person: string): void {
    const key = `${room.attempt} ${this.relay?.room} ${person}`;
    const view = room.people.find((each) => each.participant_id === person);
    const hasPicture = view?.camera === "on";
    const hasSound = view?.microphone === "on" || view?.microphone === "muted";
    const tracks = this.relay?.people.get(person);
    if (this.watched.has(key)) return;
    if ((hasPicture && !tracks?.camera) || (hasSound && !tracks?.microphone)) return;
    this.watched.add(key);
    // With a picture, sound must have begun as well: it would fall silent at the swap otherwise.
    const picture = hasPicture ? this.stage.pictureRuns(person, "relay") : Promise.resolve();
    const sound = hasSound ? this.relay?.soundArrives(person, hasPicture ? SOUND_BESIDE_MS : SOUND_FOR_MS) : undefined;
    const sign = Promise.all([picture, sound]);
    void sign.then(() => {
      const now = this.room;
      if (now?.mode === "direct" || !this.watched.has(key)) return;
      this.front(person, "relay");
      if (now) this.show(now);
      this.tell();
    });
  }

  private sayReady(room: Snapshot, others: string[]): void {
    if (room.mode === "direct" || this.readyFor === room.attempt || !this.relay?.connected) return;
    if (others.some((person) => this.fronts.get(person) !== "relay")) return;
    this.readyFor = room.attempt;
    this.link("relay_ready");
  }

  /** Who comes back gets a place of their own anew, with neither way in front. */
  private forget(person: string): void {
    this.fronts.delete(person);
    for (const key of this.watched) if (key.endsWith(` ${person}`)) this.watched.delete(key);
  }

  private front(person: string, way: Way): void {
    if (this.fronts.get(person) === way) return;
    this.fronts.set(person, way);
    this.stage.front(person, way);
  }

  private link(state: "direct_connected" | "direct_failed" | "relay_prepared" | "relay_ready" | "relay_failed"): void {
    const attempt = this.room?.attempt ?? 0;
    const name: EventName = "link";
    void this.socket
      .send(name, { attempt, state }, () => this.room?.attempt !== attempt)
      .then((reply) => {
        // Refused as stale: what it said no longer matters. Said again with the next snapshot otherwise.
        if (isRefusal(reply) && state === "relay_ready" && this.room?.attempt === attempt) this.readyFor = -1;
      });
  }

  private tell(): void {
    const way: Way = this.room?.mode === "relay" ? "relay" : "direct";
    this.news.way(way, way === "relay" ? this.relay?.connected === true : this.direct?.connected === true);
  }
}
