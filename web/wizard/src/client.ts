/** The flow API, and that of hand-overs: every call carries the secret as a header, so that no cookie is needed, also inside a frame. */

import type {
  ApiProblem,
  BegunConsent,
  ConsentWish,
  CreatedComponent,
  FlowState,
  HandOverState,
  ReopenAnswer,
  Values,
} from "../../src/api";

export class FlowFailure extends Error {
  readonly code: string;
  readonly requestId: string | null;
  readonly fields: Record<string, string>;

  constructor(
    readonly status: number,
    problem: ApiProblem,
  ) {
    super(problem.detail ?? problem.message ?? `HTTP ${status}`);
    this.code = problem.code ?? `http-${status}`;
    this.requestId = problem.requestId ?? null;
    this.fields = problem.fields ?? {};
  }

  /** The link no longer opens anything; asking again would not help. */
  get expired(): boolean {
    return [401, 403, 404, 410].includes(this.status);
  }

  get retryable(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

async function problemOf(response: Response): Promise<ApiProblem> {
  try {
    return (await response.json()) as ApiProblem;
  } catch {
    return {};
  }
}

/** The calls of a link's holder, below one address. */
export class LinkClient {
  constructor(
    private readonly root: string,
    private readonly secret: string,
  ) {}

  protected async call<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    const headers: Record<string, string> = { Accept: "application/json", "Flow-Secret": this.secret };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response: Response;
    try {
      response = await fetch(`${this.root}${path}`, {
        method,
        headers,
        cache: "no-store",
        credentials: "same-origin",
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (cause) {
      throw new FlowFailure(0, { code: "network", detail: cause instanceof Error ? cause.message : String(cause) });
    }
    if (!response.ok) throw new FlowFailure(response.status, await problemOf(response));
    return (await response.json()) as Answer;
  }
}

export class FlowClient extends LinkClient {
  constructor(flowId: string, secret: string) {
    super(`/flow-api/${encodeURIComponent(flowId)}`, secret);
  }

  state(): Promise<FlowState> {
    return this.call("GET", "");
  }

  start(): Promise<FlowState> {
    return this.call("POST", "/start");
  }

  saveStep(stepId: string, values: Values): Promise<FlowState> {
    return this.call("POST", `/steps/${encodeURIComponent(stepId)}`, { values });
  }

  createComponent(stepId: string, uuid: string, name: string, values: Values): Promise<CreatedComponent> {
    return this.call("POST", `/steps/${encodeURIComponent(stepId)}/components`, { uuid, name, values });
  }

  /** Begin a consent at a provider; what comes of it shows in the flow's state. */
  authorize(stepId: string, uuid: string, wish: ConsentWish): Promise<BegunConsent> {
    return this.call("POST", `/steps/${encodeURIComponent(stepId)}/authorize`, { uuid, ...wish });
  }

  finalize(): Promise<FlowState> {
    return this.call("POST", "/finalize");
  }

  /** A new flow over what this finished one has made, to change its answers. */
  reopen(): Promise<ReopenAnswer> {
    return this.call("POST", "/reopen");
  }
}

/** The calls of whoever answers a request for credentials. */
export class HandOverClient extends LinkClient {
  constructor(linkId: string, secret: string) {
    super(`/hand-over-api/${encodeURIComponent(linkId)}`, secret);
  }

  state(): Promise<HandOverState> {
    return this.call("GET", "");
  }

  fillIn(credentialId: string, values: Values): Promise<HandOverState> {
    return this.call("POST", `/credentials/${encodeURIComponent(credentialId)}`, { values });
  }

  /** Begin a consent at a provider; what comes of it shows in the state. */
  authorize(credentialId: string, applicationId: number | undefined): Promise<{ startUrl: string }> {
    return this.call("POST", `/credentials/${encodeURIComponent(credentialId)}/authorize`, { applicationId });
  }

  decline(credentialId: string, reason: string): Promise<HandOverState> {
    return this.call("POST", `/credentials/${encodeURIComponent(credentialId)}/decline`, { reason });
  }
}
