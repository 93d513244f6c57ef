// The STUN and TURN servers of the room as last told, and fresh ones before a path is looked for anew.
// Leaves asking for them to socket.ts and when to restart to the connections.

/** TURN credentials live for minutes and come anew with each repeated snapshot; older than this they are asked for. */
const FRESH_MS = 60_000;
const ASKED_WITHIN_MS = 3000;

export class IceServers {
  private at = 0;
  private servers: RTCIceServer[] = [];
  private readonly waiting = new Set<() => void>();

  constructor(private readonly ask: () => void) {}

  keep(servers: RTCIceServer[]): void {
    this.servers = servers;
    this.at = Date.now();
    for (const tell of this.waiting) tell();
    this.waiting.clear();
  }

  configuration(): RTCConfiguration {
    return { iceServers: this.servers, bundlePolicy: "max-bundle" };
  }

  /** Before a restart: what is held may have run out during a silence (C30). */
  async renew(pc: RTCPeerConnection): Promise<void> {
    const runsOut = this.servers.some((server) => server.username !== undefined);
    if (runsOut && Date.now() - this.at > FRESH_MS) await this.asked();
    if (pc.signalingState !== "closed") pc.setConfiguration(this.configuration());
  }

  private async asked(): Promise<void> {
    this.ask();
    await new Promise<void>((resolve) => {
      this.waiting.add(resolve);
      setTimeout(resolve, ASKED_WITHIN_MS);
    });
  }
}
