// One participant of a relay test: its own picture and tone, an up and a down connection, and eyes for what arrives.
"use strict";
window.participant = {
  up: null, down: null, canvas: null, stream: null, senders: {}, videos: {}, audio: null,

  source(colour, hertz, size) {
    const canvas = document.createElement("canvas");
    canvas.width = size[0]; canvas.height = size[1];
    const pen = canvas.getContext("2d");
    let count = 0;
    const draw = () => {
      pen.fillStyle = `rgb(${this.colour.join(",")})`;
      pen.fillRect(0, 0, canvas.width, canvas.height);
      // Enough movement in the lower half for a real bitrate.
      for (let block = 0; block < 120; block++) {
        pen.fillStyle = `hsl(${(count * 37 + block * 101) % 360} 80% 50%)`;
        const place = (count * 53 + block * 211) % (canvas.width * 8);
        pen.fillRect(place % canvas.width, canvas.height * 0.55 + (place * 13 + count * 29) % (canvas.height * 0.4), 12, 9);
      }
      count++;
    };
    this.colour = colour;
    draw();
    setInterval(draw, 33);
    const sound = new AudioContext();
    const oscillator = sound.createOscillator();
    oscillator.frequency.value = hertz;
    const out = sound.createMediaStreamDestination();
    const gain = sound.createGain();
    gain.gain.value = 0.5;
    oscillator.connect(gain).connect(out);
    oscillator.start();
    this.video = canvas.captureStream(30).getVideoTracks()[0];
    this.audio = out.stream.getAudioTracks()[0];
    this.sound = sound;
  },

  /** A recorded voice in place of the tone, again and again: codecs protect speech as they do nothing else. */
  async speak(recording) {
    const bytes = Uint8Array.from(atob(recording), (letter) => letter.charCodeAt(0));
    const voice = new AudioBufferSourceNode(this.sound, { loop: true });
    voice.buffer = await this.sound.decodeAudioData(bytes.buffer);
    const out = this.sound.createMediaStreamDestination();
    voice.connect(out);
    voice.start();
    this.audio = out.stream.getAudioTracks()[0];
  },

  /** When each frame at `mid` was shown, and when this page's own clock was late, in seconds since the epoch. */
  watch(mid) {
    const shown = (this.shown = []);
    const late = (this.late = []);
    const element = this.videos[mid];
    const note = (now) => {
      shown.push((performance.timeOrigin + now) / 1000);
      element.requestVideoFrameCallback(note);
    };
    element.requestVideoFrameCallback(note);
    let due = performance.now();
    setInterval(() => {
      const now = performance.now();
      if (now - due > 60) late.push([(performance.timeOrigin + due) / 1000, (performance.timeOrigin + now) / 1000]);
      due = now + 20;
    }, 20);
  },

  watched() {
    return { shown: this.shown, late: this.late };
  },

  connection() {
    return new RTCPeerConnection({ iceServers: [], bundlePolicy: "max-bundle" });
  },

  prepare(layers) {
    this.up = this.connection();
    const encodings = layers === 2
      ? [{ rid: "l", scaleResolutionDownBy: 4, maxBitrate: 150000, active: false }, { rid: "h", active: false }]
      : [{ active: false }];
    this.senders.audio = this.up.addTransceiver("audio", { direction: "sendonly" });
    this.senders.video = this.up.addTransceiver("video", { direction: "sendonly", sendEncodings: encodings });
  },

  async offer(restart) {
    await this.up.setLocalDescription(await this.up.createOffer({ iceRestart: Boolean(restart) }));
    return {
      sdp: this.up.localDescription.sdp,
      audio: this.senders.audio.mid,
      video: this.senders.video.mid,
    };
  },

  async answered(sdp) {
    await this.up.setRemoteDescription({ type: "answer", sdp });
  },

  async begin() {
    await this.senders.audio.sender.replaceTrack(this.audio);
    await this.senders.video.sender.replaceTrack(this.video);
    const parameters = this.senders.video.sender.getParameters();
    for (const encoding of parameters.encodings) encoding.active = true;
    await this.senders.video.sender.setParameters(parameters);
  },

  async setActive(flags) {
    const parameters = this.senders.video.sender.getParameters();
    parameters.encodings.forEach((encoding, place) => { encoding.active = flags[place]; });
    await this.senders.video.sender.setParameters(parameters);
  },

  async answer(sdp) {
    if (this.down === null) {
      this.down = this.connection();
      this.down.ontrack = ({ track, transceiver }) => {
        const element = document.createElement(track.kind);
        element.autoplay = true;
        element.muted = true;
        element.srcObject = new MediaStream([track]);
        element.shownFrames = 0;
        const count = () => {
          element.shownFrames++;
          element.requestVideoFrameCallback(count);
        };
        if (track.kind === "video") element.requestVideoFrameCallback(count);
        document.body.append(element);
        this.videos[transceiver.mid] = element;
      };
    }
    await this.down.setRemoteDescription({ type: "offer", sdp });
    await this.down.setLocalDescription(await this.down.createAnswer());
    return this.down.localDescription.sdp;
  },

  seen(mid) {
    const element = this.videos[mid];
    if (!element || !element.videoWidth) return null;
    const canvas = document.createElement("canvas");
    canvas.width = 16; canvas.height = 16;
    const pen = canvas.getContext("2d");
    pen.drawImage(element, 0, 0, 16, 16);
    const [red, green, blue] = pen.getImageData(8, 4, 1, 1).data;
    return { colour: [red, green, blue], width: element.videoWidth, frames: element.shownFrames };
  },

  /** What has been received of one person: their picture at `mid`, and everybody's sound. */
  async received(mid) {
    const found = { width: 0, received: 0, frames: 0, concealed: 0, samples: 0, frozen_s: 0, sound_delay_s: 0 };
    let delay = 0, emitted = 0;
    (await this.down.getStats()).forEach((report) => {
      if (report.type !== "inbound-rtp") return;
      if (report.kind === "audio") {
        found.concealed += report.concealedSamples || 0;
        found.samples += report.totalSamplesReceived || 0;
        delay += report.jitterBufferDelay || 0;
        emitted += report.jitterBufferEmittedCount || 0;
      } else {
        found.received += report.bytesReceived || 0;
        if (report.mid !== mid) return;
        found.width = report.frameWidth || 0;
        found.frames = report.framesDecoded || 0;
        found.frozen_s = report.totalFreezesDuration || 0;
      }
    });
    const before = this.delayBefore || [0, 0];
    found.sound_delay_s = emitted > before[1] ? (delay - before[0]) / (emitted - before[1]) : 0;
    this.delayBefore = [delay, emitted];
    return found;
  },

  /** Why the picture isn't sent as well as it could be, in the browser's own words. */
  async limitedBy() {
    const reasons = [];
    (await this.up.getStats()).forEach((report) => {
      if (report.type === "outbound-rtp" && report.kind === "video" && report.active)
        reasons.push(`${report.frameWidth || 0} ${report.qualityLimitationReason}`);
    });
    return reasons.join(", ");
  },

  async inbound(connection) {
    const found = {};
    const reports = await this[connection].getStats();
    reports.forEach((report) => {
      if (report.type === "inbound-rtp") found[report.kind] = report;
      if (report.type === "outbound-rtp") found[`${report.kind}-${report.rid || ""}`] = report;
      if (report.type === "remote-inbound-rtp") found[`remote-${report.kind}`] = report;
      if (report.type === "transport" && reports.has(report.selectedCandidatePairId)) {
        found.pair = reports.get(report.selectedCandidatePairId);
        found.candidate = reports.get(found.pair.localCandidateId);
      }
    });
    return JSON.parse(JSON.stringify(found));
  },
};
