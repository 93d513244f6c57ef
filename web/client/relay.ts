// The two connections to the relay. Up: the browser offers and says which section carries what. Down: the node offers.
// Both are prepared without media. Leaves when to publish and what to show to switch.ts.
import type { Piece, Tracks } from "./devices";
import { Health } from "./health";
import type { IceServers } from "./ice";
import type { DownOffered, NotOk, Source, UpAccepted, UpOfferEvent } from "./protocol.gen";
import { isRefusal, newId } from "./wire";

export interface RelayWire {
  /** `gone` says that the connection no longer exists, so that nothing of it is sent after a long silence. */
  upOffer(body: Omit<UpOfferEvent, "id">, gone: () => boolean): Promise<UpAccepted | NotOk>;
  downRequest(connection: string, restart: boolean, gone: () => boolean): Promise<DownOffered | NotOk>;
  downAnswer(connection: string, revision: number, sdp: string, gone: () => boolean): Promise<object>;
}

export interface LegNews {
  connected(): void;
  /** This connection is beyond repair; a new one is wanted. */
  lost(code: string): void;
}

const SECTIONS: readonly { piece: Piece; kind: "audio" | "video" }[] = [
  { piece: "microphone", kind: "audio" },
  { piece: "camera", kind: "video" },
  { piece: "screen", kind: "video" },
];
/** Encodings can't be added later, so both exist from the start; which are active follows the room. */
const CAMERA_ENCODINGS: RTCRtpEncodingParameters[] = [
  { rid: "low", scaleResolutionDownBy: 4, maxBitrate: 150_000, active: false },
  { rid: "high", scaleResolutionDownBy: 1, active: true },
];
const ANSWER_WITHIN_MS = 10_000;

abstract class Leg {
  readonly id = newId();
  readonly pc: RTCPeerConnection;
  protected readonly health: Health;
  private turn: Promise<void> = Promise.resolve();
  private isLost = false;
  protected isClosed = false;
  protected readonly gone = () => this.isClosed || this.isLost;

  constructor(
    protected readonly ice: IceServers,
    protected readonly wire: RelayWire,
    protected readonly news: LegNews,
  ) {
    this.pc = new RTCPeerConnection(ice.configuration());
    this.health = new Health(this.pc, { restart: () => this.restart(), lost: () => this.lose("failed") });
    this.pc.addEventListener("connectionstatechange", () => {
      if (this.pc.connectionState === "connected") this.news.connected();
    });
  }

  get connected(): boolean {
    return this.pc.connectionState === "connected";
  }

  nudge(): void {
    this.health.nudge();
  }

  close(): void {
    this.isClosed = true;
    this.health.end();
    this.pc.close();
  }

  protected abstract restart(): void;

  protected lose(code: string): void {
    if (this.isClosed || this.isLost) return;
    this.isLost = true;
    this.news.lost(code);
  }

  protected inTurn(act: () => Promise<void>): void {
    this.turn = this.turn.then(async () => {
      if (this.isClosed) return;
      try {
        await act();
      } catch {
        this.lose("unsupported_sdp");
      }
    });
  }

