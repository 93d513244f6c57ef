// This browser's camera, microphone and screen: opening them in all the ways that fail, losing them, changing them.
// Knows no page and no connection: it tells of changes, and its owner hands the tracks on.
import type { CameraState, MicrophoneState } from "./protocol.gen";

export type Failure = "denied" | "none" | "in_use" | "insecure";
export type Kind = "audio" | "video";
export type Piece = "microphone" | "camera" | "screen";
export type Tracks = Record<Piece, MediaStreamTrack | null>;

export interface DeviceNews {
  /** A track came, went, or was muted. */
  changed(): void;
  /** The device in use died; `label` is the one in use now, or null when none is left. */
  fellBack(kind: Kind, label: string | null): void;
  /** A device that died is back; switching to it is offered, never forced. */
  cameBack(kind: Kind, device: MediaDeviceInfo): void;
}

const WISHES: Record<Kind, MediaTrackConstraints> = {
  audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  video: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 }, facingMode: "user" },
};

function failureOf(error: unknown): Failure {
  switch ((error as { name?: string })?.name) {
    case "NotAllowedError":
      return "denied";
    case "NotReadableError":
    case "AbortError":
      return "in_use";
    case "SecurityError":
    case "TypeError":
      return "insecure";
    default:
      return "none";
  }
}

async function open(kind: Kind, deviceId?: string): Promise<MediaStreamTrack> {
  if (!navigator.mediaDevices) throw new TypeError("no secure page");
  const wish: MediaTrackConstraints = { ...WISHES[kind] };
  if (deviceId) {
    wish.deviceId = { exact: deviceId };
    delete wish.facingMode;
  }
  const stream = await navigator.mediaDevices.getUserMedia({ [kind]: wish }).catch((error) => {
    if ((error as { name?: string }).name !== "OverconstrainedError") throw error;
    return navigator.mediaDevices.getUserMedia({ [kind]: true });
  });
  return trackOf(stream, kind);
}

function trackOf(stream: MediaStream, kind: Kind): MediaStreamTrack {
  const track = kind === "audio" ? stream.getAudioTracks()[0] : stream.getVideoTracks()[0];
  if (!track) throw Object.assign(new Error(kind), { name: "NotFoundError" });
  return track;
}

export class Devices {
  readonly tracks: Tracks = { microphone: null, camera: null, screen: null };
  readonly failures: Record<Kind, Failure | null> = { audio: null, video: null };
  private lost: Partial<Record<Kind, string>> = {};
  private opening: Promise<void> = Promise.resolve();

  /** `muted` and `cameraWanted` are what this tab had before a reload: nobody is unmuted by one. */
  constructor(
    private readonly news: DeviceNews,
    private muted = false,
    private cameraWanted = true,
  ) {
    navigator.mediaDevices?.addEventListener?.("devicechange", () => void this.look());
  }

  get microphone(): MicrophoneState {
    if (!this.tracks.microphone) return this.failures.audio === "denied" ? "denied" : "none";
    return this.muted ? "muted" : "on";
  }

  get camera(): CameraState {
    if (this.failures.video === "denied") return "denied";
    if (this.tracks.camera) return "on";
    return this.failures.video || this.cameraWanted ? "none" : "off";
  }

  get wishes(): { muted: boolean; camera: boolean } {
    return { muted: this.muted, camera: this.cameraWanted };
  }

  /** Opens both with one question where the browser can, each by itself where one of them fails. Never throws. */
  async start(): Promise<void> {
    try {
      if (!navigator.mediaDevices) throw new TypeError("no secure page");
      const wishes = this.cameraWanted ? WISHES : { audio: WISHES.audio };
      const stream = await navigator.mediaDevices.getUserMedia(wishes);
      this.adopt("audio", trackOf(stream, "audio"));
      if (this.cameraWanted) this.adopt("video", trackOf(stream, "video"));
    } catch {
      await this.reopen("audio");
      if (this.cameraWanted) await this.reopen("video");
    }
    this.news.changed();
    this.watchPermission("audio", "microphone");
    this.watchPermission("video", "camera");
  }

  /** Tries one kind again, after a permission was given or another program let go of the device. */
  retry(kind: Kind): Promise<void> {
    return this.inTurn(async () => {
      await this.reopen(kind);
      this.news.changed();
    });
  }

