// Drives one Firefox for firefox.py: a JSON command a line in, a JSON answer a line out. It decides nothing.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const web = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "web", "package.json");
const puppeteer = createRequire(web)("puppeteer-core");
const [, , executablePath, scripts] = process.argv;

const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath,
  headless: true,
  acceptInsecureCerts: true,
  extraPrefsFirefox: {
    "media.navigator.streams.fake": true,
    "media.navigator.permission.disabled": true,
    "media.devices.insecure.enabled": true,
    "media.getusermedia.insecure.enabled": true,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.peerconnection.ice.obfuscate_host_addresses": false,
    "app.update.enabled": false,
    "network.captive-portal-service.enabled": false,
    "network.connectivity-service.enabled": false,
  },
});
const page = await browser.newPage();
await page.setViewport({ width: 1280, height: 800 });
const errors = [];
page.on("pageerror", (error) => errors.push(String(error)));
for (const script of JSON.parse(scripts)) await page.evaluateOnNewDocument(script);

const does = {
  open: async ({ url }) => void (await page.goto(url, { waitUntil: "domcontentloaded" })),
  evaluate: async ({ text }) => await page.evaluate(text),
  click: async ({ selector }) => void (await page.locator(selector).setTimeout(10000).click()),
  fill: async ({ selector, value }) => void (await page.locator(selector).setTimeout(10000).fill(value)),
  screenshot: async ({ path }) => void (await page.screenshot({ path })),
  errors: async () => errors,
};

// The browser's pid is that of its process group, by which it can be ended when this program no longer can.
console.log(JSON.stringify({ ready: browser.process().pid }));
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    console.log(JSON.stringify({ value: (await does[command.does](command)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
await browser.close();
