// The pictures: a tile for each person and one for a shared screen. Each holds a place for either way of media, of which
// the one in front is seen and heard. Knows tracks, not where they come from.
import type { Tracks } from "./devices";
import { h, icon, keyed, setText } from "./dom";
import type { PersonView, Snapshot } from "./protocol.gen";
import { roleWords } from "./roles";
import type { Stage, Way } from "./switch";
import { t } from "./words";

const WAYS: readonly Way[] = ["direct", "relay"];

/** One element that plays what one way brings; behind the other one until it is in front. */
class Place {
  readonly video = h("video", { class: "tile__video", playsinline: true, autoplay: true });
  private readonly stream = new MediaStream();

  constructor(way: Way, kind: string) {
    this.video.dataset.way = way;
    this.video.dataset.kind = kind;
    this.video.muted = true;
    this.video.disablePictureInPicture = true;
    this.video.srcObject = this.stream;
  }

  set(tracks: (MediaStreamTrack | null)[]): void {
    const wanted = tracks.filter((track) => track !== null);
    for (const track of this.stream.getTracks()) if (!wanted.includes(track)) this.stream.removeTrack(track);
    for (const track of wanted) if (!this.stream.getTracks().includes(track)) this.stream.addTrack(track);
  }

  play(heard: boolean, blocked: () => void): void {
    this.video.muted = !heard;
    if (this.stream.getTracks().length === 0) return;
    this.video.play().catch((error: { name?: string }) => {
      if (error.name !== "NotAllowedError") return;
      blocked();
    });
  }

  /** At the first frame that is really shown; a page in the background shows none, so decoding counts there. */
  firstFrame(): Promise<void> {
    const { video } = this;
    void video.play().catch(() => undefined);
    return new Promise((resolve) => {
      const poll = setInterval(() => {
        if (document.hidden && video.readyState >= 2 && video.videoWidth > 0) done();
      }, 200);
      const done = () => {
        clearInterval(poll);
        resolve();
      };
      if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(done);
      else (video as HTMLVideoElement).addEventListener("timeupdate", done, { once: true });
    });
  }
}

export class Tile {
  readonly root: HTMLElement;
  private readonly places: Record<Way, Place>;
  private readonly name = h("bdi", { class: "tile__name bs-name" });
  private readonly role = h("span", { class: "tile__role" });
  private readonly initials = h("span", { class: "tile__initials", "aria-hidden": "true" });
  private readonly state = h("span", { class: "tile__state" });
  private readonly mute = h(
    "span",
    { class: "tile__muted", hidden: true },
    icon("microphone_off"),
    h("span", {}, t("Muted")),
  );
  way: Way | null = null;

  constructor(
    readonly person: string,
    private readonly kind: "person" | "screen",
  ) {
    this.places = { direct: new Place("direct", kind), relay: new Place("relay", kind) };
    this.root = h(
      "figure",
      { class: `tile tile--${kind}`, "data-participant": person, "data-kind": kind },
      WAYS.map((way) => this.places[way].video),
      h("div", { class: "tile__empty" }, this.initials, this.state),
      h("figcaption", { class: "tile__caption" }, this.name, " ", this.role, this.mute),
    );
  }

  put(way: Way, tracks: Tracks | null, blocked: () => void): void {
    const mine =
      this.kind === "screen" ? [tracks?.screen ?? null] : [tracks?.microphone ?? null, tracks?.camera ?? null];
    this.places[way].set(tracks ? mine : []);
    this.places[way].play(this.way === way && this.kind === "person", blocked);
  }

  front(way: Way, blocked: () => void): void {
    this.way = way;
    this.root.dataset.way = way;
    for (const each of WAYS) this.places[each].play(each === way && this.kind === "person", blocked);
  }

  firstFrame(way: Way): Promise<void> {
    return this.places[way].firstFrame();
  }

