// The row of controls under the pictures. Each is large and says in words what a press does.
// Leaves doing it to room.ts.
import { whyNotAsked } from "./askable";
import { may } from "./context";
import type { Devices } from "./devices";
import { h, type IconName, icon, setIcon, setText } from "./dom";
import type { Snapshot } from "./protocol.gen";
import { t } from "./words";

export type PanelName = "note" | "chat" | "people" | "settings";

export interface Acts {
  mute(): void;
  camera(): void;
  share(): void;
  panel(name: PanelName): void;
  record(): void;
  phone(): void;
  leave(): void;
  end(): void;
}

export interface Controlled {
  devices: Devices;
  openPanel: PanelName | null;
  unread: number;
}

class Control {
  readonly root: HTMLButtonElement;
  private readonly label = h("span", { class: "control__label" });
  private readonly badge = h("span", { class: "control__badge", hidden: true });

  constructor(id: string, kind: string, press: () => void) {
    this.root = h(
      "button",
      { type: "button", class: `control ${kind}`, id, on: { click: press } },
      h("span", { class: "control__icon" }, icon("more"), this.badge),
      this.label,
    );
  }

  set(name: IconName, label: string, state = "", badge = 0): void {
    setIcon(this.root, name);
    setText(this.label, label);
    if (this.root.dataset.state !== state) this.root.dataset.state = state;
    this.badge.hidden = badge === 0;
    setText(this.badge, badge ? String(badge) : "");
  }
}

export class Controls {
  readonly root: HTMLElement;
  private readonly mute: Control;
  private readonly camera: Control;
  private readonly note: Control;
  private readonly chat: Control;
  private readonly people: Control;
  private readonly share: Control;
  private readonly record: Control;
  private readonly phone: Control;
  private readonly settings: Control;
  private readonly more: Control;
  private readonly out: Control;

  constructor(
    acts: Acts,
    private readonly hasNote: boolean,
    private readonly isHost: () => boolean,
  ) {
    this.mute = new Control("mute", "", acts.mute);
    this.camera = new Control("camera", "", acts.camera);
    this.note = new Control("open-note", "", () => acts.panel("note"));
    const second = hasNote ? "control--second" : "";
    this.chat = new Control("open-chat", second, () => acts.panel("chat"));
    this.people = new Control("open-people", "control--second", () => acts.panel("people"));
    this.share = new Control("share", "control--second", acts.share);
    this.record = new Control("record", "control--second", acts.record);
    this.phone = new Control("phone", "control--second", acts.phone);
    this.settings = new Control("open-settings", "control--second", () => acts.panel("settings"));
    this.more = new Control("more", "control--more", () => this.toggleMore());
    this.out = new Control("leave", "control--out", () => (this.isHost() ? acts.end() : acts.leave()));
    // Before the press itself: a dialog that opens gives the focus back to what is still on the screen then.
    for (const each of [this.chat, this.people, this.share, this.record, this.phone, this.settings]) {
      each.root.addEventListener("click", () => this.closeMore(), { capture: true });
    }
    const order = [
      this.mute,
      this.camera,
      this.note,
      this.chat,
      this.people,
      this.share,
      this.record,
      this.phone,
      this.settings,
      this.more,
      this.out,
    ];
    this.root = h(
      "section",
      { class: "controls", id: "controls", "aria-label": t("Controls") },
      order.map((each) => each.root),
    );
    this.root.dataset.more = "closed";
  }

  render(room: Snapshot, { devices, openPanel, unread }: Controlled): void {
    this.renderDevices(devices);
    const pressed = (name: PanelName) => (openPanel === name ? "open" : "");
    this.note.set("note", t("Note"), pressed("note"));
    this.chat.set("chat", t("Chat"), pressed("chat"), unread);
    this.people.set("people", t("People"), pressed("people"), room.waiting.length + room.devices.length);
    this.settings.set("settings", t("Devices"), pressed("settings"));
    const cannot = whyNotAsked(room) !== "";
    this.record.set("record", cannot ? t("Can’t record") : t("Record"));
    this.phone.set("phone", t("By phone"), room.by_phone ? "on" : "");
    this.more.set("more", t("More"), this.root.dataset.more, this.hasNote ? unread : 0);
    const isHost = this.isHost();
    this.out.set("leave", isHost ? t("End visit") : t("Leave"));
    const live = ["asking", "starting", "running", "paused"].includes(room.recording.phase);
    this.note.root.hidden = !this.hasNote;
    this.people.root.hidden = !isHost;
    this.record.root.hidden = !may(room, "ask_recording") || live;
    this.phone.root.hidden = !may(room, "carry_on_by_phone");
    this.more.root.setAttribute("aria-expanded", String(this.root.dataset.more === "open"));
  }

  private renderDevices(devices: Devices): void {
    const { microphone, camera } = devices;
    if (microphone === "on") this.mute.set("microphone", t("Mute"), "on");
    else if (microphone === "muted") this.mute.set("microphone_off", t("Unmute"), "muted");
    else this.mute.set("microphone_off", t("No mic"), microphone);
    if (camera === "on") this.camera.set("camera", t("Camera off"), "on");
    else if (camera === "off") this.camera.set("camera_off", t("Camera on"), "off");
    else this.camera.set("camera_off", t("No camera"), camera);
    const sharing = devices.tracks.screen !== null;
    this.share.set("screen", sharing ? t("Stop sharing") : t("Share screen"), sharing ? "on" : "");
    this.share.root.hidden = !navigator.mediaDevices || !("getDisplayMedia" in navigator.mediaDevices);
  }

  private toggleMore(): void {
    if (this.root.dataset.more === "open") this.closeMore();
    else {
      this.root.dataset.more = "open";
      this.more.root.setAttribute("aria-expanded", "true");
    }
  }

  /** What was behind it has been pressed: its row goes, and focus stays on the screen. */
  private closeMore(): void {
    if (this.root.dataset.more !== "open") return;
    this.root.dataset.more = "closed";
    this.more.root.setAttribute("aria-expanded", "false");
    const focused = document.activeElement;
    if (focused instanceof HTMLElement && this.root.contains(focused) && !focused.checkVisibility?.())
      this.more.root.focus();
  }
}
