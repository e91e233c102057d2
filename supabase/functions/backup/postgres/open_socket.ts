/**
 * Opens the way to a server: TCP or unix socket, with TLS as the URL asks for it.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { type ConnectTarget, isLocal } from "./database_url.ts";
import { openNodeTls } from "./node_tls_socket.ts";
import { sslRequest } from "./protocol.ts";
import { garbage, type Socket } from "./wire.ts";

/** A connected socket. */
export interface OpenedSocket {
  socket: Socket;
  /** Whether others on the way could read along: there is no TLS, and the server is elsewhere. */
  inClear: boolean;
}

/**
 * Connects the socket.
 *
 * @throws {BackupError} `database_unreachable`, or `invalid_config` for an unreadable certificate file
 */
export async function openSocket(target: ConnectTarget): Promise<OpenedSocket> {
  if (target.host.startsWith("/")) {
    const path = `${target.host}/.s.PGSQL.${target.port}`;
    const socket = await Deno.connect({ transport: "unix", path }).catch((cause) => {
      throw unreachable(target, cause);
    });
    return { socket, inClear: false };
  }
  try {
    return await openTcp(target);
  } catch (cause) {
    throw cause instanceof BackupError ? cause : unreachable(target, cause);
  }
}

async function openTcp(target: ConnectTarget): Promise<OpenedSocket> {
  const caCerts = target.sslRootCert === undefined ? [] : [await readCertificate(target)];
  const socket = await openClear(target);
  const withoutTls = { socket, inClear: !isLocal(target) };
  if (target.sslMode === "disable") return withoutTls;
  let tls: Deno.TlsConn;
  try {
    if (!await offersTls(socket)) {
      if (target.sslMode === "prefer") return withoutTls;
      throw new Error(`the server does not speak TLS, and sslmode is ${target.sslMode}`);
    }
    // The runtime always checks the name as well, so `verify-ca` is as strict as `verify-full`.
    tls = await Deno.startTls(socket, { hostname: target.host, caCerts });
  } catch (error) {
    socket.close();
    throw error;
  }
  try {
    await tls.handshake();
    return { socket: tls, inClear: false };
  } catch (cause) {
    tls.close();
    return await openUnchecked(target, cause);
  }
}

/**
 * What is left when the certificate cannot be checked: `require` and `prefer` do not ask for a check
 * unless an authority is named, and `prefer` does without TLS as its last choice, as libpq has it.
 */
async function openUnchecked(target: ConnectTarget, cause: unknown): Promise<OpenedSocket> {
  const mayDo = target.sslRootCert === undefined && !target.sslMode.startsWith("verify-");
  if (mayDo && skipsChecks()) {
    return { socket: await openNodeTls(target, sslRequest()), inClear: false };
  }
  if (mayDo && target.sslMode === "prefer") {
    return { socket: await openClear(target), inClear: !isLocal(target) };
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  throw new BackupError(
    "database_unreachable",
    `Cannot trust the database at ${target.host}:${target.port}: ${why}`,
    {
      hint: "Add sslrootcert=<file> to the URL, with the certificate authority of the server; " +
        "for a Supabase project it is in the dashboard under Database settings.",
      cause,
    },
  );
}

/** Old runtimes check certificates in `node:tls` too, whatever they are told. */
function skipsChecks(): boolean {
  const [, major = 0, minor = 0] = /^(\d+)\.(\d+)/.exec(Deno.version.deno)?.map(Number) ?? [];
  return major > 2 || (major === 2 && minor >= 9);
}

async function openClear(target: ConnectTarget): Promise<Deno.TcpConn> {
  const socket = await Deno.connect({ hostname: target.host, port: target.port });
  socket.setNoDelay(true);
  socket.setKeepAlive(true);
  return socket;
}

async function offersTls(socket: Socket): Promise<boolean> {
  await socket.write(sslRequest());
  const answer = new Uint8Array(1);
  await socket.read(answer);
  if (answer[0] === 83 /* S */) return true;
  if (answer[0] === 78 /* N */) return false;
  throw garbage("something that no PostgreSQL server answers to the offer of TLS");
}

async function readCertificate(target: ConnectTarget): Promise<string> {
  try {
    return await Deno.readTextFile(target.sslRootCert!);
  } catch (cause) {
    throw new BackupError("invalid_config", "Cannot read the file of sslrootcert", {
      hint: "Give the path of a PEM file that can be read.",
      cause,
    });
  }
}

function unreachable(target: ConnectTarget, cause: unknown): BackupError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BackupError(
    "database_unreachable",
    `Cannot connect to the database at ${target.host}:${target.port}: ${why}`,
    { hint: "Check host, port and network, and that the server is running.", cause },
  );
}
