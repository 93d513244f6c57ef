// Words that the server has not acknowledged yet, kept in this browser: sealed with a key that only their writer's own
// pages are given, so that whoever signs in here next reads none of them. Each page keeps a copy of its own, and takes
// over those whose pages are gone: two windows never write or forget each other's words.
// Leaves sending them to note.ts.

/** So long a page that is just being left may take to go. */
const GONE_MS = 2000;

export interface Words {
  text: string;
  revision: number;
}

export interface Found extends Words {
  name: string;
}

export class Kept {
  private readonly key: Promise<CryptoKey | null>;
  private readonly name: string;
  private taken: string[] = [];
  private newest = 0;

  constructor(
    private readonly place: string,
    key: string,
  ) {
    this.key = imported(key);
    this.name = `${place}:${letters(crypto.getRandomValues(new Uint8Array(9)))}`;
    hold(this.name);
  }

  /** What pages that are gone could not send; nothing of what this page has no key to, or a living one still writes. */
  async load(): Promise<Found[]> {
    const found = await Promise.all(this.others().map((name) => this.open(name)));
    return found.filter((one) => one !== null);
  }

  /** From the next words on these are this page's own to keep and to forget. */
  take(found: Found[]): void {
    this.taken.push(...found.map((one) => one.name));
  }

  keep(words: Words): void {
    this.newest += 1;
    void this.store(words, this.newest);
  }

  forget(): void {
    this.newest += 1;
    this.drop(this.name);
    this.dropTaken();
  }

  private others(): string[] {
    try {
      return Object.keys(localStorage).filter(
        (name) => name === this.place || (name.startsWith(`${this.place}:`) && name !== this.name),
      );
    } catch {
      return [];
    }
  }

  private async open(name: string): Promise<Found | null> {
    if (!(await isLeft(name))) return null;
    try {
      const stored = JSON.parse(localStorage.getItem(name) ?? "null") as { iv: string; sealed: string } | null;
      const key = await this.key;
      if (!stored || !key) return null;
      const opened = await crypto.subtle.decrypt({ name: "AES-GCM", iv: bytes(stored.iv) }, key, bytes(stored.sealed));
      return { ...(JSON.parse(new TextDecoder().decode(opened)) as Words), name };
    } catch {
      return null;
    }
  }

  private async store(words: Words, n: number): Promise<void> {
    try {
      const key = await this.key;
      if (!key) return;
      const iv = crypto.getRandomValues(new Uint8Array(12));
      const plain = new TextEncoder().encode(JSON.stringify(words));
      const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, plain));
      // Newer words, or their acknowledgement, came meanwhile.
      if (n !== this.newest) return;
      localStorage.setItem(this.name, JSON.stringify({ iv: letters(iv), sealed: letters(sealed) }));
      this.dropTaken();
    } catch {
      // A full or forbidden storage leaves the text in the box, where it still is.
    }
  }

  private dropTaken(): void {
    for (const name of this.taken.splice(0)) this.drop(name);
  }

  private drop(name: string): void {
    try {
      localStorage.removeItem(name);
    } catch {
      return;
    }
  }
}

/** Each text that no other one holds already, in their order. */
export function apart(texts: string[]): string[] {
  return texts.filter(
    (text, n) =>
      text.trim() !== "" && !texts.some((other, m) => m !== n && other.includes(text) && (other !== text || m < n)),
  );
}

/** Held as long as this page lives: the browser lets it go with the page, also with one that crashed. */
function hold(name: string): void {
  if ("locks" in navigator) navigator.locks.request(name, () => new Promise<void>(() => undefined)).catch(() => null);
}

async function isLeft(name: string): Promise<boolean> {
  if (!("locks" in navigator)) return true;
  try {
    return await navigator.locks.request(name, { signal: AbortSignal.timeout(GONE_MS) }, () => true);
  } catch {
    return false;
  }
}

async function imported(key: string): Promise<CryptoKey | null> {
  try {
    return await crypto.subtle.importKey("raw", bytes(key), "AES-GCM", false, ["encrypt", "decrypt"]);
  } catch {
    return null;
  }
}

function bytes(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function letters(raw: Uint8Array): string {
  return btoa(Array.from(raw, (byte) => String.fromCharCode(byte)).join(""));
}
