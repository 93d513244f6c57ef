// The visit's page: puts socket, devices, media and views together, and decides which of them is on the screen.
// What each of them does is their own affair.
import "./trusted";
import "webrtc-adapter";
import { Announcer } from "./announce";
import { watchArrivals } from "./arrivals";
import { AwakeScreen } from "./awake";
import { Chime } from "./chime";
import type { Context } from "./context";
import { Devices, type Kind } from "./devices";
import { exposeDiagnostics } from "./diagnostics";
import { h } from "./dom";
import { Door } from "./door";
import { Hold } from "./hold";
import { Memory } from "./memory";
import { Names } from "./names";
import type { NotOk, Snapshot } from "./protocol.gen";
import { patientRefusal, type Refusal, staffRefusal } from "./refusals";
import { RoomView } from "./room-view";
import { type Body, type EventName, RoomSocket } from "./socket";
import { MediaSwitch } from "./switch";
import { isRefusal, newId, type RoomConfig } from "./wire";
import { t } from "./words";

const page = document.getElementById("room") as HTMLElement;
const config = JSON.parse(document.getElementById("room-config")?.textContent ?? "{}") as RoomConfig;

class Visit {
  private room: Snapshot | null = null;
  private socket: RoomSocket | null = null;
  private media: MediaSwitch | null = null;
  private skewMs = Date.parse(config.sent_at) - Date.now();
  private readonly memory = new Memory(config.participation);
  private readonly hold = new Hold(
    this.memory,
    () => this.room,
    (on) => this.handleHold(on),
  );
  private readonly announcer = new Announcer(page);
  private readonly devices: Devices;
  private readonly door: Door;
  private readonly view: RoomView;
  private readonly awake = new AwakeScreen();
  private readonly chime = new Chime();
  private readonly names: Names;
  private sentDevices = "";
  private closing: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    const { muted, camera } = this.memory.read();
    this.devices = new Devices(
      {
        changed: () => this.handleDevices(),
        fellBack: (kind, label) => this.tellFellBack(kind, label),
        cameBack: (kind, device) => this.tellCameBack(kind, device),
      },
      muted,
      camera,
    );
    const context: Context = {
      config,
      announcer: this.announcer,
      room: () => this.room,
      send: (name, body) => this.send(name, body),
    };
    this.door = new Door(
      config,
      this.devices,
      {
        open: () => this.openDevices(),
        enter: () => this.enter(),
        leave: () => void this.leave(),
        comeBack: () => this.comeBack(),
        takeOver: () => this.takeOver(),
      },
      () => this.skewMs,
    );
    this.view = new RoomView(
      context,
      this.devices,
      {
        mute: () => this.toggleMute(),
        camera: () => this.toggleCamera(),
        share: () => void this.toggleScreen(),
        left: () => this.forget(),
      },
      () => this.skewMs,
    );
    setInterval(() => this.view.tick(), 500);
    this.watchPage();
    this.names = new Names(config.title, (hidden) => this.view.renderNames(hidden));
    if (page.dataset.clinic)
      watchArrivals(page.dataset.clinic, config.room_id, this.view.arrivals, (hidden) => this.names.tell(hidden));
  }

  /** A page that was in before a reload, and a doctor's page, go on at once; others begin at the check. */
  start(): void {
    this.show(this.door.root);
    this.door.show("check", null);
    if (!this.memory.read().entered && config.role !== "doctor") return;
    void this.openDevices();
    if (!this.door.isEarly || config.role === "doctor") this.enter();
    else this.door.waitForOpening();
  }

  private async openDevices(): Promise<void> {
    this.chime.prepare();
    await this.devices.start();
    this.door.setOpened();
  }

  private enter(): void {
    if (this.socket) return;
    this.memory.write({ entered: true });
    const socket = new RoomSocket(config.participation, newId(), {
      snapshot: (room) => this.handleSnapshot(room),
      signal: (signal) => this.media?.handleSignal(signal),
      downOffer: (offer) => this.media?.handleDownOffer(offer),
      chat: (line) => this.view.chat.handle(line),
      connected: (yes) => this.handleConnected(yes),
      reloadNeeded: () =>
        this.closeDoor("reload", {
          title: t("This page is out of date"),
          text: t("Load it again; you keep your place, and what you wrote is kept."),
          mayReturn: false,
        }),
      refused: (code, message) => this.handleRefused(code, message),
    });
    this.socket = socket;
    this.media = new MediaSwitch(socket, this.view.tiles, {
      way: (way, connected) => this.view.renderWay(way, connected),
    });
    this.media.hold(this.hold.on);
    this.media.setTracks(this.devices.tracks);
    exposeDiagnostics({ media: this.media, snapshot: () => this.room, devices: this.devices });
  }

  private async send<N extends EventName>(name: N, body: Body<N>) {
    if (!this.socket) return null;
    const reply = await this.hold.send(this.socket, name, body);
    if (!isRefusal(reply)) return reply as Exclude<typeof reply, NotOk>;
    this.announcer.notice(
      "refused",
      reply.message ? t(reply.message) : t("That was not possible just now. Please try again."),
    );
    return null;
  }

  private handleSnapshot(room: Snapshot): void {
    const before = this.room;
    this.room = room;
    this.skewMs = Date.parse(room.sent_at) - Date.now();
    this.names.apply(room);
    const { you, phase } = room;
    const isOver = phase === "ended" && (you.state !== "left" || you.reason === "visit_ended");
    if (isOver) this.handleEnded(room);
    else if (you.state === "left") this.handleGone(room);
    else if (you.state === "admitted") this.showRoom(room, before);
    else {
      this.media?.apply(room);
      void this.awake.keep();
      this.show(this.door.root);
      this.door.show("waiting", room);
      this.resume(you);
    }
  }

  /** Signed in again in this tab: no other device holds the visit, so nobody needs to press for it. */
  private resume(you: Snapshot["you"]): void {
    if (!you.second_device || !this.memory.read().resume) return;
    this.memory.write({ resume: false });
    void this.takeOver();
  }

  private showRoom(room: Snapshot, before: Snapshot | null): void {
    clearTimeout(this.closing);
    this.closing = undefined;
    const isNew = this.show(this.view.root);
    this.door.hide();
    if (this.socket) this.hold.takeUp(this.socket, room);
    // Before it is rendered: a question in it takes the focus from here.
    if (isNew) this.view.focus();
    this.view.render(room);
    this.media?.apply(room);
    this.view.renderDevices();
    void this.awake.keep();
    if (isNew && before?.you.state === "waiting" && document.hidden) this.chime.once();
    if (isNew && before?.you.state === "waiting") this.announcer.say(t("You are in the visit now."), true);
  }

  private handleGone(room: Snapshot): void {
    this.media?.apply(room);
    this.devices.stop();
    this.awake.release();
    this.memory.write({ entered: false });
    this.socket?.close();
    this.socket = null;
    const { reason } = room.you;
    if (config.role === "doctor" && reason === "left") {
      this.forget();
      return;
    }
    this.show(this.door.root);
    // Staff have no link to ring the clinic about.
    const isStaffs = config.role === "doctor" && reason !== "replaced";
    this.door.show("gone", room, isStaffs ? staffRefusal("closed", "", config.back_url, "") : undefined);
  }

  private handleEnded(room: Snapshot): void {
    this.media?.apply(room);
    if (config.role === "doctor") {
      this.view.ended.render(room);
      this.show(this.view.ended.root);
      return;
    }
    this.devices.stopScreen();
    this.show(this.door.root);
    this.door.show("gone", room, {
      title: t("The visit has ended"),
      text: t("Thank you. The clinic's page follows."),
      mayReturn: false,
    });
    // The doctor may undo the end for ten seconds; this page comes back by itself until then.
    const isFinal = room.you.state === "left";
    if (this.closing !== undefined && !isFinal) return;
    clearTimeout(this.closing);
    this.closing = setTimeout(() => this.goToClosingPage(), isFinal ? 0 : 12_000);
  }

  private goToClosingPage(): void {
    this.devices.stop();
    this.memory.write({ entered: false });
    if (config.closing_url) location.assign(config.closing_url);
  }

  private handleConnected(yes: boolean): void {
    this.view.renderConnected(yes);
    this.sentDevices = yes ? "" : this.sentDevices;
    if (yes) this.sendDevices();
  }

  private handleHold(on: boolean): void {
    this.media?.hold(on);
    if (this.room) this.view.recording.hold(on, this.room);
  }

  private handleRefused(code: string, message: string): void {
    if (code === "visit_over" && config.closing_url) {
      this.goToClosingPage();
      return;
    }
    if (config.role !== "doctor") {
      this.closeDoor("closed", patientRefusal(code, message));
      return;
    }
    this.memory.write({ resume: code === "not_signed_in" });
    this.closeDoor("closed", staffRefusal(code, page.dataset.clinic ?? "", config.back_url, location.pathname));
  }

  private closeDoor(state: "closed" | "reload", words: Refusal): void {
    this.media?.close();
    if (state === "closed") {
      this.devices.stop();
      this.memory.write({ entered: false });
      this.names.forget();
    }
    this.show(this.door.root);
    this.door.show(state, this.room, words);
  }

  private handleDevices(): void {
    this.memory.write({ muted: this.devices.wishes.muted, camera: this.devices.wishes.camera });
    this.media?.setTracks(this.devices.tracks);
    this.door.refresh();
    this.view.renderDevices();
    this.sendDevices();
  }

  /** Says what this browser sends, once for each change. */
  private sendDevices(): void {
    const { microphone, camera, tracks } = this.devices;
    const body = { microphone, camera, screen: tracks.screen !== null };
    const key = JSON.stringify(body);
    if (!this.socket || key === this.sentDevices) return;
    this.sentDevices = key;
    void this.socket.send("devices", body, () => this.sentDevices !== key);
  }

  private toggleMute(): void {
    const { microphone } = this.devices;
    if (microphone === "none" || microphone === "denied")
      void this.devices.retry("audio").then(() => this.tellMissing("audio"));
    else {
      this.devices.setMuted(microphone === "on");
      this.announcer.say(microphone === "on" ? t("You are muted.") : t("You are heard again."));
    }
  }

  private toggleCamera(): void {
    const { camera } = this.devices;
    if (camera === "none" || camera === "denied")
      void this.devices.retry("video").then(() => this.tellMissing("video"));
    else void this.devices.setCamera(camera === "off").then(() => this.tellMissing("video"));
  }

  private async toggleScreen(): Promise<void> {
    if (this.devices.tracks.screen) this.devices.stopScreen();
    else await this.devices.shareScreen();
  }

  private tellMissing(kind: Kind): void {
    if (!this.devices.failures[kind]) return;
    this.announcer.notice(
      kind,
      kind === "audio"
        ? t("Your microphone could not be opened. Devices shows what to do.")
        : t("Your camera could not be opened. Devices shows what to do."),
    );
  }

  private tellFellBack(kind: Kind, label: string | null): void {
    const words = label
      ? t("The device you used is gone. Now in use: {name}", { name: label })
      : kind === "audio"
        ? t("Your microphone is gone: nobody hears you.")
        : t("Your camera is gone: nobody sees you.");
    this.announcer.notice(`device-${kind}`, words);
  }

  private tellCameBack(kind: Kind, device: MediaDeviceInfo): void {
    this.announcer.notice(`device-${kind}`, t("{name} is back.", { name: device.label }), {
      label: t("Use it"),
      run: () => void this.devices.choose(kind, device.deviceId),
    });
  }

  private async leave(): Promise<void> {
    await this.send("leave", {});
    this.forget();
  }

  private forget(): void {
    this.memory.write({ entered: false });
    if (config.role === "doctor") location.assign(config.back_url);
  }

  private async takeOver(): Promise<string> {
    if (!this.socket || !this.room) return "";
    const { participant_id, device } = this.room.you;
    const reply = await this.socket.send("allow_device", { participant_id, device });
    if (!isRefusal(reply)) return "";
    return reply.error === "not_allowed"
      ? t("The visit is still open on the other device. Close it there, or move the visit from there.")
      : t(reply.message);
  }

  private comeBack(): void {
    this.memory.write({ entered: true });
    location.reload();
  }

  private watchPage(): void {
    const wake = () => {
      this.socket?.wake();
      this.media?.nudge();
    };
    window.addEventListener("online", wake);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.socket?.wake();
    });
    window.addEventListener("pageshow", (event) => event.persisted && this.socket?.wake());
    // It also tells of every estimate of speed; only another kind of network is a change of way.
    const network = (navigator as { connection?: EventTarget & { type?: string } }).connection;
    let kind = network?.type;
    network?.addEventListener("change", () => {
      if (network.type === kind) return;
      kind = network.type;
      wake();
    });
  }

  /** True when this is not what was on the screen before. */
  private show(part: HTMLElement): boolean {
    const screen = page.querySelector(":scope > .screen") ?? page.appendChild(h("div", { class: "screen" }));
    if (part.parentElement === screen) return false;
    screen.replaceChildren(part);
    return true;
  }
}

new Visit().start();
