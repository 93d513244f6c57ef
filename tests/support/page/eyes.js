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

  Object.defineProperty(window, "__eyes", { value: { seen, heard } });
})();
