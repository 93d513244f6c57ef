// Visible sentences: one gettext-like function, with names kept apart from the text around them.
// The catalogue, where the page brings one, is a JSON block with the id `words`.

type Parts = Record<string, string | number>;

/** A list stands part by part, each name in a `bdi` of its own. */
type NodeParts = Record<string, string | number | readonly string[]>;

let catalogue: Record<string, string | string[]> | undefined;

function entry(sentence: string): string | string[] | undefined {
  catalogue ??= JSON.parse(document.getElementById("words")?.textContent || "{}") as Record<string, string | string[]>;
  return Object.hasOwn(catalogue, sentence) ? catalogue[sentence] : undefined;
}

function translated(sentence: string): string {
  const found = entry(sentence);
  return typeof found === "string" ? found : sentence;
}

function filled(sentence: string, parts: Parts): string {
  return sentence.replace(/\{(\w+)\}/g, (whole, key: string) => String(parts[key] ?? whole));
}

/** The sentence in the page's language, with `{name}` parts filled in as plain text. */
export function t(sentence: string, parts: Parts = {}): string {
  return filled(translated(sentence), parts);
}

const plural = new Intl.PluralRules(document.documentElement.lang || undefined);

/** The sentence for this number of things. A catalogue holds the forms in the order of the language's plural rules. */
export function tp(one: string, many: string, count: number, parts: Parts = {}): string {
  const forms = entry(one);
  const place = ["zero", "one", "two", "few", "many", "other"]
    .filter((each) => plural.resolvedOptions().pluralCategories.some((known) => known === each))
    .indexOf(plural.select(count));
  const said = Array.isArray(forms) ? (forms[place] ?? many) : count === 1 ? one : many;
  return filled(said, { count, ...parts });
}

/** The same as nodes: every part stands in a `bdi`, so a right-to-left name doesn't reorder its neighbours. */
export function tn(sentence: string, parts: NodeParts): Node[] {
  return translated(sentence)
    .split(/(\{\w+\})/)
    .filter(Boolean)
    .flatMap((piece) => {
      const part = piece.startsWith("{") ? parts[piece.slice(1, -1)] : undefined;
      if (part === undefined) return document.createTextNode(piece);
      const names = Array.isArray(part) ? part : [part];
      return names.flatMap((name, place) => (place ? [document.createTextNode(", "), isolated(name)] : isolated(name)));
    });
}

function isolated(words: string | number): HTMLElement {
  const bdi = document.createElement("bdi");
  bdi.textContent = String(words);
  return bdi;
}

const clock = new Intl.DateTimeFormat(document.documentElement.lang || undefined, {
  // Staff read the clinic's time wherever they are, as on its lists; a patient reads the time where they are.
  timeZone: document.documentElement.dataset.zone || undefined,
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

/** An RFC 3339 time as hours and minutes, in the zone of the page. */
export function hourMinute(at: string): string {
  return clock.format(new Date(at));
}

/** Seconds as m:ss or h:mm:ss. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