  refresh(view: PersonView): void {
    setText(this.name, this.kind === "screen" ? t("Screen of {name}", { name: view.name }) : view.name);
    setText(this.role, this.kind === "screen" ? "" : roleWords(view.role));
    setText(this.initials, initialsOf(view.name));
    setText(this.state, stateWords(view));
    const shown = this.kind === "screen" ? view.screen : view.camera === "on" && !view.away;
    const seen = shown && !view.picture_held;
    this.root.dataset.state = view.away ? "away" : seen ? "picture" : "no-picture";
    this.mute.hidden = this.kind === "screen" || view.microphone === "on";
    setText(this.mute.lastElementChild as Element, muteWords(view));
  }
}

function initialsOf(name: string): string {
  const words = name.trim().split(/\s+/);
  const first = (word: string | undefined) => Array.from(word ?? "")[0] ?? "";
  return (first(words[0]) + (words.length > 1 ? first(words.at(-1)) : "")).toUpperCase();
}

function stateWords(view: PersonView): string {
  if (view.away) return t("Connection lost – coming back");
  if (view.picture_held) return t("Picture paused: your connection is weak");
  if (view.camera === "off") return t("Camera is off");
  return t("No camera");
}

function muteWords(view: PersonView): string {
  return view.microphone === "muted" ? t("Muted") : t("No microphone");
}

export class Tiles implements Stage {
  private readonly shared = h("div", { class: "stage__screens" });
  private readonly faces = h("div", { class: "stage__people" });
  readonly root = h("div", { class: "stage", id: "stage" }, this.shared, this.faces);
  private readonly people = new Map<string, Tile>();
  private readonly screens = new Map<string, Tile>();

  /** `blocked` is told when the browser wants a tap before it plays sound. */
  constructor(private readonly blocked: () => void) {}

  put(person: string, way: Way, tracks: Tracks | null): void {
    for (const tile of this.both(person)) tile.put(way, tracks, this.blocked);
  }

  pictureRuns(person: string, way: Way): Promise<void> {
    return this.tile(this.people, person, "person").firstFrame(way);
  }

  front(person: string, way: Way): void {
    for (const tile of this.both(person)) tile.front(way, this.blocked);
  }

  /** After the tap that the browser wanted. */
  playAll(): void {
    for (const tile of [...this.people.values(), ...this.screens.values()])
      if (tile.way) tile.front(tile.way, this.blocked);
  }

  render(room: Snapshot): void {
    const others = room.people.filter(
      (each) => each.participant_id !== room.you.participant_id && each.state === "admitted",
    );
    const sharing = others.filter((each) => each.screen);
    this.show(this.shared, this.screens, "screen", sharing);
    this.show(this.faces, this.people, "person", others);
    for (const known of [...this.people.keys()])
      if (!others.some((each) => each.participant_id === known)) this.forget(known);
    this.root.dataset.count = String(others.length);
    this.root.dataset.screen = sharing.length ? "yes" : "no";
  }

  private show(where: HTMLElement, map: Map<string, Tile>, kind: "person" | "screen", views: PersonView[]): void {
    const shown = views.map((view) => ({ view, tile: this.tile(map, view.participant_id, kind) }));
    keyed(
      where,
      shown,
      ({ view }) => view.participant_id,
      ({ tile }) => tile.root,
    );
    for (const { tile, view } of shown) tile.refresh(view);
  }

  private both(person: string): Tile[] {
    return [this.tile(this.people, person, "person"), this.tile(this.screens, person, "screen")];
  }

  private tile(map: Map<string, Tile>, person: string, kind: "person" | "screen"): Tile {
    let tile = map.get(person);
    if (!tile) {
      tile = new Tile(person, kind);
      map.set(person, tile);
    }
    return tile;
  }

  private forget(person: string): void {
    for (const tile of this.both(person)) for (const way of WAYS) tile.put(way, null, this.blocked);
    this.people.delete(person);
    this.screens.delete(person);
  }
}
