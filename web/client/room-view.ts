// The visit on the screen: top line, banners, pictures, one side panel, controls. Renders what the snapshot tells.
// Its parts (chat, note, people, recording …) render themselves; what a press does is room.ts's affair.
import { Chat } from "./chat";
import { type Context, may } from "./context";
import { type Acts, Controls, type PanelName } from "./controls";
import type { Devices } from "./devices";
import { button, h, icon, setNodes, setText } from "./dom";
import { Ended, Ending } from "./ending";
import { makeFrame } from "./frame";
import { Note } from "./note";
import { People } from "./people";
import type { PersonView, Snapshot } from "./protocol.gen";
import { Recording } from "./recording";
import { Settings } from "./settings";
import type { Way } from "./switch";
import { Tiles } from "./tiles";
import { Urgent } from "./urgent";
import { duration, t, tn } from "./words";

export interface ViewActs extends Omit<Acts, "panel" | "record" | "phone" | "leave" | "end"> {
  left(): void;
}

export class RoomView {
  readonly root: HTMLElement;
  readonly tiles: Tiles;
  readonly chat: Chat;
  readonly recording: Recording;
  readonly ended: Ended;
  private readonly controls: Controls;
  private readonly people: People;
  private readonly note: Note | null;
  private readonly settings: Settings;
  private readonly ending: Ending;
  private readonly urgent: Urgent;
  private readonly title = h("h1", { class: "top__title", id: "visit-title", tabindex: -1 });
  private readonly clock = h("span", { id: "clock", role: "timer", "aria-label": t("Length of the visit") });
  private readonly way = h("span", { id: "way" });
  private readonly emergency: HTMLButtonElement;
  private readonly self: HTMLElement;
  private readonly selfVideo = h("video", {
    class: "self__video",
    playsinline: true,
    autoplay: true,
    id: "self-video",
  });
  private readonly selfState = h("span", { class: "self__state" });
  private readonly banners: Record<
    "lost" | "node" | "phone" | "sharing" | "sound" | "weak" | "unseen" | "names",
    HTMLElement
  >;
  private readonly empty = h("p", { class: "stage__empty", id: "stage-empty" });
  private readonly panel: HTMLElement;
  private readonly panelTitle = h("h2", { class: "panel__title", tabindex: -1, id: "panel-title" });
  private readonly panelParts: Partial<Record<PanelName, HTMLElement>>;
  private openPanel: PanelName | null = null;
  private panelOpener: Element | null = null;
  readonly arrivals = h("span", { class: "top__arrivals", id: "arrivals-count", hidden: true });

  constructor(
    private readonly context: Context,
    private readonly devices: Devices,
    acts: ViewActs,
    private readonly skewMs: () => number,
  ) {
    const { config } = context;
    this.tiles = new Tiles(() => this.soundBlocked());
    this.chat = new Chat(context, () => this.renderControls());
    this.recording = new Recording(context, skewMs);
    this.note = config.note ? new Note(config.note, config.participation) : null;
    this.people = new People(context, this.note);
    this.settings = new Settings(context, devices);
    this.ending = new Ending(context, () => acts.left());
    this.ended = new Ended(context, skewMs, this.note);
    this.urgent = new Urgent(context);
    this.controls = new Controls(
      {
        ...acts,
        panel: (name) => this.togglePanel(name),
        record: () => this.recording.openAsk(),
        phone: () => this.urgent.openPhone(),
        leave: () => this.ending.openLeave(),
        end: () => this.ending.openEnd(),
      },
      this.note !== null,
      () => may(context.room() as Snapshot, "end_visit"),
    );
    this.emergency = h(
      "button",
      {
        type: "button",
        class: "emergency",
        id: "emergency",
        hidden: true,
        on: { click: () => void this.urgent.pressEmergency() },
      },
      icon("emergency"),
      h("span", {}, t("Emergency")),
    );
    this.selfVideo.muted = true;
    this.self = h("div", { class: "self", id: "self", "data-state": "no-picture" }, this.selfVideo, this.selfState);
    this.banners = {
      lost: banner(
        "lost",
        t("Connection to the clinic lost. Trying again; what you see and hear goes on as long as it can."),
      ),
      node: banner("node", ""),
      phone: banner("phone", ""),
      sharing: banner("sharing", t("You are sharing your screen."), { label: t("Stop sharing"), run: acts.share }),
      weak: banner(
        "weak",
        t(
          "Your connection is weak. Pictures are paused so that you can go on hearing each other. They come back by themselves.",
        ),
      ),
      unseen: banner("unseen", ""),
      names: banner("names", t("You share your screen in another visit: names and notes are hidden here meanwhile.")),
      sound: banner("sound", t("Your browser keeps the sound off until you allow it."), {
        label: t("Turn on the sound"),
        run: () => this.allowSound(),
      }),
    };
    this.panelParts = {
      ...(this.note ? { note: this.note.root } : {}),
      chat: this.chat.root,
      people: this.people.root,
      settings: this.settings.root,
    };
    this.panel = this.makePanel();
    this.root = this.layOut();
    if (this.note && matchMedia("(min-width: 62em)").matches) this.showPanel("note", false);
  }

