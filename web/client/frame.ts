// Where everything of the visit stands on the page. What it says is room-view.ts's and its parts' affair.
import { h } from "./dom";
import { t } from "./words";

interface Parts {
  role: string;
  title: HTMLElement;
  facts: HTMLElement[];
  emergency: HTMLElement;
  recording: HTMLElement;
  notices: HTMLElement[];
  pictures: HTMLElement[];
  dialogs: HTMLElement[];
  panel: HTMLElement;
  controls: HTMLElement;
}

/** Emergency and Stop recording are in the head: whatever is open or scrolled below it, these two stay. */
export function makeFrame(parts: Parts): HTMLElement {
  return h(
    "div",
    { class: "room", id: "visit", "data-panel": "none", "data-role": parts.role },
    h(
      "div",
      { class: "head" },
      h(
        "header",
        { class: "top" },
        h("div", { class: "top__who" }, parts.title, h("p", { class: "top__facts" }, parts.facts)),
        parts.emergency,
      ),
      parts.recording,
    ),
    h(
      "div",
      { class: "below" },
      h(
        "div",
        { class: "below__parts" },
        h("section", { class: "banners", "aria-label": t("Notices") }, parts.notices),
        h("main", { class: "middle", "aria-label": t("Pictures") }, parts.pictures),
        h("div", { class: "dialogs" }, parts.dialogs),
        parts.panel,
      ),
      parts.controls,
    ),
  );
}
