// What stands beside Sign: who reads the note once it is signed, its plain words, and keeping it back with a reason.
// Leaves signing itself to note.ts and judging to the server.
import { h } from "./dom";
import { apart, type Kept } from "./kept";
import type { ReleaseConfig } from "./wire";
import { t } from "./words";

export function releaseFields(config: ReleaseConfig): HTMLElement {
  const proxies = config.proxies.map((one) =>
    one.reads ? t("{name} reads it too.", { name: one.name }) : t("{name} does not.", { name: one.name }),
  );
  return h(
    "div",
    { class: "note__release" },
    h("label", { class: "nhsuk-label", for: "summary" }, t("In plain words for the patient, signed with the note")),
    h(
      "textarea",
      { class: "nhsuk-textarea", id: "summary", name: "summary", rows: 3, dir: "auto", maxlength: 5000 },
      config.typed.summary ?? "",
    ),
    h(
      "p",
      { class: "note__readers bs-name", id: "note-readers" },
      [t("{name} reads this as soon as you sign.", { name: config.patient }), ...proxies].join(" "),
    ),
    h(
      "details",
      { class: "nhsuk-details", open: (config.typed.readers ?? "everybody") !== "everybody" },
      h(
        "summary",
        { class: "nhsuk-details__summary" },
        h("span", { class: "nhsuk-details__summary-text" }, t("Somebody should not read it yet")),
      ),
      h("div", { class: "nhsuk-details__text" }, choice(config), reason(config), reviewOn(config)),
    ),
  );
}

/** The plain words stay in this browser as they are typed, until a signature holds them. */
export async function keepSummary(form: HTMLFormElement, kept: Kept): Promise<void> {
  const field = form.querySelector<HTMLTextAreaElement>("textarea[name=summary]");
  if (!field) return;
  const keep = () => (field.value ? kept.keep({ text: field.value, revision: 0 }) : kept.forget());
  field.addEventListener("input", keep);
  const found = await kept.load();
  kept.take(found);
  field.value = apart([...found.map((one) => one.text), field.value]).join("\n\n");
  keep();
}

function choice(config: ReleaseConfig): HTMLElement {
  const readers = [
    ["everybody", t("The patient and who acts for them")],
    ["patient_only", t("The patient, and nobody who acts for them")],
    ["nobody", t("Nobody yet")],
  ];
  return h(
    "fieldset",
    { class: "nhsuk-fieldset nhsuk-form-group" },
    h("legend", { class: "nhsuk-fieldset__legend nhsuk-fieldset__legend--s" }, t("Who reads it now?")),
    h(
      "div",
      { class: "nhsuk-radios" },
      ...readers.map(([value, words]) =>
        h(
          "div",
          { class: "nhsuk-radios__item" },
          h("input", {
            class: "nhsuk-radios__input",
            type: "radio",
            name: "readers",
            id: `readers-${value}`,
            value,
            checked: value === (config.typed.readers ?? "everybody"),
          }),
          h("label", { class: "nhsuk-label nhsuk-radios__label", for: `readers-${value}` }, words),
        ),
      ),
    ),
  );
}

function reason(config: ReleaseConfig): HTMLElement {
  return h(
    "div",
    { class: "nhsuk-form-group" },
    h("label", { class: "nhsuk-label", for: "reason" }, t("Why?")),
    h(
      "select",
      { class: "nhsuk-select", id: "reason", name: "reason" },
      h("option", { value: "" }, t("Choose")),
      ...config.reasons.map(([value, words]) => h("option", { value, selected: value === config.typed.reason }, words)),
    ),
  );
}

function reviewOn(config: ReleaseConfig): HTMLElement {
  return h(
    "div",
    { class: "nhsuk-form-group" },
    h("label", { class: "nhsuk-label", for: "review_on" }, t("Look at it again on")),
    h("input", {
      class: "nhsuk-input nhsuk-input--width-10",
      type: "date",
      id: "review_on",
      name: "review_on",
      value: config.typed.review_on ?? config.review_on,
    }),
  );
}
