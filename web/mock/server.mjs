/**
 * A stand-in for the server, for working on the pages: the portal API behind several proxies (each in another
 * state), the flow API, the demo's API, and the built pages under the same strict policies the product sends.
 *
 * `npm run build && npm run mock` and open http://127.0.0.1:8090/demo; everything is forgotten at its end.
 */

import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import {
  createComponent,
  createFlow,
  finalize,
  findFlow,
  flowOf,
  reopen,
  saveStep,
  start,
  stateOf,
  summaryOf,
  templateOf,
} from "./flows.mjs";
import { TEMPLATES } from "./templates.mjs";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const TYPES = {
  ".js": "text/javascript",
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".svg": "image/svg+xml",
  ".map": "application/json",
};
const HEX = () => randomBytes(16).toString("hex");
const ago = (minutes) => new Date(Date.now() - minutes * 60_000).toISOString();

const log = (minutes, status, operations = 3, duration = 840, type = "auto") => ({
  id: HEX(),
  imtId: HEX(),
  status,
  type,
  timestamp: ago(minutes),
  duration,
  operations,
  transfer: 2048,
});

function profiles() {
  const made = (id, over) => ({ id, isActive: true, isConnected: true, logs: [], ...over });
  const name = (id, title) => ({ ...templateOf(3), id, name: title });
  return {
    proxy: { templates: [TEMPLATES[0], TEMPLATES[2], TEMPLATES[3], TEMPLATES[1]], scenarios: new Map() },
    states: {
      templates: [
        TEMPLATES[0],
        TEMPLATES[2],
        TEMPLATES[3],
        TEMPLATES[1],
        name(11, "Copy invoices to your accounting"),
        name(12, "Sync stock levels"),
        name(13, "Nightly export"),
      ],
      scenarios: new Map([
        [3, made(31, { logs: [log(4, 1), log(64, 1, 5, 2300), log(130, 2, 4), log(3000, 3, 2), log(3060, 1)] })],
        [4, made(41, { isActive: false, logs: [log(4000, 1)] })],
        [11, made(51, { logs: [log(12, 3, 2), log(72, 1)] })],
        [12, made(61, { isConnected: false })],
        [13, made(71, { logs: [] })],
      ]),
    },
    empty: { templates: [], scenarios: new Map() },
    broken: { fails: 500 },
    signin: { fails: 401 },
    plan: { fails: 403 },
    slow: { hangs: true },
    noinit: { templates: [TEMPLATES[0]], scenarios: new Map(), initFails: true },
    runfails: { templates: [TEMPLATES[2]], scenarios: new Map([[3, made(31, { logs: [] })]]), actsFail: true },
  };
}

let served = profiles();
let executions = [];
resetExecutions();

function resetExecutions() {
  executions = [
    { ...log(52, 1), scenarioId: 101, scenarioName: TEMPLATES[0].name },
    { ...log(190, 3, 2, 5100), scenarioId: 101, scenarioName: TEMPLATES[0].name },
  ];
}

class Refusal extends Error {
  constructor(status, detail, more = {}) {
    super(detail);
    this.status = status;
    this.body = { detail, message: detail, code: `mock-${status}`, requestId: HEX(), ...more };
  }
}

function integrationOf(profile, template) {
  const scenario = profile.scenarios.get(template.id);
  return {
    scenario: {
      ...(scenario ? { id: scenario.id, isActive: scenario.isActive } : {}),
      name: template.name,
      usedPackages: template.apps.map(({ name }) => name),
      scheduling: template.scheduling,
    },
    state: { isConnected: scenario?.isConnected ?? false },
    template: { versionUid: 1, instanceableId: template.id },
  };
}

const byScenario = (profile, id) => {
  const found = [...profile.scenarios].find(([, scenario]) => scenario.id === Number(id));
  if (!found) throw new Refusal(404, "There is no such integration.");
  return found;
};

function runOnce(scenario) {
  const row = { ...log(0, 0, 0, 0, "manual") };
  scenario.logs.unshift(row);
  setTimeout(() => Object.assign(row, { status: 1, operations: 3, duration: 412 }), 900);
  return { executionId: row.id, statusUrl: `/portal/api/bridge/scenarios/${scenario.id}/logs/${row.id}` };
}