  protected async within<T>(reply: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error("no answer")), ANSWER_WITHIN_MS);
    });
    try {
      return await Promise.race([reply, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

export class RelayUp extends Leg {
  private readonly voice = new MediaStream();
  private readonly display = new MediaStream();
  private readonly transceivers = new Map<Piece, RTCRtpTransceiver>();
  private revision = 0;
  private readonly tracks: Tracks = { microphone: null, camera: null, screen: null };
  private simulcast = false;

  constructor(ice: IceServers, wire: RelayWire, news: LegNews) {
    super(ice, wire, news);
    for (const { piece, kind } of SECTIONS) {
      const transceiver = this.pc.addTransceiver(kind, {
        direction: "sendonly",
        streams: [piece === "screen" ? this.display : this.voice],
        ...(piece === "camera" ? { sendEncodings: CAMERA_ENCODINGS.map((encoding) => ({ ...encoding })) } : {}),
      });
      this.transceivers.set(piece, transceiver);
    }
    this.inTurn(() => this.offer());
  }

  /** What is published from now on; null for each piece while the relay is only prepared. Waits for no negotiation. */
  setTracks(tracks: Tracks): void {
    for (const [piece, transceiver] of this.transceivers) {
      if (this.tracks[piece] === tracks[piece]) continue;
      this.tracks[piece] = tracks[piece];
      // On a poor way up a face loses sharpness before it loses movement: signs and lips are read from movement.
      if (piece === "camera" && tracks.camera) tracks.camera.contentHint = "motion";
      void transceiver.sender.replaceTrack(tracks[piece]).catch(() => undefined);
    }
  }

  setSimulcast(yes: boolean): void {
    if (this.simulcast === yes) return;
    this.simulcast = yes;
    this.inTurn(async () => {
      const sender = this.transceivers.get("camera")?.sender;
      if (!sender) return;
      const parameters = sender.getParameters();
      for (const encoding of parameters.encodings) if (encoding.rid === "low") encoding.active = this.simulcast;
      await sender.setParameters(parameters).catch(() => undefined);
    });
  }

  protected restart(): void {
    this.inTurn(async () => {
      await this.ice.renew(this.pc);
      this.pc.restartIce();
      await this.offer();
    });
  }

  private async offer(): Promise<void> {
    await this.pc.setLocalDescription(await this.pc.createOffer());
    const sources: Record<string, Source> = {};
    for (const [piece, { mid }] of this.transceivers) if (mid !== null) sources[mid] = piece;
    this.revision += 1;
    const sdp = this.pc.localDescription?.sdp ?? "";
    const reply = await this.within(
      this.wire.upOffer({ connection_id: this.id, revision: this.revision, sdp, sources }, this.gone),
    );
    if (this.isClosed) return;
    if (isRefusal(reply)) this.lose(reply.error);
    else if (reply.revision === this.revision) await this.pc.setRemoteDescription({ type: "answer", sdp: reply.sdp });
  }
}

export interface DownNews extends LegNews {
  /** Who can be received now; a person without sections sends nothing. */
  remote(people: Map<string, Tracks>): void;
}

export class RelayDown extends Leg {
  private revision = -1;
  private people = new Map<string, Tracks>();

  constructor(
    ice: IceServers,
    wire: RelayWire,
    private readonly downNews: DownNews,
  ) {
    super(ice, wire, downNews);
    this.request(false);
  }

  /** A new offer of the node: tracks came or went. */
  handle(offer: DownOffered): void {
    if (offer.connection_id !== this.id) return;
    this.inTurn(() => this.answer(offer));
  }

  /** Resolves when sound of this person has been arriving for `ms`: energy, or packets where they are silent. */
  async soundArrives(person: string, ms: number): Promise<void> {
    const track = this.people.get(person)?.microphone;
    let energy: number | undefined;
    let packets: number | undefined;
    let since = 0;
    while (!this.isClosed && track) {
      const report = await this.pc.getStats(track).catch(() => undefined);
      for (const each of report?.values() ?? []) {
        if (each.type !== "inbound-rtp") continue;
        const grows =
          each.totalAudioEnergy > (energy ?? Number.POSITIVE_INFINITY) ||
          each.packetsReceived > (packets ?? Number.POSITIVE_INFINITY);
        energy = each.totalAudioEnergy;
        packets = each.packetsReceived;
        since = grows ? since || performance.now() : 0;
      }
      if (since && performance.now() - since >= ms) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  protected restart(): void {
    this.request(true);
  }

  private request(restart: boolean): void {
    this.inTurn(async () => {
      if (restart) await this.ice.renew(this.pc);
      const reply = await this.within(this.wire.downRequest(this.id, restart, this.gone));
      if (this.isClosed) return;
      if (isRefusal(reply)) this.lose(reply.error);
      else await this.answer(reply);
    });
  }

  private async answer(offer: DownOffered): Promise<void> {
    if (offer.revision <= this.revision) return;
    this.revision = offer.revision;
    await this.pc.setRemoteDescription({ type: "offer", sdp: offer.sdp });
    await this.pc.setLocalDescription(await this.pc.createAnswer());
    this.collect(offer);
    const reply = await this.within(
      this.wire.downAnswer(this.id, offer.revision, this.pc.localDescription?.sdp ?? "", this.gone),
    );
    // A stale answer is fine: a newer offer is on its way. Anything else is not.
    if (isRefusal(reply) && reply.error !== "stale_revision") this.lose(reply.error);
  }

  private collect(offer: DownOffered): void {
    const receivers = new Map(this.pc.getTransceivers().map((each) => [each.mid, each.receiver.track]));
    this.people = new Map();
    for (const { mid, participant_id: person, source } of offer.sections) {
      if (!person || !source || source === "screen_audio") continue;
      const tracks = this.people.get(person) ?? { microphone: null, camera: null, screen: null };
      tracks[source] = receivers.get(mid) ?? null;
      this.people.set(person, tracks);
    }
    this.downNews.remote(this.people);
  }
}
