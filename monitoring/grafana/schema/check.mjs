// Holds every dashboard to Grafana's own types (npm @grafana/schema), made into JSON Schema: the dashboard as a whole, and each
// panel's options and field configuration by its kind.
//
// Usage: node check.mjs FOLDER-OF-DASHBOARDS     (infra/monitoring/schema installs what it needs and calls it)

import { createRequire } from "node:module";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { Ajv } from "ajv";
import { createGenerator } from "ts-json-schema-generator";

const TYPES = path.join(path.dirname(createRequire(import.meta.url).resolve("@grafana/schema/package.json")), "dist/types/raw");
const KINDS = { "state-timeline": "statetimeline" };
const DASHBOARD = "dashboard/x/types.gen.d.ts";
const panel = (kind) => `composable/${KINDS[kind] ?? kind}/panelcfg/x/types.gen.d.ts`;

const validators = new Map();
// The check of `type` of `file`; null where the file has no such type.
function validator(file, type) {
  const name = `${file} ${type}`;
  if (!validators.has(name)) {
    let made = null;
    if (readFileSync(path.join(TYPES, file), "utf8").match(new RegExp(`(interface|type) ${type}\\b`))) {
      const generator = createGenerator({ path: path.join(TYPES, file), type, skipTypeCheck: true, additionalProperties: false, tsconfig: path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), "tsconfig.json") });
      made = new Ajv({ strict: false, allErrors: true }).compile(generator.createSchema(type));
    }
    validators.set(name, made);
  }
  return validators.get(name);
}

// What Grafana's Prometheus data source reads of a mark on the time axis; the types know of no data source.
const MARK = new Set(["expr", "step", "tagKeys", "titleFormat", "useValueForTime"]);
const isOfPrometheus = (error) => /^\/annotations\/list\/\d+$/.test(error.instancePath) && MARK.has(error.params.additionalProperty);

function faultsOf(value, file, type, where) {
  const check = validator(file, type);
  if (!check || value === undefined || check(value)) return [];
  const errors = check.errors.filter((error) => !isOfPrometheus(error));
  // A union names all that did not fit; the deepest place is the one at fault.
  const depth = (error) => error.instancePath.split("/").length;
  const deepest = Math.max(...errors.map(depth));
  return errors.filter((error) => depth(error) === deepest).map((error) => `${where}: ${type}${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`);
}

function faults(dashboard, name) {
  const found = faultsOf(dashboard, DASHBOARD, "Dashboard", name);
  for (const each of dashboard.panels.filter((one) => one.type !== "row")) {
    const where = `${name}: ${each.title}`;
    found.push(...faultsOf(each.options, panel(each.type), "Options", where));
    found.push(...faultsOf(each.fieldConfig?.defaults?.custom, panel(each.type), "FieldConfig", where));
  }
  return found;
}

const folder = process.argv[2];
const files = readdirSync(folder).filter((file) => file.endsWith(".json"));
const read = (file) => JSON.parse(readFileSync(path.join(folder, file), "utf8"));
const wrong = files.flatMap((file) => faults(read(file), file));

// What it is for, it finds.
const breaks = [
  (dashboard) => { dashboard.editable = "no"; },
  (dashboard) => { dashboard.panels.find((one) => one.type === "timeseries").options.legend.displayMode = "loud"; },
  (dashboard) => { dashboard.panels.find((one) => one.type === "timeseries").fieldConfig.defaults.custom.lineWidth = "thick"; },
  (dashboard) => { dashboard.panels.find((one) => one.type === "stat").fieldConfig.defaults.thresholds.mode = "often"; },
];
for (const change of breaks) {
  const broken = read(files.find((file) => file.includes("overview")));
  change(broken);
  if (!faults(broken, "broken").length) wrong.push(`this is taken: ${change}`);
}
for (const line of wrong) console.error(line);
console.log(`dashboards=${files.length} schemas=${validators.size} faults=${wrong.length}`);
process.exit(wrong.length || !files.length ? 1 : 0);
