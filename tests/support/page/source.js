// Replaces a page's cameras, microphones and screen by drawn and computed ones that a test can recognise anywhere.
// Put in before the page's own scripts, with SOURCE filled in; what arrives elsewhere is for eyes.js to tell.
//
// One clock, the AudioContext's: each microphone is a one-second loop of a steady tone with a beep at its start, each
// camera a plain colour that turns white for FLASH_S when a second begins. `__source.flashes` notes for every flash
// when it was drawn and how late it was against the beep, in ms: the sender's own offset at that second.
(() => {
  const config = SOURCE;
  const FLASH_S = 0.16;
  const BEEP_S = 0.1;
  const RATE = 48000;
  const source = { config, flashes: [], asked: [], failing: config.failing ?? null, level: 1 };
  Object.defineProperty(window, "__source", { value: source });

  let audio = null;
  function clock() {
    audio ??= new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
    if (audio.state === "suspended") audio.resume();
    return audio;
  }

  function loop(microphone) {
    const context = clock();
    const buffer = context.createBuffer(1, RATE, RATE);
    const samples = buffer.getChannelData(0);
    for (let n = 0; n < RATE; n++) {
      const t = n / RATE;
      samples[n] = 0.12 * Math.sin(2 * Math.PI * microphone.tone_hz * t);
      if (t < BEEP_S) samples[n] += 0.45 * Math.sin(2 * Math.PI * microphone.beep_hz * t);
    }
    return buffer;
  }

  function sound(microphone) {
    const context = clock();
    const player = context.createBufferSource();
    player.buffer = loop(microphone);
    player.loop = true;
    const out = context.createMediaStreamDestination();
    player.connect(out);
    // Loops begin on whole seconds of the one clock, so a beep starts whenever currentTime passes a whole number.
    const begin = Math.ceil(context.currentTime + 0.05);
    player.start(begin);
    const track = out.stream.getAudioTracks()[0];
    name(track, microphone);
    return track;
  }

  function picture(camera, note) {
    const context = clock();
    const canvas = document.createElement("canvas");
    canvas.width = camera.width;
    canvas.height = camera.height;
    const pen = canvas.getContext("2d", { alpha: false });
    let lastSecond = Math.floor(context.currentTime);
    let frame = 0;
    const draw = () => {
      const now = context.currentTime;
      const second = Math.floor(now);
      const flash = note && now - second < FLASH_S && second > 0;
      pen.fillStyle = flash ? "#fff" : camera.colour;
      pen.fillRect(0, 0, canvas.width, canvas.height);
      // A bar that moves with every frame shows that a picture lives; eyes.js leaves it out of the colour.
      pen.fillStyle = frame % 2 ? "#000" : "#fff";
      const step = canvas.width / 16;
      pen.fillRect((frame % 16) * step, canvas.height * 0.92, step, canvas.height * 0.08);
      frame += 1;
      if (flash && second !== lastSecond) {
        lastSecond = second;
        source.flashes.push({ at_ms: performance.timeOrigin + performance.now(), late_ms: (now - second) * 1000 });
        if (source.flashes.length > 2000) source.flashes.shift();
      }
    };
    draw();
    const timer = setInterval(draw, 1000 / camera.frames_per_s);
    const track = canvas.captureStream(camera.frames_per_s).getVideoTracks()[0];
    track.addEventListener("ended", () => clearInterval(timer));
    const stop = track.stop.bind(track);
    track.stop = () => {
      clearInterval(timer);
      stop();
    };
    name(track, camera);
    return track;
  }

  function name(track, device) {
    const settings = track.getSettings.bind(track);
    track.getSettings = () => ({ ...settings(), deviceId: device.id, groupId: device.id });
    Object.defineProperty(track, "label", { value: device.label });
    track.applyConstraints = async () => {};
  }

  function wanted(list, constraint) {
    const id = typeof constraint === "object" ? constraint.deviceId : undefined;
    const exact = typeof id === "object" && !Array.isArray(id) ? (id.exact ?? id.ideal) : id;
    const ids = exact === undefined ? [] : [exact].flat();
    return list.find((device) => ids.includes(device.id)) ?? (id?.exact === undefined ? list[0] : undefined);
  }

  function refuse(kind) {
    throw new DOMException(`the test says ${kind}`, kind);
  }

  const devices = navigator.mediaDevices;
  if (!devices) return;
  devices.getUserMedia = async (constraints = {}) => {
    source.asked.push(constraints);
    if (source.failing) refuse(source.failing);
    const tracks = [];
    if (constraints.audio) tracks.push([sound, wanted(config.microphones, constraints.audio)]);
    if (constraints.video) tracks.push([(camera) => picture(camera, true), wanted(config.cameras, constraints.video)]);
    if (tracks.length === 0) throw new TypeError("neither audio nor video was asked for");
    if (tracks.some(([, device]) => device === undefined)) refuse("NotFoundError");
    return new MediaStream(tracks.map(([make, device]) => make(device)));
  };
  devices.getDisplayMedia = async () => {
    if (source.failing) refuse(source.failing);
    return new MediaStream([picture(config.screen, false)]);
  };
  devices.enumerateDevices = async () => [
    ...config.cameras.map((device) => ({ kind: "videoinput", deviceId: device.id, groupId: device.id, label: device.label })),
    ...config.microphones.map((device) => ({ kind: "audioinput", deviceId: device.id, groupId: device.id, label: device.label })),
  ];
})();
