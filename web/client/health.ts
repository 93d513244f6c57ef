// Watches one peer connection: says when to restart its ICE, and when a restart didn't help either.
// Leaves the restart itself to the connection's owner.

export interface Care {
  restart(): void;
  lost(): void;
}

const DISCONNECTED_MS = 1500;
const RECOVER_MS = 7000;
const NUDGE_APART_MS = 2000;

export class Health {
  private disconnected: ReturnType<typeof setTimeout> | undefined;
  private recovery: ReturnType<typeof setTimeout> | undefined;
  private lastRestartAt = 0;
  private everConnected = false;
  private ended = false;

  constructor(
    private readonly pc: RTCPeerConnection,
    private readonly care: Care,
  ) {
    pc.addEventListener("connectionstatechange", () => this.look());
    pc.addEventListener("iceconnectionstatechange", () => this.look());
  }

  /** The network changed under us (another interface, back from sleep): candidates gathered before are worthless. */
  nudge(): void {
    if (this.everConnected && Date.now() - this.lastRestartAt > NUDGE_APART_MS) this.restart();
  }

  end(): void {
    this.ended = true;
    clearTimeout(this.disconnected);
    clearTimeout(this.recovery);
  }

  private look(): void {
    if (this.ended) return;
    const { connectionState: state, iceConnectionState: ice } = this.pc;
    if (state === "connected" && ice !== "disconnected") {
      this.everConnected = true;
      clearTimeout(this.disconnected);
      clearTimeout(this.recovery);
      this.disconnected = this.recovery = undefined;
    } else if (!this.everConnected) {
      if (state === "failed" || state === "closed") this.care.lost();
    } else if (state === "failed" || ice === "failed") {
      if (!this.recovery) this.restart();
    } else if (ice === "disconnected") {
      this.disconnected ??= setTimeout(() => this.restart(), DISCONNECTED_MS);
    }
  }

  private restart(): void {
    if (this.ended) return;
    clearTimeout(this.disconnected);
    this.disconnected = undefined;
    this.lastRestartAt = Date.now();
    this.recovery ??= setTimeout(() => {
      this.recovery = undefined;
      if (!this.ended && this.pc.connectionState !== "connected") this.care.lost();
    }, RECOVER_MS);
    this.care.restart();
  }
}
