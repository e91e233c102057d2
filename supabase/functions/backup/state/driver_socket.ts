/**
 * The driver's way to a server with TLS: the same one as that of backups, as a stream of Node. The
 * driver's own TLS does not work on old runtimes and knows no `sslrootcert`.
 *
 * @module
 */
import { Duplex } from "node:stream";
import { countWork } from "../core/work_count.ts";
import { parseDatabaseUrl } from "../postgres/database_url.ts";
import { openSocket } from "../postgres/open_socket.ts";
import type { Socket } from "../postgres/wire.ts";

const READ_BYTES = 64 * 1024;

/** Opens a connection as `sslmode` and `sslrootcert` of the URL ask for. @throws see `openSocket` */
export async function openDriverSocket(url: string, timeoutMs: number): Promise<Duplex> {
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
    return asStream((await Promise.race([opening, late])).socket);
  } finally {
    clearTimeout(timer);
  }
}

function asStream(socket: Socket): Duplex {
  const stream = new Duplex({
    // A server that goes away closes both ways: else the driver would wait for ever for its answers.
    allowHalfOpen: false,
    read() {
      const buffer = new Uint8Array(READ_BYTES);
      socket.read(buffer).then(
        (count) => {
          countWork("driver", count ?? 0);
          stream.push(count === null ? null : buffer.subarray(0, count));
        },
        (error: Error) => stream.destroy(error),
      );
    },
    write(bytes: Uint8Array, _encoding, done) {
      countWork("driver", bytes.length);
      writeAll(socket, bytes).then(() => done(), done);
    },
    final(done) {
      socket.close();
      done();
    },
    destroy(error, done) {
      try {
        socket.close();
      } catch (cause) {
        // Closed already, after the last byte was written.
        if (!(cause instanceof Deno.errors.BadResource)) return done(cause as Error);
      }
      done(error);
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

async function writeAll(socket: Socket, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await socket.write(bytes.subarray(at));
}
