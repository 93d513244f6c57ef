// Both relay connections of one room on one node, made anew when one is beyond repair.
// Leaves what they carry to switch.ts and how a connection works to relay.ts.
import type { Tracks } from "./devices";
import type { DownOffered } from "./protocol.gen";
import { RelayDown, RelayUp, type RelayWire } from "./relay";
import type { RoomSocket } from "./socket";

export interface PairNews {
  changed(): void;
  /** Tried this often in vain; it goes on trying. */
  failed(): void;
}

const AGAIN_AFTER_MS = [200, 1000, 2000, 4000];
const FAILED_AFTER = 3;

export class RelayPair {
  up: RelayUp | null = null;
  down: RelayDown | null = null;
  people = new Map<string, Tracks>();
  private tracks: Tracks = { microphone: null, camera: null, screen: null };
  private simulcast = false;
  private tries = 0;
  private closed = false;
  private readonly timers = new Set<ReturnType<typeof setTimeout>>();
  private readonly wire: RelayWire;

  constructor(
    readonly room: string,
    private readonly socket: RoomSocket,
    private readonly news: PairNews,
  ) {
    this.wire = {
      upOffer: (body, gone) => socket.send("up_offer", body, gone),
      downRequest: (connection_id, restart, gone) => socket.send("down_request", { connection_id, restart }, gone),
      downAnswer: (connection_id, revision, sdp, gone) =>
        socket.send("down_answer", { connection_id, revision, sdp }, gone),
    };
    this.openUp();
    this.openDown();
  }

  get connected(): boolean {
    return this.up?.connected === true && this.down?.connected === true;
  }

  publish(tracks: Tracks, simulcast: boolean): void {
    this.tracks = { ...tracks };
    this.simulcast = simulcast;
    this.up?.setSimulcast(simulcast);
    this.up?.setTracks(this.tracks);
  }

  handle(offer: DownOffered): void {
    this.down?.handle(offer);
  }

  soundArrives(person: string, ms: number): Promise<void> {
    return this.down?.soundArrives(person, ms) ?? Promise.resolve();
  }

  nudge(): void {
    this.up?.nudge();
    this.down?.nudge();
  }

  close(): void {
    this.closed = true;
    for (const timer of this.timers) clearTimeout(timer);
    this.up?.close();
    this.down?.close();
  }

  private openUp(): void {
    this.up?.close();
    this.up = new RelayUp(this.socket.ice, this.wire, {
      connected: () => this.handleConnected(),
      lost: () => this.again(() => this.openUp()),
    });
    this.up.setSimulcast(this.simulcast);
    this.up.setTracks(this.tracks);
  }

  private openDown(): void {
    this.down?.close();
    this.down = new RelayDown(this.socket.ice, this.wire, {
      connected: () => this.handleConnected(),
      lost: () => this.again(() => this.openDown()),
      remote: (people) => {
        this.people = people;
        this.news.changed();
      },
    });
  }

  private handleConnected(): void {
    if (this.connected) this.tries = 0;
    this.news.changed();
  }

  private again(open: () => void): void {
    if (this.closed) return;
    this.news.changed();
    this.tries += 1;
    if (this.tries === FAILED_AFTER) this.news.failed();
    const timer = setTimeout(
      () => {
        this.timers.delete(timer);
        if (!this.closed) open();
      },
      AGAIN_AFTER_MS[Math.min(this.tries, AGAIN_AFTER_MS.length) - 1],
    );
    this.timers.add(timer);
  }
}