  render(room: Snapshot): void {
    this.root.dataset.state = room.mode;
    this.keepNote();
    this.renderTitle(room);
    this.tiles.render(room);
    this.people.render(room);
    this.recording.render(room);
    this.chat.render(room);
    this.renderBanners(room);
    const others = room.people.filter(
      (each) => each.state === "admitted" && each.participant_id !== room.you.participant_id,
    );
    this.empty.hidden = others.length > 0 || room.waiting.length > 0;
    setText(this.empty, this.emptyWords(room));
    this.emergency.hidden = !may(room, "emergency");
    this.self.dataset.participant = room.you.participant_id;
    this.renderControls();
    this.tick();
  }

  /** Back from the page after the end, when that was undone. */
  private keepNote(): void {
    const body = this.panel.querySelector(".panel__body");
    if (!this.note || body?.contains(this.note.root)) return;
    body?.prepend(this.note.root);
    this.note.setSignable(false);
    this.note.root.hidden = this.openPanel !== "note";
  }

  /** After anything about the own devices changed. */
  renderDevices(): void {
    const { camera } = this.devices.tracks;
    const stream = this.selfVideo.srcObject as MediaStream | null;
    if (camera && stream?.getVideoTracks()[0] !== camera) this.selfVideo.srcObject = new MediaStream([camera]);
    if (!camera && stream) this.selfVideo.srcObject = null;
    this.self.dataset.state = camera ? "picture" : "no-picture";
    setText(
      this.selfState,
      [t("You"), this.devices.microphone === "on" ? "" : t("not heard"), camera ? "" : t("not seen")]
        .filter(Boolean)
        .join(" – "),
    );
    this.banners.sharing.hidden = this.devices.tracks.screen === null;
    if (this.openPanel === "settings") void this.settings.refresh();
    this.renderControls();
  }

  renderWay(way: Way, connected: boolean): void {
    this.way.dataset.way = way;
    this.way.dataset.connected = String(connected);
    const alone = this.root.querySelector(".stage")?.getAttribute("data-count") === "0";
    setText(
      this.way,
      alone
        ? ""
        : !connected
          ? t("connecting …")
          : way === "direct"
            ? t("straight between you")
            : t("through the clinic's server"),
    );
  }

  renderConnected(connected: boolean): void {
    this.banners.lost.hidden = connected;
  }

  renderNames(hidden: boolean): void {
    this.banners.names.hidden = !hidden;
  }

  tick(): void {
    const room = this.context.room();
    const since = room?.started_at;
    setText(this.clock, since ? duration((Date.now() + this.skewMs() - Date.parse(since)) / 1000) : "");
    this.recording.tick();
    this.ended.tick();
  }

  focus(): void {
    this.title.focus({ preventScroll: true });
  }

  private renderTitle(room: Snapshot): void {
    const others = room.people.filter(
      (each) => each.state === "admitted" && each.participant_id !== room.you.participant_id,
    );
    const names = others.map((each) => each.name);
    if (names.length === 0) setText(this.title, t("Your visit"));
    else setNodes(this.title, tn("With {names}", { names }));
  }

  private renderBanners(room: Snapshot): void {
    const stands = room.mode === "relay" && !room.relay_up;
    this.banners.node.hidden = !room.node_down && !stands;
    setText(this.banners.node.firstElementChild as Element, nodeWords(stands, may(room, "carry_on_by_phone")));
    this.renderHearing(room);
    this.banners.phone.hidden = !room.by_phone;
    const words = this.banners.phone.firstElementChild as Element;
    if (room.by_phone && may(room, "carry_on_by_phone"))
      setText(words, t("You carry on by phone. Note and clock stay open."));
    else if (room.by_phone)
      setNodes(
        words,
        tn("{doctor} is ringing you on the phone. You can stay on this page.", { doctor: room.doctor_name }),
      );
  }

