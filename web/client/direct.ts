// The connection straight between two browsers. Three transceivers from the start (microphone, camera, screen), so that
// sharing a screen or changing a camera never negotiates again. Only the offerer offers, so offers never cross.
// Leaves what is shown to switch.ts.
import type { Piece, Tracks } from "./devices";
import { Health } from "./health";
import type { IceServers } from "./ice";
import type { Signal } from "./protocol.gen";

export interface DirectWire {
  describe(type: "offer" | "answer" | "restart_please", sdp: string): void;
  candidate(candidate: string, mid: string | null, line: number | null): void;
}

export interface DirectNews {
  connected(): void;
  failed(): void;
  remote(tracks: Tracks): void;
}

export const PIECES: readonly Piece[] = ["microphone", "camera", "screen"];

/** From the exchange of descriptions; then the relay takes over. */
const CONNECT_WITHIN_MS = 2500;
/** When ICE has found a way and only the handshake is missing, it is given this much more. */
const HANDSHAKE_MORE_MS = 2500;
const OFFER_WITHIN_MS = 2500;

export class DirectLink {
  readonly pc: RTCPeerConnection;
  private readonly health: Health;
  private readonly voice = new MediaStream();
  private readonly display = new MediaStream();
  private senders: RTCRtpSender[] = [];
  private early: Signal[] = [];
  private turn: Promise<void> = Promise.resolve();
  private deadline: ReturnType<typeof setTimeout> | undefined;
  private isConnected = false;
  private isClosed = false;

  constructor(
    public attempt: number,
    readonly peer: string,
    private readonly isOfferer: boolean,
    private readonly ice: IceServers,
    private tracks: Tracks,
    private readonly wire: DirectWire,
    private readonly news: DirectNews,
  ) {
    this.pc = new RTCPeerConnection(ice.configuration());
    this.health = new Health(this.pc, { restart: () => this.restart(), lost: () => this.fail() });
    this.pc.addEventListener("icecandidate", ({ candidate }) => this.tell(candidate));
    this.pc.addEventListener("connectionstatechange", () => this.look());
    if (isOfferer) this.begin();
    else this.deadline = setTimeout(() => this.wire.describe("restart_please", ""), OFFER_WITHIN_MS);
  }

  get connected(): boolean {
    return this.isConnected && this.pc.connectionState === "connected";
  }

  handle(signal: Signal): void {
    this.inTurn(async () => {
      if (signal.type === "offer") await this.answer(signal.sdp);
      else if (signal.type === "answer") await this.accept(signal.sdp);
      else if (signal.type === "candidate") await this.addCandidate(signal);
      else if (this.isOfferer) await this.offerAgain();
    });
  }

  setTracks(tracks: Tracks): void {
    this.tracks = tracks;
    this.inTurn(() => this.attach());
  }

  nudge(): void {
    this.health.nudge();
  }

  /** Stops sending; the connection stays for what is still on its way. */
  async quiet(): Promise<void> {
    for (const sender of this.senders) {
      const parameters = sender.getParameters();
      for (const encoding of parameters.encodings) encoding.active = false;
      await sender.setParameters(parameters).catch(() => undefined);
    }
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.deadline);
    this.health.end();
    this.pc.close();
  }

  private begin(): void {
    for (const piece of PIECES) {
      const stream = piece === "screen" ? this.display : this.voice;
      const { sender } = this.pc.addTransceiver(piece === "microphone" ? "audio" : "video", { streams: [stream] });
      this.senders.push(sender);
    }
    this.inTurn(async () => {
      await this.attach();
      await this.offer();
    });
  }

  private async offer(): Promise<void> {
    await this.pc.setLocalDescription(await this.pc.createOffer());
    this.wire.describe("offer", this.pc.localDescription?.sdp ?? "");
  }

  /** The other side has no offer, or sees the connection gone: the one under way again, or a new one with new ICE. */
  private async offerAgain(): Promise<void> {
    if (this.pc.signalingState === "have-local-offer") {
      this.wire.describe("offer", this.pc.localDescription?.sdp ?? "");
    } else {
      await this.ice.renew(this.pc);
      this.pc.restartIce();
      await this.offer();
    }
  }

  private async answer(sdp: string): Promise<void> {
    clearTimeout(this.deadline);
    if (this.senders.length > 0) await this.ice.renew(this.pc);
    await this.pc.setRemoteDescription({ type: "offer", sdp });
    if (this.senders.length === 0) {
      const all = this.pc.getTransceivers();
      for (const [index, piece] of PIECES.entries()) {
        const transceiver = all[index];
        if (!transceiver) continue;
        transceiver.direction = "sendrecv";
        transceiver.sender.setStreams?.(piece === "screen" ? this.display : this.voice);
        this.senders.push(transceiver.sender);
      }
      await this.attach();
    }
    await this.pc.setLocalDescription(await this.pc.createAnswer());
    this.wire.describe("answer", this.pc.localDescription?.sdp ?? "");
    await this.exchanged();
  }

  private async accept(sdp: string): Promise<void> {
    if (this.pc.signalingState !== "have-local-offer") return;
    await this.pc.setRemoteDescription({ type: "answer", sdp });
    await this.exchanged();
  }

  private async exchanged(): Promise<void> {
    for (const signal of this.early.splice(0)) await this.addCandidate(signal);
    const all = this.pc.getTransceivers();
    const track = (index: number) => all[index]?.receiver.track ?? null;
    this.news.remote({ microphone: track(0), camera: track(1), screen: track(2) });
    if (this.isConnected) return;
    clearTimeout(this.deadline);
    this.deadline = setTimeout(() => this.judge(), CONNECT_WITHIN_MS);
  }

  private judge(): void {
    if (this.isConnected) return;
    const found = this.pc.iceConnectionState === "connected" || this.pc.iceConnectionState === "completed";
    if (found) this.deadline = setTimeout(() => this.isConnected || this.fail(), HANDSHAKE_MORE_MS);
    else this.fail();
  }

  private async addCandidate(signal: Signal): Promise<void> {
    if (!this.pc.remoteDescription) {
      this.early.push(signal);
      return;
    }
    const { candidate, mid, line } = signal;
    await this.pc.addIceCandidate({ candidate, sdpMid: mid, sdpMLineIndex: line }).catch(() => undefined);
  }

  private async attach(): Promise<void> {
    for (const [index, piece] of PIECES.entries()) {
      const sender = this.senders[index];
      const track = this.tracks[piece];
      if (sender && sender.track !== track) await sender.replaceTrack(track);
    }
  }

  private restart(): void {
    if (!this.isOfferer) this.wire.describe("restart_please", "");
    else this.inTurn(() => this.offerAgain());
  }

  private tell(candidate: RTCIceCandidate | null): void {
    this.wire.candidate(candidate?.candidate ?? "", candidate?.sdpMid ?? null, candidate?.sdpMLineIndex ?? null);
  }

  private look(): void {
    if (this.pc.connectionState !== "connected" || this.isConnected) return;
    this.isConnected = true;
    clearTimeout(this.deadline);
    this.news.connected();
  }

  private fail(): void {
    if (!this.isClosed) this.news.failed();
  }

  /** One thing after another: a description must not overtake a candidate or a track. */
  private inTurn(act: () => Promise<void>): void {
    this.turn = this.turn.then(async () => {
      if (this.isClosed) return;
      try {
        await act();
      } catch {
        // A description the browser refuses is as good as no connection.
        if (!this.isConnected) this.fail();
      }
    });
  }
}
