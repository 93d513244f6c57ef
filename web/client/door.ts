// Everything before and after the visit itself, on the same page: waiting for opening time, the check of camera and
// sound, the waiting room, and the last page of somebody who is no longer in. Leaves connecting to room.ts.
import { secondsUntil } from "./context";
import type { Devices, Kind } from "./devices";
import { button, h, icon, setNodes, setText } from "./dom";
import { helpFor } from "./help";
import { LevelMeter } from "./levels";
import type { Snapshot } from "./protocol.gen";
import type { Refusal } from "./refusals";
import { departureWords } from "./roles";
import type { RoomConfig } from "./wire";
import { duration, hourMinute, t, tn } from "./words";

export interface DoorActs {
  /** The one tap that opens camera and microphone. */
  open(): Promise<void>;
  enter(): void;
  leave(): void;
  comeBack(): void;
  /** This device instead of the one that was first, when that one is gone; resolves with why not, in words. */
  takeOver(): Promise<string>;
}

export type DoorState = "check" | "waiting" | "gone" | "closed" | "reload";

export class Door {
  readonly root = h("main", { class: "door", id: "door", tabindex: -1 });
  private state: DoorState | "" = "";
  private readonly title = h("h1", { class: "nhsuk-heading-l door__title", tabindex: -1 });
  private readonly lead = h("p", { class: "door__lead" });
  private readonly more = h("div", { class: "door__more" });
  private readonly countdown = h("p", { class: "door__countdown", id: "countdown", role: "timer", hidden: true });
  private readonly check: HTMLElement;
  private readonly video = h("video", { class: "door__video", playsinline: true, autoplay: true, id: "own-picture" });
  private readonly noPicture = h("p", { class: "door__no-picture" });
  private readonly meter = h("meter", {
    class: "door__level",
    id: "level",
    min: 0,
    max: 1,
    low: 0.05,
    value: 0,
    "aria-label": t("Your microphone's level"),
  });
  private readonly meterWords = h("p", { class: "bs-muted" });
  private readonly help = h("div", { class: "door__help", id: "device-help" });
  private readonly actions = h("div", { class: "bs-actions door__actions" });
  private readonly phone = h("p", { class: "door__phone" });
  private readonly levels = new LevelMeter();
  private opened = false;
  private waitingFor = "";

  constructor(
    private readonly config: RoomConfig,
    private readonly devices: Devices,
    private readonly acts: DoorActs,
    private readonly skewMs: () => number,
  ) {
    this.video.muted = true;
    this.check = h(
      "section",
      { class: "door__check", "aria-label": t("Your camera and microphone") },
      h("div", { class: "door__picture" }, this.video, this.noPicture),
      h("div", { class: "door__sound" }, icon("microphone"), this.meter, this.meterWords),
      this.help,
    );
    if (config.clinic_phone) {
      this.phone.append(
        ...tn("Trouble getting in? Ring the clinic:", {}),
        " ",
        h("a", { href: `tel:${config.clinic_phone.replace(/[^+\d]/g, "")}` }, h("bdi", {}, config.clinic_phone)),
      );
    }
    const card = h(
      "div",
      { class: "door__card" },
      this.title,
      this.lead,
      this.countdown,
      this.check,
      this.more,
      this.actions,
      this.phone,
    );
    this.root.append(card);
    setInterval(() => this.tick(), 100);
  }

  get isEarly(): boolean {
    return this.config.opens_at !== null && secondsUntil(this.config.opens_at, this.skewMs()) > 0;
  }

  show(state: DoorState, room: Snapshot | null, words?: Refusal): void {
    const isNew = state !== this.state;
    this.state = state;
    this.root.dataset.state = state;
    this.check.hidden = state !== "check" && state !== "waiting";
    this.more.replaceChildren();
    if (state === "check") this.showCheck();
    else if (state === "waiting" && room) this.showWaiting(room);
    else this.showGone(state, words ?? departureWords(room?.you.reason ?? null));
    this.refresh();
    if (isNew) this.title.focus({ preventScroll: true });
  }

