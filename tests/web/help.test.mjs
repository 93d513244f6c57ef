// The words for a camera or microphone that can't be opened, by browser: pure, so read without a page.
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const web = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "web");
const { buildSync } = createRequire(join(web, "package.json"))("esbuild");
const { outputFiles } = buildSync({ entryPoints: [join(web, "client", "help.ts")], bundle: true, format: "esm", write: false });
globalThis.document = { documentElement: { lang: "en", dataset: {} }, getElementById: () => null };
const { browserOf, helpFor } = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);

const AGENTS = {
  firefox: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  safari: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
  ios: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/130.0 Mobile/15E148 Safari/604.1",
  android: "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
  chromium: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
};

for (const [name, agent] of Object.entries(AGENTS)) {
  test(`${name} is told its own way to a permission`, () => {
    assert.equal(browserOf(agent), name);
    const others = Object.entries(AGENTS).filter(([other]) => other !== name);
    const steps = helpFor("video", "denied", agent).steps;
    for (const [, other] of others) assert.notDeepEqual(helpFor("video", "denied", other).steps, steps);
  });
}

test("every failure says that one can still go in", () => {
  for (const kind of ["audio", "video"])
    for (const failure of ["denied", "none", "in_use", "insecure"]) {
      const { title, text } = helpFor(kind, failure, AGENTS.chromium);
      assert.match(title, kind === "audio" ? /microphone/ : /camera/);
      assert.match(text, /You can still go in/);
    }
});

test("without both, nobody is told that they will be heard", () => {
  for (const failure of ["denied", "none", "in_use", "insecure"]) {
    const [audio, video] = ["audio", "video"].map((kind) => helpFor(kind, failure, AGENTS.chromium, false).text);
    assert.equal(audio, video);
    assert.match(audio, /not be seen or heard/);
  }
});
