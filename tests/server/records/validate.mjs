// The second judge of an exported bundle: HL7's R4 structures as the package `fhir` holds them. Reads it from stdin.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { Fhir } = createRequire(new URL("../../../web/package.json", import.meta.url))("fhir");
const bundle = JSON.parse(readFileSync(0, "utf8"));
const judged = [bundle, ...bundle.entry.map((entry) => entry.resource)].flatMap(
  (one) => new Fhir().validate(one, { errorOnUnexpected: true }).messages ?? [],
);
// A code of a value set that the package doesn't hold can't be looked up: it says so, and then warns of the code.
const missing = new Set(judged.filter((one) => /^Value set .* could not be found/.test(one.message)).map((one) => one.location));
const isUnknown = (one) => one.severity === "warning" && missing.has(one.location) && /value set/.test(one.message);
console.log(JSON.stringify(judged.filter((one) => one.severity !== "info" && !isUnknown(one))));