async function portal(profile, method, path, body, origin) {
  if (profile.hangs) await new Promise(() => {});
  if (profile.fails) throw new Refusal(profile.fails, "The bridge behind this page did not answer.");
  const parts = path.split("/").filter(Boolean);
  if (parts[0] === "scenarios") {
    if (profile.actsFail) throw new Refusal(503, "The log is not available at the moment.");
    const { logs } = byScenario(profile, parts[1])[1];
    if (!parts[3]) return logs;
    const row = logs.find(({ id }) => id === parts[3]);
    if (!row) throw new Refusal(404, "There is no such execution.");
    return { ...row, ...detailOf(row) };
  }
  if (method === "GET" && parts.length === 1)
    return { integrations: profile.templates.map((one) => integrationOf(profile, one)) };
  if (parts[1] === "init") {
    if (profile.initFails) throw new Refusal(422, "The template has no published version.");
    const flow = createFlow(
      profile.templates.find(({ id }) => id === Number(parts[2])),
      profile,
      body ?? {},
    );
    return { publicUrl: `${origin}/flow/${flow.id}#${flow.secret}`, flow: { id: flow.id } };
  }
  if (parts[1] === "check-init") {
    const flow = findFlow(parts[2]);
    if (!flow) throw new Refusal(404, "There is no such flow.");
    return { flow: summaryOf(flow) };
  }
  const [template, scenario] = byScenario(profile, parts[1]);
  if (profile.actsFail) throw new Refusal(503, "The scenario service did not answer within 5 seconds.");
  if (method === "DELETE") {
    profile.scenarios.delete(template);
    return { message: "removed" };
  }
  if (parts[2] === "run") return runOnce(scenario);
  if (parts[2] === "edit") {
    const flow = reopen(flowOf(profile, templateOf(template) ?? TEMPLATES[2], scenario.id));
    flow.options.redirectUri = body?.redirectUri ?? null;
    return { publicUrl: `${origin}/flow/${flow.id}#${flow.secret}`, flow: { id: flow.id } };
  }
  scenario.isActive = parts[2] === "activate";
  return { integration: { scenarioId: scenario.id } };
}

function flowApi(request, method, parts, body, origin) {
  const flow = findFlow(parts[0]);
  if (!flow || request.headers["flow-secret"] !== flow.secret) throw new Refusal(401, "This link has expired.");
  if (method === "GET") return stateOf(flow);
  if (parts[1] === "start") start(flow);
  if (parts[1] === "finalize") finalize(flow);
  if (parts[1] === "reopen") {
    const next = reopen(flow);
    return { publicUrl: `${origin}/flow/${next.id}#${next.secret}` };
  }
  if (parts[1] === "steps" && parts[3] === "components") {
    const { made, fields } = createComponent(flow, body);
    if (fields) throw new Refusal(422, "Some answers need another look.", { fields });
    return made;
  }
  if (parts[1] === "steps") {
    const fields = saveStep(flow, parts[2], body.values);
    if (fields) throw new Refusal(422, "Some answers need another look.", { fields });
  }
  return stateOf(flow);
}

const ORDER = {
  id: "A-1042",
  total: 184.5,
  currency: "EUR",
  customer: { name: "Mia Novak", email: "mia@novak.example" },
};

function detailOf(row) {
  const failed = row.status === 3;
  return {
    id: row.id,
    status: row.status,
    error: failed ? { name: "ConnectionError", message: "The shop answered 503 three times.", moduleId: 2 } : null,
    steps: [
      {
        moduleId: 1,
        module: "gateway:CustomWebHook",
        name: "New order",
        app: "Webhooks",
        operation: 1,
        input: null,
        outputs: [ORDER],
        error: null,
      },
      {
        moduleId: 2,
        module: "http:ActionSendData",
        name: "Send to the shop",
        app: "HTTP",
        operation: 2,
        input: { url: "https://shop.example/orders", method: "post", body: { title: "Order A-1042", total: 184.5 } },
        outputs: failed ? [] : [{ statusCode: 201, body: { ok: true, number: 77 } }],
        error: failed ? { name: "ConnectionError", message: "The shop answered 503 three times." } : null,
      },
    ],
  };
}

function demoApi(method, parts, url) {
  if (parts[0] === "session") {
    return {
      user: { name: "Dana Miller", email: "dana@acme-crm.example" },
      organization: "Acme CRM",
      zone: url.origin,
    };
  }
  if (parts[0] === "send-order" && method === "POST") {
    const active = [...served.proxy.scenarios.values()].find((one) => one.isActive);
    if (!active && !served.proxy.always) throw new Refusal(409, "No integration is active yet. Connect one first.");
    const row = { ...log(0, 0, 0, 0), scenarioId: active?.id ?? 101, scenarioName: TEMPLATES[0].name };
    executions.unshift(row);
    setTimeout(() => Object.assign(row, { status: 1, operations: 2, duration: 318 }), 1200);
    const sent = { scenarioId: row.scenarioId, scenarioName: row.scenarioName, status: 200, executionId: row.id };
    const answered = { order: "A-1042", total: 184.5, lane: "standard", message: "Thank you, Mia Novak!" };
    return {
      sent: [
        { ...sent, response: answered },
        { ...sent, scenarioId: 102, scenarioName: TEMPLATES[2].name, response: "Accepted" },
      ],
    };
  }
  if (parts[0] === "executions" && parts[1]) {
    const row = executions.find(({ id }) => id === parts[1]);
    if (!row) throw new Refusal(404, "There is no such execution.");
    return detailOf(row);
  }
  if (parts[0] === "executions") return { executions };
  throw new Refusal(404, "There is no such page.");
}

const WIDGET_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const wizardPolicy = (nonce) =>
  `default-src 'none'; script-src 'self' 'nonce-${nonce}'; style-src 'self' 'nonce-${nonce}'; connect-src 'self'; img-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'`;

