// Builds elements and icons; the only way our code makes markup. Text always goes in as text.

type Child = Node | string | null | undefined | false;
type Value = string | number | boolean | null | undefined;
export interface Attributes {
  on?: Partial<{ [K in keyof HTMLElementEventMap]: (event: HTMLElementEventMap[K]) => void }>;
  [name: string]: Value | Attributes["on"];
}

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Child | Child[])[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [type, act] of Object.entries(value as object)) element.addEventListener(type, act);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.flat().filter((child): child is Node | string => Boolean(child) || child === ""));
  return element;
}

/** Replaces the text only when it differs, so that live regions and screen readers aren't disturbed. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function setNodes(element: Element, nodes: (Node | string)[]): void {
  const text = nodes.map((node) => (typeof node === "string" ? node : node.textContent)).join("");
  if (element.textContent !== text || element.childNodes.length !== nodes.length) element.replaceChildren(...nodes);
}

/** Keeps one element for each key, in order, made once and refreshed each time. */
export function keyed<T>(
  parent: Element,
  items: readonly T[],
  key: (item: T) => string,
  make: (item: T) => HTMLElement,
  refresh: (element: HTMLElement, item: T) => void = () => undefined,
): void {
  const old = new Map(Array.from(parent.children, (child) => [(child as HTMLElement).dataset.key ?? "", child]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    const element = (old.get(name) as HTMLElement | undefined) ?? make(item);
    element.dataset.key = name;
    old.delete(name);
    refresh(element, item);
    if (element === at) at = at.nextElementSibling;
    else parent.insertBefore(element, at);
  }
  for (const gone of old.values()) gone.remove();
}

/** Drawn on a 24 × 24 field with round strokes. */
const ICONS = {
  microphone: "M12 3.5a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0v-5a3 3 0 0 0-3-3zM5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21M8.5 21h7",
  microphone_off:
    "M9 9v2.5a3 3 0 0 0 5 2.2M15 11V6.5a3 3 0 0 0-5.8-1M5.5 11a6.5 6.5 0 0 0 10.6 5M18.3 12.8q.2-.9.2-1.8M12 17.5V21M8.5 21h7M3.5 3.5l17 17",
  camera: "M4.5 6.5h9a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2h-9a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2zM15.5 10.5l6-3.5v10l-6-3.5",
  camera_off:
    "M9 6.5h4.5a2 2 0 0 1 2 2V13M15.5 16.8a2 2 0 0 1-2 .7h-9a2 2 0 0 1-2-2v-7a2 2 0 0 1 1.5-1.9M15.5 10.5l6-3.5v10l-3-1.7M3.5 3.5l17 17",
  screen:
    "M3.5 4.5h17a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1h-17a1 1 0 0 1-1-1v-10a1 1 0 0 1 1-1zM8 20.5h8M12 16.5v4M12 13.5v-6M9 10l3-3 3 3",
  chat: "M4.5 4.5h15a1.5 1.5 0 0 1 1.5 1.5v9a1.5 1.5 0 0 1-1.5 1.5H11L6.5 20.5v-4h-2A1.5 1.5 0 0 1 3 15V6a1.5 1.5 0 0 1 1.5-1.5zM7.5 9h9M7.5 12.5h5",
  people:
    "M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 19.5a6.5 6.5 0 0 1 13 0M16 5a3.2 3.2 0 0 1 0 6.2M18 13.8a6.3 6.3 0 0 1 3.5 5.7",
  note: "M6 3.5h9l4 4V19a1.5 1.5 0 0 1-1.5 1.5h-11.5A1.5 1.5 0 0 1 4.5 19V5A1.5 1.5 0 0 1 6 3.5zM14.5 3.5V8H19M8 12h8M8 15.5h8",
  record: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  phone:
    "M6.5 3.5h3l1.5 4.5-2.2 1.6a11 11 0 0 0 5.6 5.6L16 13l4.5 1.5v3a2.5 2.5 0 0 1-2.8 2.5A15.5 15.5 0 0 1 4 6.3 2.5 2.5 0 0 1 6.5 3.5z",
  emergency: "M12 3.5 22 20.5H2zM12 10v4.5M12 17.3v.2",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.8v4.4M9 14.8v4.4",
  leave:
    "M3 14.5c-.5-3 4-5.5 9-5.5s9.5 2.5 9 5.5l-.3 1.7-4.7-.9-.3-3A14 14 0 0 0 12 12c-1.3 0-2.6.1-3.7.4l-.3 2.9-4.7.9z",
  close: "M5.5 5.5l13 13M18.5 5.5l-13 13",
  bell: "M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 2h-15zM10 21h4M12 5V3",
  more: "M5 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2zM12 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2zM19 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2z",
  send: "M4 12 20.5 4.5 15 20l-3.5-6.5zM11.5 13.5l9-9",
  check: "M5 12.5l4.5 4.5L19 7.5",
  sound: "M4 9.5h3.5L12 5.5v13l-4.5-4H4zM15.5 9a4.5 4.5 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11",
} as const;
export type IconName = keyof typeof ICONS;

export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of Object.entries({
    viewBox: "0 0 24 24",
    class: "icon",
    "aria-hidden": "true",
    focusable: "false",
  }))
    svg.setAttribute(key, value);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Puts another icon into a control made with one. */
export function setIcon(parent: Element, name: IconName): void {
  if ((parent as HTMLElement).dataset.icon === name) return;
  (parent as HTMLElement).dataset.icon = name;
  parent.querySelector("svg.icon")?.replaceWith(icon(name));
}

export function button(
  label: string,
  attributes: Attributes = {},
  kind: "" | "secondary" | "warning" | "plain" = "",
): HTMLButtonElement {
  const classes = kind === "plain" ? "plain-button" : `nhsuk-button${kind ? ` nhsuk-button--${kind}` : ""}`;
  return h("button", { type: "button", class: classes, ...attributes }, label);
}