  /** The visit is on the screen instead. */
  hide(): void {
    if (this.state === "") return;
    this.state = "";
    this.video.srcObject = null;
    this.levels.listen(null);
  }

  /** After anything about the devices changed. */
  refresh(): void {
    if (this.state === "") return;
    const { camera, microphone } = this.devices.tracks;
    const live = !this.check.hidden;
    const stream = this.video.srcObject as MediaStream | null;
    if (live && camera && stream?.getVideoTracks()[0] !== camera) this.video.srcObject = new MediaStream([camera]);
    if ((!live || !camera) && stream) this.video.srcObject = null;
    this.video.hidden = !camera;
    this.noPicture.hidden = Boolean(camera);
    setText(this.noPicture, this.opened ? t("No picture of you") : t("Your picture will be here"));
    this.levels.listen(live ? microphone : null);
    this.check.dataset.opened = String(this.opened);
    const broken = (["audio", "video"] as Kind[]).filter((kind) => this.devices.failures[kind]);
    const key = broken.map((kind) => `${kind}${this.devices.failures[kind]}`).join();
    if (this.help.dataset.key !== key) {
      this.help.dataset.key = key;
      this.help.replaceChildren(...broken.map((kind) => this.makeHelp(kind)));
    }
  }

  tick(): void {
    if (this.state === "") return;
    if (!this.check.hidden) this.showLevel();
    if (this.countdown.hidden || !this.config.opens_at) return;
    const left = secondsUntil(this.config.opens_at, this.skewMs());
    setText(this.countdown, duration(left));
    if (left <= 0) {
      this.countdown.hidden = true;
      if (this.waitingFor === "opening") this.acts.enter();
      else this.show("check", null);
    }
  }

  /** Camera and microphone were asked for: from now on the page shows what came of it. */
  setOpened(): void {
    this.opened = true;
    if (this.state === "check") this.showCheck();
    if (this.state === "waiting") this.actions.querySelector("#open-devices")?.remove();
    this.refresh();
  }

  /** Ready, but before opening time: the page opens by itself. */
  waitForOpening(): void {
    this.waitingFor = "opening";
    this.showCheck();
  }

  private showCheck(): void {
    this.actions.dataset.for = "check";
    const early = this.isEarly;
    setText(this.title, early ? t("Your visit has not opened yet") : t("Check your camera and sound"));
    const ready = this.waitingFor === "opening";
    const opens = early && this.config.opens_at ? hourMinute(this.config.opens_at) : "";
    setText(
      this.lead,
      early
        ? ready
          ? t("It opens at {time}. Stay on this page: it takes you in by itself.", { time: opens })
          : t("It opens at {time}, by itself. You can check your camera and sound now.", { time: opens })
        : this.opened
          ? this.devices.tracks.camera || this.devices.tracks.microphone
            ? t("Can you see yourself, and does the bar move when you speak?")
            : t("You can go in without them: you see and hear the doctor, and you can write.")
          : t("Nobody sees or hears you until the doctor lets you in."),
    );
    this.countdown.hidden = !early;
    const enter = () => (this.isEarly ? this.waitForOpening() : this.acts.enter());
    const first = this.opened
      ? [button(t("Go to the waiting room"), { id: "enter", on: { click: enter } })]
      : [
          button(t("Turn on camera and microphone"), {
            id: "open-devices",
            on: { click: () => void this.acts.open() },
          }),
          button(t("Go in without them"), { id: "enter-without", on: { click: enter } }, "plain"),
        ];
    this.actions.replaceChildren(...(ready && early ? [] : first));
  }