/** The bare page of an integrator, with the widget's attributes taken from the query. */
function hostPage(query) {
  const attribute = (name, value) => (value === null ? "" : ` ${name}="${value.replace(/[^\w/.:-]/g, "")}"`);
  const names = ["theme", "mode", "lang", "heading-level"].map((name) => attribute(name, query.get(name))).join("");
  const scheme = query.get("theme") === "dark" ? "dark" : "light";
  return `<!doctype html><html lang="en" class="${scheme}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Integrations</title>
<link rel="stylesheet" href="/mock/host.css"><script type="module" src="/portal/static/js/portal-integrations.js"></script></head>
<body><main><h1>Integrations</h1><portal-integrations heading-level="2" urlOrPrefix="/${(query.get("prefix") ?? "proxy").replace(/\W/g, "")}"${names}></portal-integrations></main></body></html>`;
}
const HOST_CSS =
  "body{margin:0;font-family:system-ui,Inter,sans-serif;background:#f7f8fb;color:#1a1d29}main{max-width:1100px;margin:0 auto;padding:24px 16px}h1{font-size:22px}.dark body{background:#12141c;color:#eceef5}.brand portal-integrations{--bridge-color-primary:#ffd400;--bridge-radius:2px}";

async function send(response, status, body, headers = {}) {
  const isText = typeof body === "string" || Buffer.isBuffer(body);
  response.writeHead(status, { "content-type": "application/json", "x-content-type-options": "nosniff", ...headers });
  response.end(isText ? body : JSON.stringify(body));
}

async function file(response, folder, path, headers = {}) {
  const name = normalize(path).replace(/^([./\\])+/, "");
  const content = await readFile(join(DIST, folder, name)).catch(() => null);
  if (!content) throw new Refusal(404, `There is no ${path}.`);
  await send(response, 200, content, {
    "content-type": TYPES[extname(name)] ?? "application/octet-stream",
    ...headers,
  });
}

async function wizardPage(response) {
  const nonce = randomBytes(16).toString("base64");
  const page = (await readFile(join(DIST, "wizard/index.html"), "utf8")).replaceAll("__CSP_NONCE__", nonce);
  await send(response, 200, page, {
    "content-type": TYPES[".html"],
    "content-security-policy": wizardPolicy(nonce),
    "referrer-policy": "no-referrer",
  });
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return text ? JSON.parse(text) : null;
}

async function answer(request, response) {
  const url = new URL(request.url, `http://${request.headers.host}`);
  const path = url.pathname;
  const parts = path.split("/").filter(Boolean);
  const method = request.method;
  if (path === "/mock/reset") {
    served = profiles();
    served.proxy.always = url.searchParams.has("always");
    resetExecutions();
    return send(response, 200, {});
  }
  if (path === "/mock/host.css") return send(response, 200, HOST_CSS, { "content-type": "text/css" });
  if (path === "/mock/host") {
    return send(response, 200, hostPage(url.searchParams), {
      "content-type": TYPES[".html"],
      "content-security-policy": WIDGET_POLICY,
    });
  }
  if (path === "/mock/flow") {
    const options = JSON.parse(url.searchParams.get("body") ?? "{}");
    const flow = createFlow(templateOf(url.searchParams.get("template") ?? 1), served.proxy, options);
    return send(response, 200, { url: `${url.origin}/flow/${flow.id}#${flow.secret}`, id: flow.id });
  }
  if (path.startsWith("/portal/static/js/"))
    return file(response, "js", path.slice(18), { "access-control-allow-origin": "*" });
  if (path.startsWith("/portal/static/wizard/")) return file(response, "wizard", path.slice(22));
  if (path.startsWith("/demo/static/")) return file(response, "demo", path.slice(13));
  if (path === "/demo") return file(response, "demo", "index.html", { "content-security-policy": WIDGET_POLICY });
  if (path.startsWith("/flow/")) return wizardPage(response);
  if (parts[0] === "demo" && parts[1] === "api") return send(response, 200, demoApi(method, parts.slice(2), url));
  const body = await bodyOf(request);
  if (parts[0] === "flow-api") return send(response, 200, flowApi(request, method, parts.slice(1), body, url.origin));
  if (parts[1] === "api" && parts[2] === "bridge" && served[parts[0]]) {
    return send(response, 200, await portal(served[parts[0]], method, parts.slice(3).join("/"), body, url.origin));
  }
  throw new Refusal(404, `There is no ${path}.`);
}

export function serve(port = 0) {
  const server = createServer((request, response) => {
    answer(request, response).catch((cause) => {
      const refusal = cause instanceof Refusal ? cause : new Refusal(500, String(cause?.stack ?? cause));
      if (!(cause instanceof Refusal)) console.error(cause);
      void send(response, refusal.status, refusal.body);
    });
  });
  return new Promise((resolve) => {
    server.listen(port, "127.0.0.1", () => resolve({ server, origin: `http://127.0.0.1:${server.address().port}` }));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { origin } = await serve(Number(process.env.PORT ?? 8090));
  console.log(`The mock serves ${origin}/demo, ${origin}/mock/host?prefix=states and ${origin}/mock/flow?template=1`);
}
