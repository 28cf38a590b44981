/** The demo's own backend, as its pages call it. */

import type { ApiProblem } from "../../src/api";

export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

async function call<Answer>(method: string, path: string): Promise<Answer> {
  const response = await fetch(`/demo/api/${path}`, {
    method,
    headers: { Accept: "application/json" },
    cache: "no-store",
  });
  const body = (await response.json().catch(() => ({}))) as Answer & ApiProblem;
  if (!response.ok)
    throw new Refused(response.status, body.detail ?? body.message ?? `The server answered ${response.status}.`);
  return body;
}

export function getJson<Answer>(path: string): Promise<Answer> {
  return call("GET", path);
}

export function post<Answer>(path: string): Promise<Answer> {
  return call("POST", path);
}
