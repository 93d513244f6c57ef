// A soft two-note sound that repeats until told to stop. Browsers start sound only after a tap: `isBlocked` says so.

const EVERY_MS = 4000;

export class Chime {
  private context: AudioContext | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;

  get isBlocked(): boolean {
    return this.timer !== undefined && this.context?.state !== "running";
  }

  start(): void {
    if (this.timer !== undefined) return;
    this.ring();
    this.timer = setInterval(() => this.ring(), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /** From a tap, so that a later sound is allowed. */
  prepare(): void {
    if (!this.context && navigator.userActivation?.hasBeenActive !== false) this.context = new AudioContext();
  }

  once(): void {
    this.ring();
  }

  /** A short tone of these notes, softer than the ring: something changed that everybody should hear. */
  tell(hertz: readonly number[]): void {
    this.ring(hertz, 0.12);
  }

  /** From a tap. */
  async allow(): Promise<void> {
    this.context ??= new AudioContext();
    await this.context.resume();
    if (this.timer !== undefined) this.ring();
  }

  private ring(hertz: readonly number[] = [659, 880], loudest = 0.25): void {
    if (!this.context && navigator.userActivation?.hasBeenActive !== false) this.context = new AudioContext();
    const { context } = this;
    if (!context) return;
    void context.resume().catch(() => undefined);
    if (context.state !== "running") return;
    for (const [index, each] of hertz.entries()) {
      const at = context.currentTime + index * 0.22;
      const note = context.createOscillator();
      const loudness = context.createGain();
      note.frequency.value = each;
      loudness.gain.setValueAtTime(0, at);
      loudness.gain.linearRampToValueAtTime(loudest, at + 0.02);
      loudness.gain.exponentialRampToValueAtTime(0.001, at + 0.5);
      note.connect(loudness).connect(context.destination);
      note.start(at);
      note.stop(at + 0.55);
    }
  }
}
