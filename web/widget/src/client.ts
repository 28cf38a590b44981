/**
 * The portal API as a browser reaches it: through the integrator's proxy, which adds the token (`urlOrPrefix`),
 * or straight at the bridge with a token the page fetches for each call (`src` and `fetchSession`), because a
 * portal token is accepted once.
 */

import type {
  ApiProblem,
  CheckInitAnswer,
  FlowSummary,
  InitAnswer,
  InitBody,
  Integration,
  IntegrationList,
  LogDetail,
  LogRow,
  RunAnswer,
} from "../../src/api";

export type FailureKind = "offline" | "signin" | "plan" | "gone" | "other";

const KINDS: Record<number, FailureKind> = {
  0: "offline",
  401: "signin",
  402: "plan",
  403: "plan",
  404: "gone",
  410: "gone",
};

/** What the widget may show of a failure: the kind decides the words, the rest stays under "Details". */
export class PortalFailure extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly requestId: string | null = null,
  ) {
    super(message);
  }

  get kind(): FailureKind {
    return KINDS[this.status] ?? "other";
  }

  get retryable(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export function failureOf(cause: unknown): PortalFailure {
  return cause instanceof PortalFailure ? cause : new PortalFailure(0, "unknown", String(cause));
}

export interface PortalClient {
  integrations(): Promise<Integration[]>;
  init(instanceableId: number, body: InitBody | null): Promise<InitAnswer>;
  /** The wizard over an integration that exists. */
  edit(scenarioId: number, body: InitBody | null): Promise<InitAnswer>;
  checkInit(flowId: string): Promise<FlowSummary>;
  setActive(scenarioId: number, active: boolean): Promise<unknown>;
  run(scenarioId: number): Promise<RunAnswer>;
  logs(scenarioId: number): Promise<LogRow[]>;
  log(scenarioId: number, executionId: string): Promise<LogDetail>;
  remove(scenarioId: number): Promise<unknown>;
}

async function problemOf(response: Response): Promise<PortalFailure> {
  const { status, statusText } = response;
  // A proxy's own error page is not JSON; its status is enough.
  const problem = (await response.json().catch(() => ({}))) as ApiProblem;
  const message = problem.detail ?? problem.message ?? statusText;
  return new PortalFailure(status, problem.code ?? `http-${status}`, message, problem.requestId);
}

export function portalClient(
  base: string,
  fetchSession: () => Promise<string | undefined>,
  signal: AbortSignal,
): PortalClient {
  const call = async <Answer>(method: string, path: string, body?: InitBody | null): Promise<Answer> => {
    const headers: Record<string, string> = { Accept: "application/json" };
    const request: RequestInit = { method, headers, signal, cache: "no-store", credentials: "include" };
    if (body) {
      headers["Content-Type"] = "application/json";
      request.body = JSON.stringify(body);
    }
    let response: Response;
    try {
      const token = await fetchSession();
      if (token) {
        headers.Authorization = `Bearer ${token}`;
        request.credentials = "omit";
      }
      response = await fetch(`${base}/api/bridge/${path}`, request);
    } catch (cause) {
      throw new PortalFailure(0, "network", String(cause));
    }
    if (!response.ok) throw await problemOf(response);
    return response.json().catch(() => {
      throw new PortalFailure(502, "not-json", `The answer to ${method} ${path} was not JSON.`);
    });
  };
  const one = (scenarioId: number, verb = "") => `integrations/${scenarioId}${verb}`;

  return {
    integrations: async () => (await call<IntegrationList>("GET", "integrations/")).integrations,
    init: (id, body) => call("POST", `integrations/init/${id}`, body),
    edit: (id, body) => call("POST", one(id, "/edit"), body),
    checkInit: async (id) =>
      (await call<CheckInitAnswer>("GET", `integrations/check-init/${encodeURIComponent(id)}`)).flow,
    setActive: (id, active) => call("POST", one(id, active ? "/activate" : "/deactivate")),
    run: (id) => call("POST", one(id, "/run")),
    logs: (id) => call("GET", `scenarios/${id}/logs`),
    log: (id, execution) => call("GET", `scenarios/${id}/logs/${encodeURIComponent(execution)}`),
    remove: (id) => call("DELETE", one(id)),
  };
}
