// Keeps a phone's screen on while somebody waits or is in a visit: a screen that goes off takes the connection with it.

export class AwakeScreen {
  private lock: WakeLockSentinel | null = null;
  private wanted = false;

  constructor() {
    document.addEventListener("visibilitychange", () => {
      if (this.wanted && !document.hidden) void this.keep();
    });
  }

  async keep(): Promise<void> {
    this.wanted = true;
    if ((this.lock && !this.lock.released) || document.hidden) return;
    // Refused on a nearly empty battery, and absent from some browsers: the visit goes on without.
    this.lock = (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
  }

  release(): void {
    this.wanted = false;
    void this.lock?.release();
    this.lock = null;
  }
}
