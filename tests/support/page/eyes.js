// What a person at this page would see and hear, told in numbers: the pixels of every video shown, the tones of every
// sound played. It reads decoded media from the page's own elements; which elements there are is the page's affair.
(() => {
  const SIDE = 32;
  const FFT = 8192;
  const LISTENERS = new WeakMap();
  let audio = null;

  function shown(element) {
    const box = element.getBoundingClientRect();
    if (box.width < 8 || box.height < 8) return false;
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return false;
    // Something opaque may lie over it (another video, a card that says "camera off"): then nobody sees it there.
    const places = [0.5, 0.08, 0.92].flatMap((x) => [0.5, 0.1, 0.9].map((y) => [x, y]));
    return places.some(([x, y]) => isOpen(element, box.x + box.width * x, box.y + box.height * y));
  }

  function isOpen(element, x, y) {
    const here = document.elementsFromPoint(x, y);
    const depth = here.indexOf(element);
    return depth >= 0 && !here.slice(0, depth).some(covers);
  }

  function covers(element) {
    if (element.tagName === "VIDEO") return element.videoWidth > 0;
    const { backgroundColor, backgroundImage } = getComputedStyle(element);
    const alpha = /^rgba\(.*,\s*([\d.]+)\)$/.exec(backgroundColor)?.[1];
    return backgroundImage !== "none" || (alpha === undefined ? backgroundColor !== "transparent" : Number(alpha) > 0.9);
  }

  function look(video) {
    const canvas = document.createElement("canvas");
    canvas.width = SIDE;
    canvas.height = SIDE;
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    // The lowest tenth holds the moving bar: kept out of the colour, told apart as `bar`.
    pen.drawImage(video, 0, 0, video.videoWidth, video.videoHeight * 0.88, 0, 0, SIDE, SIDE);
    const { data } = pen.getImageData(0, 0, SIDE, SIDE);
    const sum = [0, 0, 0];
    for (let n = 0; n < data.length; n += 4) for (let c = 0; c < 3; c++) sum[c] += data[n + c];
    pen.drawImage(video, 0, video.videoHeight * 0.92, video.videoWidth, video.videoHeight * 0.08, 0, 0, SIDE, 1);
    const bar = [...pen.getImageData(0, 0, SIDE, 1).data].filter((_, n) => n % 4 === 1);
    return { colour: sum.map((value) => Math.round(value / (SIDE * SIDE))), bar };
  }

  /** Every video with a picture: where it stands, whether a person sees it, its mean colour, its moving bar. */
  function seen() {
    return [...document.querySelectorAll("video")]
      .filter((video) => video.videoWidth > 0 && video.readyState >= 2)
      .map((video) => {
        const box = video.getBoundingClientRect();
        return {
          id: video.id,
          data: { ...video.dataset },
          tile: video.closest("[data-participant]")?.dataset.participant ?? null,
          shown: shown(video),
          mirrored: getComputedStyle(video).transform !== "none",
          frames: video.getVideoPlaybackQuality().totalVideoFrames,
          width: video.videoWidth,
          height: video.videoHeight,
          box: [box.x, box.y, box.width, box.height],
          ...look(video),
        };
      });
  }

  function listener(element) {
    const stream = element.srcObject;
    const tracks = stream?.getAudioTracks() ?? [];
    if (tracks.length === 0) return null;
    const key = tracks[0];
    if (!LISTENERS.has(key)) {
      audio ??= new AudioContext();
      if (audio.state === "suspended") audio.resume();
      const analyser = audio.createAnalyser();
      analyser.fftSize = FFT;
      analyser.smoothingTimeConstant = 0;
      audio.createMediaStreamSource(new MediaStream([key])).connect(analyser);
      LISTENERS.set(key, analyser);
    }
    return LISTENERS.get(key);
  }

  function audible(element) {
    return !element.muted && !element.paused && element.volume > 0;
  }

  /** Level of `hz` in the spectrum of one element's sound, in decibels (about -30 when present, below -80 when not). */
  function level(analyser, hz) {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const middle = Math.round((hz * analyser.fftSize) / analyser.context.sampleRate);
    return Math.max(...bins.slice(Math.max(0, middle - 1), middle + 2));
  }

  /** The loudest level of each tone over all sounds that the page plays aloud; null where nothing is played. */
  function heard(tones) {
    const playing = [...document.querySelectorAll("audio, video")].filter(audible).map(listener).filter(Boolean);
    return tones.map((hz) => (playing.length ? Math.max(...playing.map((one) => level(one, hz))) : null));
  }

  // ── how sound goes over from one element to another ──
  // What somebody hears is what an unmuted element's track brings. When an element is muted or unmuted is noted as the
  // page does it; what the tracks bring is read from the last 0.7 s of samples, so that a page that stalls loses none.
  const STEP_MS = 5;
  const LOUD = 0.02;
  const HISTORY = 32768;
  const EVERY_MS = 20;
  const READ_EVERY = 5;
  const mutes = [];
  const property = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "muted");
  Object.defineProperty(HTMLMediaElement.prototype, "muted", {
    ...property,
    set(value) {
      if (value !== this.muted) mutes.push({ at: performance.now(), element: this, muted: value });
      property.set.call(this, value);
    },
  });

  let tape = null;

  function tapeOf(element) {
    const track = element.srcObject?.getAudioTracks?.()[0];
    if (!track) return null;
    const known = tape.tracks.get(track);
    if (known) return known;
    const analyser = audio.createAnalyser();
    analyser.fftSize = HISTORY;
    audio.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const made = { element, analyser, loud: [], end: Math.round(audio.currentTime * audio.sampleRate) };
    tape.tracks.set(track, made);
    return made;
  }

  function read(one) {
    const now = Math.round(audio.currentTime * audio.sampleRate);
    const step = (audio.sampleRate * STEP_MS) / 1000;
    const samples = new Float32Array(HISTORY);
    one.analyser.getFloatTimeDomainData(samples);
    for (let from = Math.max(one.end, now - HISTORY); from + step <= now; from += step) {
      const begin = HISTORY - (now - from);
      let sum = 0;
      for (let n = begin; n < begin + step; n++) sum += samples[n] * samples[n];
      one.loud.push([(from / audio.sampleRate) * 1000, Math.sqrt(sum / step) > LOUD]);
      one.end = from + step;
    }
  }

  /** Attaches to tracks as they come, more often than it reads: a track may be heard soon after. */
  function record() {
    tape.offset = Math.min(tape.offset, performance.now() - audio.currentTime * 1000);
    const reads = tape.rounds++ % READ_EVERY === 0;
    for (const element of document.querySelectorAll("audio, video")) {
      const one = tapeOf(element);
      if (one && reads) read(one);
    }
  }

  /** Begins to note what is heard; it stays in memory until `stopTape`. */
  function startTape() {
    audio ??= new AudioContext();
    if (audio.state === "suspended") audio.resume();
    const muted = new Map([...document.querySelectorAll("audio, video")].map((one) => [one, one.muted]));
    tape = { tracks: new Map(), offset: Infinity, muted, from: mutes.length, rounds: 0 };
    tape.timer = setInterval(record, EVERY_MS);
  }

  function isMuted(element, at) {
    let muted = tape.muted.get(element) ?? true;
    for (const one of mutes.slice(tape.from)) if (one.element === element && one.at <= at) muted = one.muted;
    return muted;
  }

  function longest(counts, wanted) {
    let [most, run, begin] = [0, 0, 0];
    for (const [n, count] of counts.entries()) {
      run = wanted(count) ? run + 1 : 0;
      if (run > most) [most, begin] = [run, n - run + 1];
    }
    return { ms: most * STEP_MS, begin };
  }

  /**
   * The longest silence and the longest double sound, in ms, around each moment at which an element was unmuted, and
   * where that silence began against it. `elsewhere_ms` is the longest silence of the whole tape apart from there.
   */
  function stopTape(around_ms) {
    clearInterval(tape.timer);
    for (const one of tape.tracks.values()) read(one);
    const swaps = mutes.slice(tape.from).filter((one) => !one.muted).map((one) => one.at);
    const at = new Map();
    for (const one of tape.tracks.values())
      for (const [time, loud] of one.loud) {
        const step = Math.round((time + tape.offset) / STEP_MS);
        at.set(step, (at.get(step) ?? 0) + (loud && !isMuted(one.element, step * STEP_MS) ? 1 : 0));
      }
    const all = [...at.keys()].sort((one, other) => one - other);
    return swaps.map((swap) => {
      const counts = [];
      const from = Math.max(all[0], Math.round((swap - around_ms) / STEP_MS));
      const to = Math.min(all.at(-1), Math.round((swap + around_ms) / STEP_MS));
      for (let step = from; step <= to; step++) counts.push(at.get(step) ?? 0);
      const silence = longest(counts, (count) => count === 0);
      const outside = all.filter((step) => step < from || step > to).map((step) => at.get(step));
      return {
        silence_ms: silence.ms,
        silence_from_ms: Math.round((from + silence.begin) * STEP_MS - swap),
        overlap_ms: longest(counts, (count) => count > 1).ms,
        elsewhere_ms: longest(outside, (count) => count === 0).ms,
      };
    });
  }

  Object.defineProperty(window, "__eyes", { value: { seen, heard, startTape, stopTape } });
})();
