/**
 * Opens the way to a server: TCP or unix socket, with TLS as the URL asks for it.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { ConnectTarget } from "./database_url.ts";
import { openNodeTls } from "./node_tls_socket.ts";
import { sslRequest } from "./protocol.ts";
import { garbage, type Socket } from "./wire.ts";

/**
 * Connects the socket.
 *
 * @throws {BackupError} `database_unreachable`, or `invalid_config` for an unreadable certificate file
 */
export async function openSocket(target: ConnectTarget): Promise<Socket> {
  if (target.host.startsWith("/")) {
    const path = `${target.host}/.s.PGSQL.${target.port}`;
    return await Deno.connect({ transport: "unix", path }).catch((cause) => {
      throw unreachable(target, cause);
    });
  }
  try {
    // libpq's meaning: who names an authority wants it checked, also under `require`.
    const checked = target.sslRootCert !== undefined || target.sslMode.startsWith("verify-");
    if (checked || target.sslMode === "disable") return await openNative(target);
    if (target.sslMode === "prefer") {
      const socket = await openUnlessTls(target);
      if (socket !== undefined) return socket;
    }
    return await openNodeTls(target, sslRequest(), (answer) => {
      if (speaksTls(answer)) return;
      throw new Error(`the server does not speak TLS, and sslmode is ${target.sslMode}`);
    });
  } catch (cause) {
    throw cause instanceof BackupError ? cause : unreachable(target, cause);
  }
}

/** By the runtime's own sockets, the fast ones, which check every certificate. */
async function openNative(target: ConnectTarget): Promise<Socket> {
  const caCerts = target.sslRootCert === undefined ? [] : [await readCertificate(target)];
  const socket = await Deno.connect({ hostname: target.host, port: target.port });
  try {
    socket.setNoDelay(true);
    socket.setKeepAlive(true);
    if (target.sslMode === "disable") return socket;
    if (!await offersTls(socket)) {
      throw new Error(`the server does not speak TLS, and sslmode is ${target.sslMode}`);
    }
  } catch (error) {
    socket.close();
    throw error;
  }
  // The runtime always checks the name as well, so `verify-ca` is as strict as `verify-full`.
  const tls = await Deno.startTls(socket, { hostname: target.host, caCerts });
  try {
    await tls.handshake();
  } catch (error) {
    tls.close();
    throw error;
  }
  return tls;
}

/** The socket when the server has no TLS. One that has is asked again, on a socket that can ignore certificates. */
async function openUnlessTls(target: ConnectTarget): Promise<Socket | undefined> {
  const socket = await Deno.connect({ hostname: target.host, port: target.port });
  try {
    socket.setNoDelay(true);
    socket.setKeepAlive(true);
    if (!await offersTls(socket)) return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.close();
  return undefined;
}

async function offersTls(socket: Socket): Promise<boolean> {
  await socket.write(sslRequest());
  const answer = new Uint8Array(1);
  await socket.read(answer);
  return speaksTls(answer[0]);
}

function speaksTls(answer: number | undefined): boolean {
  if (answer === 83 /* S */) return true;
  if (answer === 78 /* N */) return false;
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
