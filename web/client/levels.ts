// How loud a microphone is, for a bar that moves. Leaves drawing to its caller.

export class LevelMeter {
  private context: AudioContext | null = null;
  private source: MediaStreamAudioSourceNode | null = null;
  private analyser: AnalyserNode | null = null;
  private track: MediaStreamTrack | null = null;
  private samples = new Float32Array(0);

  /** Listens to this track from now on; call it from a tap, since browsers start sound only then. */
  listen(track: MediaStreamTrack | null): void {
    if (track === this.track) return;
    this.track = track;
    this.source?.disconnect();
    this.source = null;
    if (!track) return;
    // A page that nobody has touched yet may not start sound; the bar then moves from the first tap on.
    if (!this.context && navigator.userActivation?.hasBeenActive === false) {
      this.track = null;
      return;
    }
    this.context ??= new AudioContext();
    void this.context.resume().catch(() => undefined);
    this.analyser ??= this.context.createAnalyser();
    this.analyser.fftSize = 1024;
    this.samples = new Float32Array(this.analyser.fftSize);
    this.source = this.context.createMediaStreamSource(new MediaStream([track]));
    this.source.connect(this.analyser);
  }

  /** 0 … 1, on a scale on which quiet speech is already seen. */
  level(): number {
    if (!this.analyser || !this.source || !this.track?.enabled) return 0;
    this.analyser.getFloatTimeDomainData(this.samples);
    let sum = 0;
    for (const sample of this.samples) sum += sample * sample;
    const decibels = 10 * Math.log10(sum / this.samples.length + 1e-10);
    return Math.min(1, Math.max(0, (decibels + 60) / 50));
  }

  close(): void {
    this.listen(null);
    void this.context?.close();
    this.context = null;
    this.analyser = null;
  }
}
