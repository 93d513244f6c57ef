// A press that ends storing holds from the press, not from the answer: until the clinic has answered, this page keeps
// its own sound and picture from the relay, over a reload too. Leaves sending to socket.ts and senders to switch.ts.
import type { Memory, Unheard } from "./memory";
import type { Code, Snapshot } from "./protocol.gen";
import type { Body, EventName, Reply, RoomSocket } from "./socket";
import { isRefusal } from "./wire";

/** While something is recorded, each of these means: nothing more of me. */
const ENDS_STORING: ReadonlySet<EventName> = new Set<EventName>([
  "stop_recording",
  "pause_recording",
  "wrong_person",
  "end_visit",
  "leave",
]);
/** Half of the second after which nothing may be stored: a clinic that answers in it takes nobody's picture away. */
const GRACE_MS = 500;
/** Refused, but not because of what was asked. */
const NOT_HEARD: ReadonlySet<string> = new Set<Code>(["unavailable", "internal", "too_many", "node_down"]);
const AGAIN_AFTER_MS = 1000;
const STORES = new Set(["asking", "starting", "running", "paused"]);

function mayStore(room: Snapshot | null, id = room?.recording.recording_id): boolean {
  return Boolean(id) && room?.recording.recording_id === id && STORES.has(room?.recording.phase ?? "");
}

export class Hold {
  private held = 0;
  private isTakenUp = false;

  constructor(
    private readonly memory: Memory,
    private readonly room: () => Snapshot | null,
    private readonly changed: (on: boolean) => void,
  ) {}

  get on(): boolean {
    return this.held > 0;
  }

  /** As the socket sends it; what ends storing holds media back while it is unanswered. */
  async send<N extends EventName>(socket: RoomSocket, name: N, body: Body<N>, graceMs = GRACE_MS): Promise<Reply<N>> {
    if (!ENDS_STORING.has(name) || !mayStore(this.room())) return socket.send(name, body);
    const unheard = { name, body } as object as Unheard;
    const isWord = name === "stop_recording" || name === "pause_recording";
    if (isWord) this.memory.write({ unheard });
    const wanted = () => isWord && mayStore(this.room(), unheard.body.recording_id);
    const reply = await this.over(() => socket.send(name, body), socket.connected ? graceMs : 0, wanted);
    if (isWord) this.memory.write({ unheard: null });
    return reply;
  }

  /** The first time the room is told: what was pressed before a reload, and not answered, is sent now. */
  takeUp(socket: RoomSocket, room: Snapshot): void {
    if (this.isTakenUp) return;
    this.isTakenUp = true;
    const { unheard } = this.memory.read();
    if (!unheard) return;
    const isOn = unheard.name === "stop_recording" || room.recording.phase === "running";
    if (isOn && mayStore(room, unheard.body.recording_id)) void this.send(socket, unheard.name, unheard.body, 0);
    else this.memory.write({ unheard: null });
  }

  /** Held after the grace; what the clinic couldn't take is sent again as long as it is wanted. */
  private async over<R extends object>(send: () => Promise<R>, graceMs: number, wanted: () => boolean): Promise<R> {
    let isHeld = false;
    const hold = () => {
      if (!isHeld) this.count(1);
      isHeld = true;
    };
    const timer = setTimeout(hold, graceMs);
    if (graceMs === 0) hold();
    try {
      for (;;) {
        const reply = await send();
        if (!isRefusal(reply) || !NOT_HEARD.has(reply.error) || !wanted()) return reply;
        hold();
        await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER_MS));
      }
    } finally {
      clearTimeout(timer);
      if (isHeld) this.count(-1);
    }
  }

  private count(by: number): void {
    const before = this.on;
    this.held += by;
    if (this.on !== before) this.changed(this.on);
  }
}
