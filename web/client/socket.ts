// The connection to the room: each event carries an id and is sent until it is answered; snapshots go by revision.
// Knows no DOM and no WebRTC. Who this browser is, the server decides from its cookie.
import { io, type Socket } from "socket.io-client";
import { IceServers } from "./ice";
import type { ChatLine, Code, DownOffered, NotOk, ServerEvents, Signal, Snapshot, VisitEvents } from "./protocol.gen";
import { PROTOCOL_VERSION } from "./protocol.gen";
import { newId } from "./wire";

export type EventName = keyof VisitEvents;
export type Body<N extends EventName> = Omit<VisitEvents[N]["send"], "id">;
export type Reply<N extends EventName> = VisitEvents[N]["ok"] | NotOk;

export interface SocketHandlers {
  snapshot(room: Snapshot): void;
  signal(signal: Signal): void;
  downOffer(offer: DownOffered): void;
  chat(line: ChatLine): void;
  connected(yes: boolean): void;
  reloadNeeded(): void;
  /** The door is closed for good (link closed, visit over …); `message` is the server's own sentence. */
  refused(code: string, message: string): void;
}

interface Pending {
  name: string;
  body: object;
  resolve(reply: object): void;
  stale(): boolean;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** An unanswered event is sent again with its id after this long, and at once after a reconnection. */
const ANSWER_WITHIN_MS = 6000;
/** Without a snapshot for this long (the server sends one each 10 s) we ask for it. */
const SNAPSHOT_WITHIN_MS = 25_000;
const FINAL: ReadonlySet<string> = new Set<Code>([
  "not_signed_in",
  "not_allowed",
  "not_found",
  "link_closed",
  "visit_over",
  "removed",
]);
const never = () => false;

export class RoomSocket {
  readonly ice = new IceServers(() => void this.send("sync", {}, () => !this.io.connected));
  private readonly io: Socket;
  private readonly pending = new Map<string, Pending>();
  private revision = -1;
  private lastSnapshotAt = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private readonly watch: ReturnType<typeof setInterval>;
  private closed = false;

  constructor(
    participation: string,
    tab: string,
    private readonly on: SocketHandlers,
  ) {
    this.io = io("/visit", {
      auth: { v: PROTOCOL_VERSION, participation, tab },
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      reconnectionDelay: 300,
      reconnectionDelayMax: 3000,
      timeout: 8000,
    });
    this.listen();
    this.watch = setInterval(() => this.askAfterSilence(), 5000);
  }

  get connected(): boolean {
    return this.io.connected;
  }

  /** Resolves with the server's answer, however many times it had to be sent; `stale` gives it up when it no longer matters. */
  send<N extends EventName>(name: N, body: Body<N>, stale: () => boolean = never): Promise<Reply<N>> {
    return new Promise((resolve) => {
      const id = newId();
      const settle = resolve as (reply: object) => void;
      this.pending.set(id, { name, body: { id, ...body }, resolve: settle, stale, timer: undefined });
      if (this.io.connected) this.emit(id);
    });
  }

  /** The page woke up or the network came back: connect now and ask for what was missed. */
  wake(): void {
    if (this.closed) return;
    if (!this.io.connected) this.io.connect();
    else void this.send("sync", {}, () => !this.io.connected);
  }

  close(): void {
    this.closed = true;
    clearInterval(this.watch);
    clearTimeout(this.retry);
    for (const each of this.pending.values()) clearTimeout(each.timer);
    this.pending.clear();
    this.io.disconnect();
  }

  private listen(): void {
    this.io.on("connect", () => this.handleConnect());
    this.io.on("disconnect", (reason) => this.handleDisconnect(reason));
    this.io.on("connect_error", (error) => this.handleConnectError(error));
    this.handle("snapshot", (snapshot) => this.handleSnapshot(snapshot));
    this.handle("signal", (signal) => this.on.signal(signal));
    this.handle("down_offer", (offer) => this.on.downOffer(offer));
    this.handle("chat", (line) => this.on.chat(line));
    this.handle("reload_needed", () => this.giveUp(() => this.on.reloadNeeded()));
    this.handle("server_restart", () => this.reconnectSoon());
  }

  private handle<N extends keyof ServerEvents>(name: N, act: (body: ServerEvents[N]) => void): void {
    this.io.on(name as string, act as (body: unknown) => void);
  }

  private handleConnect(): void {
    this.lastSnapshotAt = Date.now();
    this.on.connected(true);
    for (const [id, each] of [...this.pending]) {
      if (each.stale()) this.drop(id);
      else this.emit(id);
    }
  }

  private handleDisconnect(reason: string): void {
    for (const each of this.pending.values()) clearTimeout(each.timer);
    this.on.connected(false);
    // After the server's own disconnect the library waits to be told.
    if (reason === "io server disconnect" && !this.closed) this.reconnectSoon();
  }

  private handleConnectError(error: Error & { data?: { error?: string; message?: string } }): void {
    this.on.connected(false);
    const code = error.data?.error ?? error.message;
    if (code === "reload_needed") this.giveUp(() => this.on.reloadNeeded());
    else if (FINAL.has(code)) this.giveUp(() => this.on.refused(code, error.data?.message ?? ""));
    else if (!this.io.active) this.reconnectSoon();
  }

  private giveUp(tell: () => void): void {
    this.close();
    tell();
  }

  /** A little apart from everybody else's, so that a restarting server isn't met by all at once. */
  private reconnectSoon(): void {
    clearTimeout(this.retry);
    this.retry = setTimeout(
      () => {
        if (this.closed) return;
        if (this.io.connected) this.io.disconnect();
        this.io.connect();
      },
      300 + Math.random() * 900,
    );
  }

  private handleSnapshot(snapshot: Snapshot): void {
    this.lastSnapshotAt = Date.now();
    // A repeat is no news but for its TURN credentials.
    if (snapshot.revision >= this.revision) this.ice.keep(snapshot.ice_servers as unknown as RTCIceServer[]);
    if (snapshot.revision <= this.revision) return;
    this.revision = snapshot.revision;
    this.on.snapshot(snapshot);
  }

  private askAfterSilence(): void {
    if (!this.io.connected || Date.now() - this.lastSnapshotAt < SNAPSHOT_WITHIN_MS) return;
    this.lastSnapshotAt = Date.now();
    void this.send("sync", {}, () => !this.io.connected);
  }

  private emit(id: string): void {
    const each = this.pending.get(id);
    if (!each) return;
    clearTimeout(each.timer);
    each.timer = setTimeout(() => (each.stale() ? this.drop(id) : this.emit(id)), ANSWER_WITHIN_MS);
    this.io.emit(each.name, each.body, (reply: object) => this.settle(id, reply));
  }

  private settle(id: string, reply: object): void {
    const each = this.pending.get(id);
    if (!each) return;
    clearTimeout(each.timer);
    this.pending.delete(id);
    each.resolve(reply ?? { error: "internal", message: "" });
  }

  private drop(id: string): void {
    const gone: NotOk = { ok: false, error: "stale_revision", message: "", limit: null };
    this.settle(id, gone);
  }
}