  private showWaiting(room: Snapshot): void {
    this.countdown.hidden = true;
    const { you } = room;
    const isDoctors = you.second_device && you.rights.includes("admit");
    this.offerWaiting(isDoctors);
    if (you.second_device) {
      this.tellSecondDevice(room, isDoctors);
      return;
    }
    const doctor = room.doctor_name || t("A doctor of the clinic");
    setText(this.title, t("You are in the waiting room"));
    setNodes(this.lead, tn("{doctor} sees that you are here and lets you in. Please stay on this page.", { doctor }));
    if (!you.waiting_since) return;
    const since = t("Waiting since {time}", { time: hourMinute(you.waiting_since) });
    this.more.append(h("p", { class: "bs-muted", id: "waiting-since" }, since));
  }

  private offerWaiting(isDoctors: boolean): void {
    const leave = button(
      t("Leave the waiting room"),
      { id: "leave-waiting", on: { click: () => this.acts.leave() } },
      "plain",
    );
    const open = button(
      t("Turn on camera and microphone"),
      { id: "open-devices", on: { click: () => void this.acts.open() } },
      "secondary",
    );
    const takeOver = button(t("Go on here"), { id: "take-over", on: { click: () => void this.takeOver() } });
    const wanted = `waiting ${this.opened} ${isDoctors}`;
    if (this.actions.dataset.for !== wanted)
      this.actions.replaceChildren(...(isDoctors ? [takeOver] : []), ...(this.opened ? [] : [open]), leave);
    this.actions.dataset.for = wanted;
  }

  private tellSecondDevice(room: Snapshot, isDoctors: boolean): void {
    if (isDoctors) {
      setText(this.title, t("Go on with the visit here?"));
      setText(
        this.lead,
        t(
          "It was begun on another device, or before you signed in again. If it is still open there, choose “Move the visit there” on that device.",
        ),
      );
      return;
    }
    setText(this.title, t("This visit is already open on another device"));
    setNodes(
      this.lead,
      tn("To go on here, choose “Move the visit there” on the other device, or wait until {doctor} lets this one in.", {
        doctor: room.doctor_name || t("a doctor of the clinic"),
      }),
    );
  }

  private async takeOver(): Promise<void> {
    const words = await this.acts.takeOver();
    if (words) this.more.replaceChildren(h("p", { id: "not-taken-over", role: "alert" }, words));
  }

  private showGone(state: DoorState, words: Refusal): void {
    this.actions.dataset.for = "gone";
    this.countdown.hidden = true;
    setText(this.title, words.title);
    setText(this.lead, words.text);
    const again =
      state === "reload"
        ? button(t("Load the page again"), { id: "reload", on: { click: () => location.reload() } })
        : words.mayReturn && button(t("Come back"), { id: "come-back", on: { click: () => this.acts.comeBack() } });
    const link = words.link && h("a", { class: "nhsuk-button", id: "way-on", href: words.link.href }, words.link.label);
    this.actions.replaceChildren(...[again, link].filter((one) => one instanceof Node));
  }

  private showLevel(): void {
    this.levels.listen(this.devices.tracks.microphone);
    const level = this.levels.level();
    this.meter.value = Math.round(level * 50) / 50;
    const words =
      !this.opened && !this.devices.tracks.microphone
        ? ""
        : !this.devices.tracks.microphone
          ? t("No sound from you")
          : t("Say something: the bar moves");
    setText(this.meterWords, words);
  }

  private makeHelp(kind: Kind): HTMLElement {
    const { failures } = this.devices;
    const other = !failures[kind === "audio" ? "video" : "audio"];
    const { title, text, steps } = helpFor(kind, failures[kind] ?? "none", navigator.userAgent, other);
    return h(
      "section",
      { class: "help", "data-kind": kind, "data-failure": this.devices.failures[kind] ?? "" },
      h("h2", { class: "nhsuk-heading-s" }, title),
      h("p", {}, text),
      steps.length > 0 &&
        h(
          "ol",
          {},
          steps.map((step) => h("li", {}, step)),
        ),
      button(t("Try again"), { on: { click: () => void this.devices.retry(kind) } }, "secondary"),
    );
  }
}
