// Which camera and microphone are in use, and another choice, in the visit's side panel.
import type { Context } from "./context";
import type { Devices, Kind } from "./devices";
import { button, h, setText } from "./dom";
import { helpFor } from "./help";
import { LevelMeter } from "./levels";
import { t } from "./words";

const NAMES: Record<Kind, () => string> = { audio: () => t("Microphone"), video: () => t("Camera") };

export class Settings {
  readonly root = h("div", { class: "settings" });
  private readonly selects: Record<Kind, HTMLSelectElement>;
  private readonly problems: Record<Kind, HTMLElement>;
  private readonly meter = h("meter", {
    class: "door__level",
    min: 0,
    max: 1,
    value: 0,
    "aria-label": t("Your microphone's level"),
  });
  private readonly levels = new LevelMeter();
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly context: Context,
    private readonly devices: Devices,
  ) {
    const select = (kind: Kind) =>
      h("select", {
        class: "nhsuk-select",
        id: `choose-${kind}`,
        on: { change: (event) => void this.choose(kind, event) },
      });
    this.selects = { audio: select("audio"), video: select("video") };
    this.problems = { audio: h("div", {}), video: h("div", {}) };
    for (const kind of ["audio", "video"] as const) {
      this.root.append(
        h(
          "div",
          { class: "nhsuk-form-group" },
          h("label", { class: "nhsuk-label", for: `choose-${kind}` }, NAMES[kind]()),
          this.selects[kind],
          kind === "audio" && this.meter,
          this.problems[kind],
        ),
      );
    }
  }

  setOpen(open: boolean): void {
    clearInterval(this.timer);
    this.levels.listen(open ? this.devices.tracks.microphone : null);
    if (!open) return;
    void this.refresh();
    this.timer = setInterval(() => {
      this.meter.value = this.levels.level();
    }, 100);
  }

  async refresh(): Promise<void> {
    for (const kind of ["audio", "video"] as const) {
      const list = await this.devices.list(kind);
      const used = this.devices.inUse(kind);
      const options = list.map((device, index) =>
        h(
          "option",
          { value: device.deviceId, selected: used?.deviceId === device.deviceId || used?.label === device.label },
          device.label || `${NAMES[kind]()} ${index + 1}`,
        ),
      );
      if (!used) options.unshift(h("option", { value: "", selected: true }, t("None in use")));
      const key = options.map((option) => `${option.value}${option.selected}`).join();
      if (this.selects[kind].dataset.key !== key) this.selects[kind].replaceChildren(...options);
      this.selects[kind].dataset.key = key;
      this.showProblem(kind);
    }
  }

  private async choose(kind: Kind, event: Event): Promise<void> {
    const id = (event.currentTarget as HTMLSelectElement).value;
    if (!id) return;
    await this.devices.choose(kind, id);
    const now = this.devices.inUse(kind)?.label;
    if (now) this.context.announcer.say(t("Now in use: {name}", { name: now }));
    await this.refresh();
  }

  private showProblem(kind: Kind): void {
    const failure = this.devices.failures[kind];
    const part = this.problems[kind];
    if (part.dataset.key === String(failure)) return;
    part.dataset.key = String(failure);
    if (!failure) {
      part.replaceChildren();
      return;
    }
    const help = helpFor(kind, failure, navigator.userAgent);
    const title = h("p", { class: "settings__problem" });
    setText(title, help.title);
    part.replaceChildren(
      title,
      h(
        "ol",
        {},
        help.steps.map((step) => h("li", {}, step)),
      ),
      button(t("Try again"), { on: { click: () => void this.devices.retry(kind) } }, "secondary"),
    );
  }
}