  /** Who gets sound without pictures for now: you, or others, who can't see what you show. */
  private renderHearing(room: Snapshot): void {
    const hearing = room.people.filter((each) => each.state === "admitted" && each.hears_only && !each.away);
    const mine = (each: PersonView) => each.participant_id === room.you.participant_id;
    const others = hearing.filter((each) => !mine(each)).map((each) => each.name);
    this.banners.weak.hidden = !hearing.some(mine);
    this.banners.unseen.hidden = others.length === 0;
    if (others.length === 0) return;
    setNodes(
      this.banners.unseen.firstElementChild as Element,
      tn("A weak connection: {names} can hear you but not see you just now.", { names: others }),
    );
  }

  private emptyWords(room: Snapshot): string {
    if (may(room, "admit")) return t("Nobody else is in the visit. Whoever comes to the door is shown here.");
    return t("You are in. The others are on their way.");
  }

  private renderControls(): void {
    const room = this.context.room();
    if (room)
      this.controls.render(room, { devices: this.devices, openPanel: this.openPanel, unread: this.chat.unread });
  }

  private togglePanel(name: PanelName): void {
    if (this.openPanel === name) this.hidePanel();
    else this.showPanel(name, true);
  }

  private showPanel(name: PanelName, focus: boolean): void {
    if (this.openPanel === null) this.panelOpener = document.activeElement;
    this.openPanel = name;
    for (const [key, part] of Object.entries(this.panelParts)) part.hidden = key !== name;
    const titles = { note: t("Note"), chat: t("Chat"), people: t("People"), settings: t("Devices") };
    setText(this.panelTitle, titles[name]);
    this.panel.hidden = false;
    this.root.dataset.panel = name;
    this.chat.setOpen(name === "chat");
    this.settings.setOpen(name === "settings");
    this.renderControls();
    if (focus) this.panelTitle.focus();
  }

  private hidePanel(): void {
    const had = this.panel.contains(document.activeElement);
    this.openPanel = null;
    this.panel.hidden = true;
    this.root.dataset.panel = "none";
    this.chat.setOpen(false);
    this.settings.setOpen(false);
    this.renderControls();
    if (had && this.panelOpener instanceof HTMLElement && this.panelOpener.isConnected) this.panelOpener.focus();
  }

  private soundBlocked(): void {
    this.banners.sound.hidden = false;
  }

  private allowSound(): void {
    this.banners.sound.hidden = true;
    this.tiles.playAll();
  }

  private makePanel(): HTMLElement {
    const close = button(
      t("Close"),
      { class: "plain-button panel__close", id: "close-panel", on: { click: () => this.hidePanel() } },
      "plain",
    );
    const panel = h(
      "aside",
      { class: "panel", id: "panel", "aria-labelledby": "panel-title", hidden: true },
      h("div", { class: "panel__head" }, this.panelTitle, close),
      h("div", { class: "panel__body" }, Object.values(this.panelParts)),
    );
    panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.hidePanel();
    });
    return panel;
  }

  private layOut(): HTMLElement {
    const dialogs = [
      this.recording.question,
      this.recording.ask,
      this.recording.withdrawn.dialog,
      this.people.confirm,
      this.urgent.emergency,
      this.urgent.phone,
      this.ending.end,
      this.ending.leave,
    ];
    return makeFrame({
      role: this.context.config.role,
      title: this.title,
      facts: [this.clock, this.way, this.arrivals],
      emergency: this.emergency,
      recording: this.recording.banner,
      notices: [...Object.values(this.banners), this.context.announcer.notices],
      pictures: [this.tiles.root, this.empty, this.people.lobby, this.self],
      dialogs: dialogs.map((dialog) => dialog.root),
      panel: this.panel,
      controls: this.controls.root,
    });
  }
}

/** What a media server that is gone means for whoever reads it: in relay everything stands still, in direct nothing. */
function nodeWords(stands: boolean, isDoctor: boolean): string {
  if (!stands)
    return t(
      "The clinic's media server can't be reached. The straight connection goes on; recording and guests are not possible just now.",
    );
  if (isDoctor)
    return t(
      "The clinic's media server can't be reached: pictures and sound stand still. They come back by themselves; you can carry on by phone meanwhile.",
    );
  return t("Pictures and sound stand still for the moment. They come back by themselves; please stay on this page.");
}

function banner(kind: string, words: string, act?: { label: string; run(): void }): HTMLElement {
  return h(
    "div",
    { class: "banner", "data-kind": kind, id: `banner-${kind}`, role: "status", hidden: true },
    h("p", {}, words),
    act && button(act.label, { on: { click: () => act.run() } }, "secondary"),
  );
}
