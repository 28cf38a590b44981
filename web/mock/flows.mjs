/** The mock's flow API: validates a little, saves each step, makes a scenario at the end. */

import { randomUUID } from "node:crypto";
import { TEMPLATES } from "./templates.mjs";

const flows = new Map();
let nextId = 100;

export function createFlow(template, profile, body = {}) {
  const id = `f${randomUUID().replaceAll("-", "")}`;
  const flow = {
    id,
    secret: randomUUID(),
    template,
    profile,
    phase: body.autoActivate ? "step" : "intro",
    values: new Map(),
    saved: new Set(),
    created: new Map(),
    hooks: new Map(),
    options: {
      autoActivate: !!body.autoActivate,
      autoFinalize: !!body.autoFinalize,
      redirectUri: body.redirectUri ?? null,
    },
    scenario: { name: body.scenario?.name ?? template.name, enable: body.scenario?.enable ?? true, id: null },
  };
  flows.set(id, flow);
  return flow;
}

export const findFlow = (id) => flows.get(id);

function fieldNow(flow, field) {
  const value = flow.values.has(field.uuid) ? flow.values.get(field.uuid) : (field.value ?? field.default ?? null);
  const component = field.component
    ? {
        ...field.component,
        existing: [...field.component.existing, ...(flow.created.get(field.uuid) ?? [])],
        hookUrl: flow.hooks.get(field.uuid) ?? null,
      }
    : null;
  return {
    required: false,
    multiline: false,
    help: null,
    showWhen: null,
    allowMapping: false,
    error: null,
    ...field,
    value,
    component,
  };
}

function currentStep(flow) {
  if (flow.phase !== "step") return null;
  return flow.template.steps.find(({ id }) => !flow.saved.has(id))?.id ?? null;
}

export function stateOf(flow) {
  const current = currentStep(flow);
  return {
    flow: summaryOf(flow),
    template: { name: flow.template.name, description: flow.template.description, apps: flow.template.apps },
    integrator: { name: "Acme CRM" },
    language: "en",
    phase: flow.phase,
    currentStep: current,
    steps: flow.template.steps.map((step) => ({
      id: step.id,
      title: step.title,
      description: step.description,
      state: flow.saved.has(step.id) ? "done" : step.id === current ? "current" : "todo",
      fields: step.fields.map((field) => fieldNow(flow, field)),
    })),
    summary: flow.template.steps.flatMap((step) =>
      step.fields
        .filter(({ type }) => !["banner", "separator", "markdown", "html", "hidden"].includes(type))
        .map((field) => rowOf(step, fieldNow(flow, field)))
        .filter(({ value }) => value !== ""),
    ),
    options: flow.options,
    scenario: { ...flow.scenario, isActive: flow.profile.scenarios.get(flow.template.id)?.isActive ?? false },
    changes: flow.changes ?? null,
  };
}

/** The server says answers in words; the mock knows only the items it offers. */
function partsOf(field) {
  if (!field.allowMapping || typeof field.value !== "string" || !field.value.includes("{{")) return null;
  return field.value.split(/(\{\{.*?\}\})/).flatMap((piece) => {
    if (!piece.startsWith("{{")) return piece ? [{ text: piece }] : [];
    const item = field.items?.find(({ expression }) => expression === piece);
    return [{ expression: piece, items: item ? [{ label: item.label, from: item.from }] : [], calculated: !item }];
  });
}

function rowOf(step, field) {
  const chosen = field.component?.existing.find(({ id }) => id === field.value)?.label;
  const option = field.options?.find(({ value }) => value === field.value)?.label;
  const plain =
    typeof field.value === "object" && field.value !== null ? JSON.stringify(field.value) : `${field.value ?? ""}`;
  const value =
    chosen ?? option ?? field.component?.hookUrl ?? (field.type === "boolean" ? (field.value ? "Yes" : "No") : plain);
  const bad = typeof field.value === "string" && field.value.includes("unreachable");
  return {
    stepId: step.id,
    label: field.label,
    value,
    parts: partsOf(field),
    ok: !bad,
    message: bad ? "This address does not answer. Check it, or go on if your shop is not online yet." : null,
  };
}

