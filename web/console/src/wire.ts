/** The wire types the console speaks, written by hand after the contract; nothing here runs. */

export interface Session {
  id: number;
  email: string;
  role: string;
  permissions: string[];
  /** What this person may put into a key or token. */
  grants: string[];
  organization: { id: number; name: string };
  endsAt: string;
  csrfToken: string;
}

export interface SessionAnswer {
  session: Session | null;
}

export interface OwnSession {
  id: number;
  isCurrent: boolean;
  organizationId: number;
  createdAt: string;
  lastSeenAt: string;
  endsAt: string;
  address: string;
  userAgent: string;
}

export interface Member {
  id: number;
  email: string;
  role: string;
  since: string;
  isDisabled: boolean;
  lastSeenAt: string | null;
  isYou: boolean;
  /** Their role is not above that of who asks. */
  mayChange: boolean;
}

export interface MembersAnswer {
  members: Member[];
  /** The roles that who asks may give, the widest first. */
  roles: string[];
}

export interface MadeMember {
  id: number;
  email: string;
  role: string;
  password: string;
}

export interface PortalKey {
  keyId: string;
  algorithm: string;
  isCurrent: boolean;
  permissions: string[];
  createdAt: string;
  notAfter: string | null;
}

/** Of a registered public key there is no secret. */
export interface MadeKey extends PortalKey {
  secret: string | null;
}

export interface ApiToken {
  id: number;
  label: string;
  permissions: string[];
  createdAt: string;
  lastUsedAt: string | null;
  expiresAt: string | null;
}

export interface MadeToken extends ApiToken {
  token: string;
}

export interface NewToken {
  label: string;
  permissions: string[];
  expiresAt: string | null;
}
