/**
 * The driver's way to a server: the same one as that of backups, as a stream of Node. The driver's own TLS
 * does not work on old runtimes and knows no `sslrootcert`, and what it reads and writes nobody counts.
 *
 * @module
 */
import { Duplex } from "node:stream";
import { countWork } from "../core/work_count.ts";
import { parseDatabaseUrl } from "../postgres/database_url.ts";
import { openSocket } from "../postgres/open_socket.ts";
import type { Socket } from "../postgres/wire.ts";

const READ_BYTES = 64 * 1024;

/**
 * A connection as `sslmode` and `sslrootcert` of the URL ask for, which is being opened. Where it cannot be,
 * the stream ends as one whose server went away, with what `openSocket` throws: a driver that gets no stream
 * never comes to the queries that wait for one.
 */
export function driverSocket(url: string, timeoutMs: number): Duplex {
  const opening = openInTime(url, timeoutMs);
  const closing = () => opening.then(closeOnce, () => {}); // what was never opened needs no end
  const stream = new Duplex({
    // A server that goes away closes both ways: else the driver would wait for ever for its answers.
    allowHalfOpen: false,
    async read() {
      const socket = await opening.catch(() => null);
      if (socket === null) return; // the driver writes first, and hears of it there
      const buffer = new Uint8Array(READ_BYTES);
      try {
        const count = await socket.read(buffer);
        countWork("driver", count ?? 0);
        stream.push(count === null ? null : buffer.subarray(0, count));
      } catch (error) {
        stream.destroy(error as Error);
      }
    },
    write(bytes: Uint8Array, _encoding, done) {
      countWork("driver", bytes.length);
      opening.then((socket) => writeAll(socket, bytes)).then(() => done(), done);
    },
    final(done) {
      closing().then(() => done(), done);
    },
    destroy(error, done) {
      closing().then(() => done(error), done);
    },
  });
  // The driver says goodbye to what is open, and asks a stream as if it were a socket.
  return Object.defineProperty(stream, "readyState", {
    get() {
      if (stream.closed) return "closed";
      return stream.destroyed || stream.writableEnded ? "closing" : "open";
    },
  });
}

/** @throws what `openSocket` throws, and when it takes longer */
async function openInTime(url: string, timeoutMs: number): Promise<Socket> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isLate = false;
  const opening = openSocket(parseDatabaseUrl(url));
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      isLate = true;
      reject(new Deno.errors.TimedOut("the server does not answer"));
    }, timeoutMs);
  });
  opening.then(({ socket }) => isLate && socket.close(), () => {});
  try {
    return (await Promise.race([opening, late])).socket;
  } finally {
    clearTimeout(timer);
  }
}

async function writeAll(socket: Socket, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await socket.write(bytes.subarray(at));
}

function closeOnce(socket: Socket): void {
  try {
    socket.close();
  } catch (error) {
    // Closed already, after the last byte was written.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