export function summaryOf(flow) {
  const done = flow.phase === "done";
  return {
    id: flow.id,
    statusId: done ? 3 : 1,
    statusMessage: done ? "completed" : "in progress",
    isCompleted: done,
    result: done ? { scenarios: [{ id: flow.scenario.id, description: flow.scenario.name }] } : null,
  };
}

export function saveStep(flow, stepId, values) {
  const step = flow.template.steps.find(({ id }) => id === stepId);
  const fields = {};
  for (const field of step.fields) {
    const hidden =
      field.showWhen && (values[field.showWhen.uuid] ?? flow.values.get(field.showWhen.uuid)) !== field.showWhen.equals;
    const value = values[field.uuid];
    if (hidden || field.type === "hook") continue;
    if (field.required && (value === undefined || value === null || value === ""))
      fields[field.uuid] = `Please fill in “${field.label}”.`;
    else if (field.type === "url" && value && !/^https?:\/\//.test(value))
      fields[field.uuid] = "An address begins with https://";
    else if (value === "refused") fields[field.uuid] = "Your shop did not accept this. Check it and try again.";
  }
  if (Object.keys(fields).length > 0) return fields;
  for (const [uuid, value] of Object.entries(values)) {
    if (flow.changes && flow.values.get(uuid) !== value) flow.changes.isChanged = true;
    flow.values.set(uuid, value);
  }
  for (const field of step.fields) {
    if (field.type === "hook" && !flow.hooks.has(field.uuid)) {
      flow.hooks.set(field.uuid, `http://127.0.0.1:8090/hook/k7Q2${randomUUID().replaceAll("-", "")}`);
    }
  }
  flow.saved.add(stepId);
  if (currentStep(flow) === null) {
    flow.phase = "check";
    if (flow.options.autoFinalize) finalize(flow);
  }
  return null;
}

export function createComponent(flow, { uuid, name, values }) {
  const field = flow.template.steps.flatMap(({ fields }) => fields).find((one) => one.uuid === uuid);
  const fields = {};
  for (const part of field.component.createFields) {
    if (part.required && !values[part.name]) fields[part.name] = `Please fill in “${part.label}”.`;
    if (part.type === "password" && values[part.name] === "wrong") {
      fields[part.name] =
        "Your shop did not accept this key. Check that it is copied completely and has the right to write orders.";
    }
  }
  if (Object.keys(fields).length > 0) return { fields };
  nextId += 1;
  const made = { id: nextId, label: name || field.component.label };
  flow.created.set(uuid, [...(flow.created.get(uuid) ?? []), made]);
  flow.values.set(uuid, made.id);
  return { made };
}

export function start(flow) {
  if (flow.phase === "intro") flow.phase = "step";
}

/** A flow over what another one has made: it begins at the check, with the same answers. */
export function reopen(flow) {
  const next = createFlow(flow.template, flow.profile, { redirectUri: flow.options.redirectUri });
  return Object.assign(next, {
    phase: "check",
    values: new Map(flow.values),
    saved: new Set(flow.template.steps.map(({ id }) => id)),
    created: flow.created,
    hooks: new Map(flow.hooks),
    scenario: { ...flow.scenario },
    changes: { scenarioId: flow.scenario.id, isChanged: false },
  });
}

/** The newest finished flow of a scenario; the mock's made-up scenarios get an empty one. */
export function flowOf(profile, template, scenarioId) {
  const made = [...flows.values()].findLast((one) => one.phase === "done" && one.scenario.id === scenarioId);
  if (made) return made;
  const flow = createFlow(template, profile);
  flow.scenario.id = scenarioId;
  return flow;
}

export function finalize(flow) {
  if (flow.phase === "done") return;
  if (flow.changes) {
    flow.phase = "done";
    return;
  }
  nextId += 1;
  flow.scenario.id = nextId;
  flow.phase = "done";
  flow.profile.scenarios.set(flow.template.id, {
    id: nextId,
    isActive: flow.scenario.enable,
    isConnected: true,
    logs: [],
  });
}

export function templateOf(id) {
  return TEMPLATES.find((template) => template.id === Number(id));
}
