/**
 * Opens the way to a server: TCP or unix socket, with TLS as the URL asks for it.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { ConnectTarget } from "./database_url.ts";
import { sslRequest } from "./protocol.ts";
import type { Socket } from "./wire.ts";

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
  const socket = await Deno.connect({ hostname: target.host, port: target.port }).catch((cause) => {
    throw unreachable(target, cause);
  });
  socket.setNoDelay(true);
  socket.setKeepAlive(true);
  if (target.sslMode === "disable") return socket;
  try {
    return await offerTls(socket, target);
  } catch (error) {
    socket.close();
    throw error;
  }
}

async function offerTls(socket: Deno.TcpConn, target: ConnectTarget): Promise<Socket> {
  await socket.write(sslRequest());
  const answer = new Uint8Array(1);
  const count = await socket.read(answer);
  if (count !== 1) throw unreachable(target, new Error("the server closed the connection"));
  if (answer[0] === 78 /* N */) {
    if (target.sslMode === "prefer") return socket;
    throw unreachable(target, new Error("the server does not speak TLS"));
  }
  if (answer[0] !== 83 /* S */) throw unreachable(target, new Error("it is no PostgreSQL server"));
  const caCerts = target.sslRootCert === undefined ? [] : [await readCertificate(target)];
  return await Deno.startTls(socket, { hostname: target.host, caCerts });
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
