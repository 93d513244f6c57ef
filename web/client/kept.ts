// Words that the server has not acknowledged yet, kept in this browser: sealed with a key that only their writer's own
// pages are given, so that whoever signs in here next reads none of them. Leaves sending them to note.ts.

export interface Words {
  text: string;
  revision: number;
}

export class Kept {
  private readonly key: Promise<CryptoKey | null>;
  private newest = 0;

  constructor(
    private readonly name: string,
    key: string,
  ) {
    this.key = imported(key);
  }

  /** What an earlier page could not send; null for nothing, and for what this page has no key to. */
  async load(): Promise<Words | null> {
    try {
      const stored = JSON.parse(localStorage.getItem(this.name) ?? "null") as { iv: string; sealed: string } | null;
      const key = await this.key;
      if (!stored || !key) return null;
      const opened = await crypto.subtle.decrypt({ name: "AES-GCM", iv: bytes(stored.iv) }, key, bytes(stored.sealed));
      return JSON.parse(new TextDecoder().decode(opened)) as Words;
    } catch {
      return null;
    }
  }

  keep(words: Words): void {
    this.newest += 1;
    void this.store(words, this.newest);
  }

  forget(): void {
    this.newest += 1;
    try {
      localStorage.removeItem(this.name);
    } catch {
      return;
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
    } catch {
      // A full or forbidden storage leaves the text in the box, where it still is.
    }
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
