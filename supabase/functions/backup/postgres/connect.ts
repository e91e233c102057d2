/**
 * Opens a connection to PostgreSQL.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { Secret } from "../core/secret.ts";
import { authenticate } from "./authenticate.ts";
import { DatabaseError, parseErrorFields } from "./database_error.ts";
import { type ConnectTarget, parseDatabaseUrl } from "./database_url.ts";
import { openSocket } from "./open_socket.ts";
import { cancelRequest, readInt32, startupMessage } from "./protocol.ts";
import type { Session } from "./session.ts";
import { decodeLoosely } from "./text_codec.ts";
import { garbage, Wire } from "./wire.ts";
import { WireSession } from "./wire_session.ts";

/** Where and how to connect. */
export interface ConnectOptions {
  /** `postgres://user:password@host:port/database?sslmode=…`; see `parseDatabaseUrl`. */
  url: string | Secret;
  /** Shown in pg_stat_activity. @default the URL's, else "supabase-backup" */
  applicationName?: string;
  /** @default the URL's connect_timeout, else 30 s */
  connectTimeoutMs?: number;
  /** Gives up connecting. It does not end a session that was opened. */
  signal?: AbortSignal;
}

/**
 * Opens one connection.
 *
 * @throws {BackupError} `invalid_config` for a wrong URL, `database_unreachable` when there is no way in,
 * `database_protocol` when something else than PostgreSQL answers, `cancelled` by the signal
 * @example
 * ```ts
 * const session = await connect({ url: "postgres://postgres@127.0.0.1:5432/postgres" });
 * const [row] = await session.query("select 1 as one");
 * await session.close();
 * ```
 */
export async function connect(options: ConnectOptions): Promise<Session> {
  const url = options.url instanceof Secret ? options.url.reveal() : options.url;
  const target = parseDatabaseUrl(url);
  if (options.applicationName !== undefined) target.applicationName = options.applicationName;
  const timeoutMs = options.connectTimeoutMs ?? target.connectTimeoutMs ?? 30_000;
  options.signal?.throwIfAborted();

  let wire: Wire | undefined;
  let given: BackupError | undefined;
  const { promise: gaveUp, reject } = Promise.withResolvers<never>();
  gaveUp.catch(() => {});
  const giveUp = (error: BackupError) => {
    given = error;
    wire?.fail(error);
    reject(error);
  };
  const timer = setTimeout(() => giveUp(tooLong(target, timeoutMs)), timeoutMs);
  const onAbort = () =>
    giveUp(new BackupError("cancelled", "Cannot connect to the database: it was cancelled"));
  options.signal?.addEventListener("abort", onAbort, { once: true });
  const opening = openSocket(target).then(({ socket, inClear }) => {
    wire = new Wire(socket);
    if (given !== undefined) throw wire.fail(given);
    return start(wire, { target, inClear });
  });
  opening.catch(() => wire?.close()); // after giving up nobody else is there to close it
  try {
    return await Promise.race([opening, gaveUp]);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", onAbort);
  }
}

async function start(
  wire: Wire,
  { target, inClear }: { target: ConnectTarget; inClear: boolean },
): Promise<Session> {
  await wire.write(startupMessage({
    user: target.user,
    database: target.database,
    application_name: target.applicationName ?? "supabase-backup",
    ...(target.options === undefined ? {} : { options: target.options }),
  }));
  await authenticate(wire, target);
  const settings = new Map<string, string>();
  let pid = 0;
  let cancelKey: Uint8Array = new Uint8Array();
  let transactionStatus = "";
  while (transactionStatus === "") {
    const { type, body } = await wire.read();
    switch (type) {
      case "S": {
        const [name = "", value = ""] = decodeLoosely(body).split("\0");
        settings.set(name, value);
        break;
      }
      case "K":
        pid = readInt32(body, 0);
        cancelKey = body.slice(4);
        break;
      case "Z":
        transactionStatus = String.fromCharCode(body[0]!);
        break;
      case "E": {
        const facts = parseErrorFields(body, decodeLoosely);
        throw wire.fail(new DatabaseError("enter the database", facts, "database_unreachable"));
      }
      case "N":
        break;
      default:
        throw wire.fail(garbage(`a message ${type} at the start`));
    }
  }
  const serverEncoding = settings.get("server_encoding") ?? "";
  const session = new WireSession(wire, {
    serverVersion: versionNumber(settings.get("server_version") ?? ""),
    serverEncoding,
    backendPid: pid,
    inClear,
    transactionStatus,
    sendCancel: () => sendCancel(target, pid, cancelKey),
  });
  if (session.serverVersion === 0 || !/^[A-Za-z0-9_]+$/.test(serverEncoding)) {
    throw wire.fail(garbage("no version and no encoding of its own"));
  }
  // Not in the start packet: a server without a way to UTF-8 would refuse the connection.
  const clientEncoding = session.sqlText === "bytes" ? serverEncoding : "UTF8";
  await session.execute(
    `SET client_encoding TO '${clientEncoding}'; SET standard_conforming_strings TO on`,
  );
  return session;
}

/** `17.10 (Debian …)` → 170010; `18beta1` → 180000; `9.6.24` → 90624. */
function versionNumber(text: string): number {
  const [, major = "0", minor = "0", patch = "0"] = /^(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(text) ??
    [];
  return Number(major) >= 10
    ? Number(major) * 10000 + Number(minor)
    : Number(major) * 10000 + Number(minor) * 100 + Number(patch);
}

async function sendCancel(target: ConnectTarget, pid: number, key: Uint8Array): Promise<void> {
  const { socket } = await openSocket(target);
  const message = cancelRequest(pid, key);
  try {
    for (let at = 0; at < message.length;) at += await socket.write(message.subarray(at));
    // The server closes this connection once the request has been passed on.
    const rest = new Uint8Array(64);
    while ((await socket.read(rest)) !== null);
  } catch (error) {
    // Some servers and poolers reset instead of closing; the request was sent either way.
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  } finally {
    socket.close();
  }
}

function tooLong(target: ConnectTarget, timeoutMs: number): BackupError {
  return new BackupError(
    "database_unreachable",
    `Cannot connect to the database at ${target.host}:${target.port}: no answer in ${timeoutMs} ms`,
    { hint: "Check host, port and network, or raise connect_timeout." },
  );
}
