// Builds web/dist: hashed scripts, styles and pictures, and manifest.json that names them. Checks nothing; `npm run check` does.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import * as sass from "sass";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");
const manifest = {};

/** Writes `name` as `<stem>.<hash><ext>` and notes it in the manifest; answers the hashed name. */
function publish(name, contents) {
  const ext = extname(name);
  const hash = createHash("sha256").update(contents).digest("hex").slice(0, 12);
  const hashed = `${basename(name, ext)}.${hash}${ext}`;
  writeFileSync(join(dist, hashed), contents);
  manifest[name] = hashed;
  return hashed;
}

async function script(entry) {
  const result = await build({
    entryPoints: [join(here, "client", `${entry}.ts`)],
    bundle: true,
    format: "esm",
    minify: true,
    target: ["chrome107", "firefox104", "safari16"],
    legalComments: "none",
    charset: "utf8",
    write: false,
    logLevel: "warning",
  });
  publish(`${entry}.js`, result.outputFiles[0].contents);
}

/** Pictures that the Sass names by path are published beside it and their addresses replaced. */
function style(entry) {
  const { css } = sass.compile(join(here, "styles", `${entry}.scss`), {
    style: "compressed",
    silenceDeprecations: ["import"],
    quietDeps: true,
  });
  const linked = css.replace(/url\(["']?(?!data:)([^"')]+)["']?\)/g, (_whole, path) => {
    const file = join(here, "styles", path);
    return `url(${publish(basename(file), readFileSync(file))})`;
  });
  if (/Frutiger|https?:\/\/(?!www\.w3\.org)/.test(linked))
    throw new Error(`${entry}.scss brings in a foreign font or address`);
  publish(`${entry}.css`, linked);
}

/** The catalogues as gettext reads them; Babel's `pybabel` lies beside Node in the virtual environment. */
function words() {
  const [from, to] = [join(here, "words"), join(dist, "words")];
  for (const po of readdirSync(from, { recursive: true })) {
    if (extname(po) !== ".po") continue;
    const mo = join(to, po.replace(/po$/, "mo"));
    mkdirSync(dirname(mo), { recursive: true });
    const compile = ["--quiet", "compile", "--input-file", join(from, po), "--output-file", `${mo}.new`];
    execFileSync("pybabel", compile, { stdio: ["ignore", "inherit", "inherit"] });
    renameSync(`${mo}.new`, mo);
  }
}

// A running server may be answering from here: new files come beside the old ones, the manifest changes in one step,
// and what neither it nor the one before names goes.
const named = join(dist, "manifest.json");
mkdirSync(dist, { recursive: true });
const before = existsSync(named) ? Object.values(JSON.parse(readFileSync(named, "utf8"))) : [];
for (const name of readdirSync(join(here, "assets"))) publish(name, readFileSync(join(here, "assets", name)));
for (const name of readdirSync(join(here, "styles"))) if (/^[a-z].*\.scss$/.test(name)) style(basename(name, ".scss"));
for (const entry of ["pages", "clinic", "room", "summary"]) await script(entry);
words();
writeFileSync(`${named}.new`, `${JSON.stringify(manifest, null, 1)}\n`);
renameSync(`${named}.new`, named);
const kept = new Set([...before, ...Object.values(manifest), "manifest.json", "words"]);
for (const name of readdirSync(dist)) if (!kept.has(name)) rmSync(join(dist, name));
