// What tests look at, in development only: the peer connections and the snapshot, to read and not to change.
import type { Devices } from "./devices";
import type { Snapshot } from "./protocol.gen";
import type { MediaSwitch } from "./switch";

interface Seen {
  media: MediaSwitch;
  snapshot(): Snapshot | null;
  devices: Devices;
}

export function exposeDiagnostics({ media, snapshot, devices }: Seen): void {
  if (document.documentElement.dataset.env !== "development" || "__bedside" in window) return;
  const diagnostics = {
    get direct(): RTCPeerConnection | null {
      return media.direct?.pc ?? null;
    },
    get up(): RTCPeerConnection | null {
      return media.relay?.up?.pc ?? null;
    },
    get down(): RTCPeerConnection | null {
      return media.relay?.down?.pc ?? null;
    },
    get snapshot(): Snapshot | null {
      return snapshot();
    },
    get devices() {
      return { microphone: devices.microphone, camera: devices.camera, screen: devices.tracks.screen !== null };
    },
  };
  Object.defineProperty(window, "__bedside", { value: Object.freeze(diagnostics) });
}
