// What this tab remembers over a reload: that it was in, what was switched off, that signing in again leads back, and
// a word about the recording that the clinic has not answered. Leaves what follows from it to room.ts.

/** A press that ends storing, as it is sent. */
export type Unheard =
  | { name: "stop_recording"; body: { recording_id: string } }
  | { name: "pause_recording"; body: { recording_id: string; why: "examination" | "someone_came_in" } };

export interface Remembered {
  entered: boolean;
  muted: boolean;
  camera: boolean;
  resume: boolean;
  unheard: Unheard | null;
}

const FRESH: Remembered = { entered: false, muted: false, camera: true, resume: false, unheard: null };

export class Memory {
  private readonly key: string;

  constructor(participation: string) {
    this.key = `bedside-tab:${participation}`;
  }

  read(): Remembered {
    try {
      return { ...FRESH, ...JSON.parse(sessionStorage.getItem(this.key) ?? "{}") };
    } catch {
      return { ...FRESH };
    }
  }

  write(change: Partial<Remembered>): void {
    try {
      sessionStorage.setItem(this.key, JSON.stringify({ ...this.read(), ...change }));
    } catch {
      return;
    }
  }
}
