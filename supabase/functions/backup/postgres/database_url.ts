/**
 * Reads a PostgreSQL connection URL.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";

/** How much of TLS is asked for; the meanings are libpq's. */
export type SslMode = "disable" | "prefer" | "require" | "verify-ca" | "verify-full";

const SSL_MODES: readonly string[] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

/** Where a server is and as whom to enter. */
export interface ConnectTarget {
  /** Host name or address; the folder of the socket when it begins with `/`. */
  host: string;
  port: number;
  user: string;
  password: string | undefined;
  database: string;
  sslMode: SslMode;
  /** Path of a file with the certificate authorities to trust, in PEM. */
  sslRootCert: string | undefined;
  applicationName: string | undefined;
  /** Command-line options for the backend, such as `-c geqo=off`. */
  options: string | undefined;
  connectTimeoutMs: number | undefined;
}

/**
 * Splits a `postgres://user:password@host:port/database?parameters` URL.
 *
 * Passwords are often pasted without percent-encoding, so an `@`, `/`, `?` or stray `%` in one is
 * tolerated where it can be told apart.
 *
 * @throws {BackupError} `invalid_config`; the message never holds the URL, which has a password in it
 */
export function parseDatabaseUrl(url: string): ConnectTarget {
  const scheme = /^postgres(?:ql)?:\/\//i.exec(url);
  if (scheme === null) throw invalid("it does not begin with postgres://");
  const rest = url.slice(scheme[0].length);
  const parts =
    /^(?:([^/?]*)@)?((?:\[[^\]]*\]|[^/?@:,]*)(?::\d*)?)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(rest) ??
      /^(?:(.*)@)?([^/?@]*)(?:\/([^?@]*))?(?:\?([^@]*))?$/s.exec(rest);
  if (parts === null) throw invalid("it has no host");
  const [, userInfo = "", hostAndPort = "", path = "", search = ""] = parts;
  const parameters = new URLSearchParams(search);

  const colon = userInfo.indexOf(":");
  const user = decode(colon < 0 ? userInfo : userInfo.slice(0, colon)) || parameters.get("user");
  const password = colon < 0
    ? parameters.get("password") ?? undefined
    : decode(userInfo.slice(colon + 1));
  const { host, port } = splitHost(hostAndPort);
  const portText = port || parameters.get("port") || "5432";
  const sslMode = parameters.get("sslmode") ?? "prefer";
  if (!SSL_MODES.includes(sslMode)) {
    throw invalid(`sslmode is not one of ${SSL_MODES.join(", ")}`);
  }
  const timeout = parameters.get("connect_timeout");
  const portNumber = Number(portText);
  if (!Number.isInteger(portNumber) || portNumber < 1 || portNumber > 65535) {
    throw invalid("its port is not a number from 1 to 65535");
  }
  return {
    host: parameters.get("host") || host || "localhost",
    port: portNumber,
    user: user || "postgres",
    password,
    database: decode(path) || parameters.get("dbname") || user || "postgres",
    sslMode: sslMode as SslMode,
    sslRootCert: parameters.get("sslrootcert") ?? undefined,
    applicationName: parameters.get("application_name") ?? undefined,
    options: parameters.get("options") ?? undefined,
    connectTimeoutMs: timeout !== null && Number(timeout) > 0 ? Number(timeout) * 1000 : undefined,
  };
}

/** Ref of the Supabase project whose database this is, by its host or its pooler's user; else null. */
export function projectRefOf({ host, user }: Pick<ConnectTarget, "host" | "user">): string | null {
  const direct = /^db\.([a-z0-9]{20})\.supabase\.(?:co|in|red)$/.exec(host)?.[1];
  if (direct !== undefined) return direct;
  const pooled = /\.pooler\.supabase\.(?:com|co)$/.test(host);
  return pooled ? /\.([a-z0-9]{20})$/.exec(user)?.[1] ?? null : null;
}

/** Whether the server is on this machine, so that nobody is on the way to it. */
export function isLocal({ host }: Pick<ConnectTarget, "host">): boolean {
  return /^(?:\/|127\.|::1$|localhost$)/.test(host);
}

function splitHost(text: string): { host: string; port: string } {
  if (text.includes(",")) throw invalid("it names several hosts");
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed !== null) return { host: bracketed[1] ?? "", port: bracketed[2] ?? "" };
  const colon = text.lastIndexOf(":");
  if (colon < 0) return { host: decode(text), port: "" };
  return { host: decode(text.slice(0, colon)), port: text.slice(colon + 1) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a raw password with a % in it
  }
}

function invalid(why: string): BackupError {
  return new BackupError("invalid_config", `Cannot read the database URL: ${why}`, {
    hint:
      "Give it as postgres://user:password@host:port/database, with special characters of the " +
      "password percent-encoded.",
  });
}
