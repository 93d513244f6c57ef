// The clinic's live list of who waits. On a doctor's pages it is shown and rings until seen; in a visit it is a silent
// count. What is hidden from whom, the server decides.
import { io, type Socket } from "socket.io-client";
import { h } from "./dom";
import { type Arrivals, PROTOCOL_VERSION } from "./protocol.gen";
import { newId } from "./wire";
import { tp } from "./words";

export class ArrivalsSocket {
  private readonly io: Socket;
  private revision = -1;

  constructor(clinic: string, show: (arrivals: Arrivals) => void, connected: (yes: boolean) => void = () => undefined) {
    this.io = io("/clinic", {
      auth: { v: PROTOCOL_VERSION, clinic },
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      reconnectionDelay: 300,
      reconnectionDelayMax: 3000,
    });
    this.io.on("connect", () => {
      this.revision = -1;
      connected(true);
    });
    this.io.on("disconnect", (reason) => {
      connected(false);
      if (reason === "io server disconnect") setTimeout(() => this.io.connect(), 1000);
    });
    this.io.on("server_restart", () => {
      this.io.disconnect();
      setTimeout(() => this.io.connect(), 300 + Math.random() * 900);
    });
    this.io.on("arrivals", (arrivals: Arrivals) => {
      if (arrivals.revision <= this.revision) return;
      this.revision = arrivals.revision;
      show(arrivals);
    });
  }

  seen(participant_ids: string[]): void {
    const event = { id: newId(), participant_ids };
    this.io.timeout(6000).emit("arrivals_seen", event, (error: unknown) => {
      if (error) this.io.emit("arrivals_seen", event);
    });
  }
}

/** In a visit: how many others wait, without a name and without a sound; and whether names may be shown at all. */
export function watchArrivals(
  clinic: string,
  ownRoom: string,
  place: HTMLElement,
  hideNames: (hidden: boolean) => void,
): void {
  new ArrivalsSocket(clinic, ({ waiting, names_hidden }) => {
    hideNames(names_hidden);
    const others = waiting.filter((each) => each.room_id !== ownRoom).length;
    place.hidden = others === 0;
    place.replaceChildren(h("span", {}, tp("{count} person waits", "{count} people wait", others)));
  });
}