  choose(kind: Kind, deviceId: string): Promise<void> {
    return this.inTurn(async () => {
      const before = this.track(kind);
      try {
        this.adopt(kind, await open(kind, deviceId));
        if (before && before !== this.track(kind)) before.stop();
        delete this.lost[kind];
      } catch (error) {
        if (!before) this.failures[kind] = failureOf(error);
      }
      this.news.changed();
    });
  }

  setMuted(muted: boolean): void {
    this.muted = muted;
    if (this.tracks.microphone) this.tracks.microphone.enabled = !muted;
    this.news.changed();
  }

  /** Off lets the camera go, so that its light goes out. */
  setCamera(on: boolean): Promise<void> {
    return this.inTurn(async () => {
      this.cameraWanted = on;
      if (on) await this.reopen("video");
      else this.release("video");
      this.news.changed();
    });
  }

  async shareScreen(): Promise<boolean> {
    try {
      const stream = await navigator.mediaDevices.getDisplayMedia({
        video: { frameRate: { ideal: 15 } },
        audio: false,
      });
      const track = trackOf(stream, "video");
      track.contentHint = "detail";
      track.addEventListener("ended", () => this.endScreen(track));
      this.tracks.screen = track;
      this.news.changed();
      return true;
    } catch {
      return false;
    }
  }

  stopScreen(): void {
    if (this.tracks.screen) this.endScreen(this.tracks.screen);
  }

  async list(kind: Kind): Promise<MediaDeviceInfo[]> {
    const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
    return all.filter((device) => device.kind === `${kind}input` && device.deviceId);
  }

  inUse(kind: Kind): { deviceId: string | undefined; label: string } | null {
    const track = this.track(kind);
    return track ? { deviceId: track.getSettings().deviceId, label: track.label } : null;
  }

  stop(): void {
    for (const piece of Object.keys(this.tracks) as Piece[]) {
      this.tracks[piece]?.stop();
      this.tracks[piece] = null;
    }
  }

  private track(kind: Kind): MediaStreamTrack | null {
    return kind === "audio" ? this.tracks.microphone : this.tracks.camera;
  }

  private async reopen(kind: Kind): Promise<void> {
    if (this.track(kind)) return;
    try {
      this.adopt(kind, await open(kind));
    } catch (error) {
      this.failures[kind] = failureOf(error);
    }
  }

  private adopt(kind: Kind, track: MediaStreamTrack): void {
    this.failures[kind] = null;
    track.addEventListener("ended", () => void this.handleEnded(kind, track));
    if (kind === "audio") {
      track.enabled = !this.muted;
      this.tracks.microphone = track;
    } else {
      this.tracks.camera = track;
    }
  }

  private release(kind: Kind): void {
    this.track(kind)?.stop();
    this.tracks[kind === "audio" ? "microphone" : "camera"] = null;
  }

  /** The device died in use (a headset's battery, a pulled cable): take the default one at once. */
  private handleEnded(kind: Kind, track: MediaStreamTrack): Promise<void> {
    return this.inTurn(async () => {
      if (this.track(kind) !== track) return;
      this.lost[kind] = track.label;
      this.release(kind);
      await this.reopen(kind);
      this.news.changed();
      this.news.fellBack(kind, this.track(kind)?.label ?? null);
    });
  }

  private async look(): Promise<void> {
    for (const kind of ["audio", "video"] as const) {
      const found = (await this.list(kind)).find((device) => device.label && device.label === this.lost[kind]);
      if (!found || this.inUse(kind)?.label === found.label) continue;
      delete this.lost[kind];
      this.news.cameBack(kind, found);
    }
    this.news.changed();
  }

  private endScreen(track: MediaStreamTrack): void {
    track.stop();
    if (this.tracks.screen !== track) return;
    this.tracks.screen = null;
    this.news.changed();
  }

  private inTurn(act: () => Promise<void>): Promise<void> {
    this.opening = this.opening.then(act, act);
    return this.opening;
  }

  /** A later grant upgrades without joining anew; browsers that can't tell leave it to the button. */
  private watchPermission(kind: Kind, name: string): void {
    navigator.permissions?.query({ name: name as PermissionName }).then(
      (status) =>
        status.addEventListener("change", () => {
          if (status.state === "granted" && !this.track(kind) && (kind === "audio" || this.cameraWanted))
            void this.retry(kind);
        }),
      () => undefined,
    );
  }
}
