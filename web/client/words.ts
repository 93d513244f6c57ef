// Visible sentences: one gettext-like function, with names kept apart from the text around them.
// The catalogue, where the page brings one, is a JSON block with the id `words`.

type Parts = Record<string, string | number>;

let catalogue: Record<string, string> | undefined;

function translated(sentence: string): string {
  catalogue ??= JSON.parse(document.getElementById("words")?.textContent || "{}") as Record<string, string>;
  return catalogue[sentence] ?? sentence;
}

/** The sentence in the page's language, with `{name}` parts filled in as plain text. */
export function t(sentence: string, parts: Parts = {}): string {
  return translated(sentence).replace(/\{(\w+)\}/g, (whole, key: string) => String(parts[key] ?? whole));
}

/** The same as nodes: every part stands in a `bdi`, so a right-to-left name doesn't reorder its neighbours. */
export function tn(sentence: string, parts: Parts): Node[] {
  return translated(sentence)
    .split(/(\{\w+\})/)
    .filter(Boolean)
    .map((piece) => {
      const part = piece.startsWith("{") ? parts[piece.slice(1, -1)] : undefined;
      if (part === undefined) return document.createTextNode(piece);
      const bdi = document.createElement("bdi");
      bdi.textContent = String(part);
      return bdi;
    });
}

const clock = new Intl.DateTimeFormat(document.documentElement.lang || undefined, {
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

/** An RFC 3339 time as hours and minutes here. */
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
