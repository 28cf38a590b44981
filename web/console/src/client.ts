/** The console's calls. The cookie goes along by itself; each change carries the token that the session was told. */

import type { ApiProblem } from "../../src/api";
import type {
  ApiToken,
  MadeKey,
  MadeMember,
  MadeToken,
  MembersAnswer,
  NewToken,
  OwnSession,
  PortalKey,
  Session,
  SessionAnswer,
} from "./wire";

export class ConsoleFailure extends Error {
  readonly code: string;
  readonly requestId: string | null;
  /** What is wrong with a member of the body, by its name. */
  readonly fields: Record<string, string>;

  constructor(
    readonly status: number,
    problem: ApiProblem,
  ) {
    super(problem.detail ?? problem.message ?? "The server gave no reason.");
    this.code = problem.code ?? "unknown";
    this.requestId = problem.requestId ?? null;
    this.fields = problem.fields ?? {};
  }

  /** The session has ended, here or elsewhere. */
  get signedOut(): boolean {
    return this.code === "signed_out";
  }
}

/** The sentence about one field, where the server said one. */
export function fieldOf(error: Error | null, field: string): string | null {
  return error instanceof ConsoleFailure ? (error.fields[field] ?? null) : null;
}

async function problemOf(response: Response): Promise<ApiProblem> {
  try {
    return (await response.json()) as ApiProblem;
  } catch {
    return {};
  }
}

async function call<Answer>(method: string, path: string, token: string | null, body?: unknown): Promise<Answer> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (token !== null) headers["X-CSRF-Token"] = token;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(`/console/api${path}`, {
      method,
      headers,
      cache: "no-store",
      credentials: "same-origin",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ConsoleFailure(0, { code: "network", detail: "The server cannot be reached. Check your connection." });
  }
  if (!response.ok) throw new ConsoleFailure(response.status, await problemOf(response));
  return (await response.json()) as Answer;
}

export async function whoIsIn(): Promise<Session | null> {
  return (await call<SessionAnswer>("GET", "/session", null)).session;
}

export async function signIn(email: string, password: string): Promise<Session | null> {
  return (await call<SessionAnswer>("POST", "/sign-in", null, { email, password })).session;
}

/** What a signed-in person may ask for. */
export class ConsoleClient {
  private readonly home: string;

  constructor(private readonly session: Session) {
    this.home = `/v2/organizations/${session.organization.id}`;
  }

  signOut(): Promise<SessionAnswer> {
    return this.change("POST", "/sign-out");
  }

  async sessions(): Promise<OwnSession[]> {
    return (await call<{ sessions: OwnSession[] }>("GET", "/sessions", null)).sessions;
  }

  endSession(id: number): Promise<unknown> {
    return this.change("DELETE", `/sessions/${id}`);
  }

  endOthers(): Promise<{ ended: number }> {
    return this.change("POST", "/sessions/end-others");
  }

  changePassword(currentPassword: string, newPassword: string): Promise<{ ended: number }> {
    return this.change("POST", "/password", { currentPassword, newPassword });
  }

  members(): Promise<MembersAnswer> {
    return call<MembersAnswer>("GET", "/members", null);
  }

  async addMember(email: string, role: string): Promise<MadeMember> {
    return (await this.change<{ member: MadeMember }>("POST", "/members", { email, role })).member;
  }

  setRole(id: number, role: string): Promise<unknown> {
    return this.change("PATCH", `/members/${id}`, { role });
  }

  removeMember(id: number): Promise<unknown> {
    return this.change("DELETE", `/members/${id}?confirmed=true`);
  }

  async keys(): Promise<PortalKey[]> {
    return (await call<{ keys: PortalKey[] }>("GET", `${this.home}/keys`, null)).keys;
  }

  async createKey(permissions: string[]): Promise<MadeKey> {
    return (await this.change<{ key: MadeKey }>("POST", `${this.home}/keys`, { permissions })).key;
  }

  async rotateKey(replacePrevious: boolean): Promise<MadeKey> {
    return (await this.change<{ key: MadeKey }>("POST", `${this.home}/keys/rotate`, { replacePrevious })).key;
  }

  revokeKey(keyId: string): Promise<unknown> {
    return this.change("DELETE", `${this.home}/keys/${encodeURIComponent(keyId)}?confirmed=true`);
  }

  async tokens(): Promise<ApiToken[]> {
    return (await call<{ tokens: ApiToken[] }>("GET", `${this.home}/tokens`, null)).tokens;
  }

  async createToken(token: NewToken): Promise<MadeToken> {
    return (await this.change<{ token: MadeToken }>("POST", `${this.home}/tokens`, token)).token;
  }

  revokeToken(id: number): Promise<unknown> {
    return this.change("DELETE", `${this.home}/tokens/${id}?confirmed=true`);
  }

  private change<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    return call(method, path, this.session.csrfToken, body);
  }
}
