/**
 * TLS without a check of the certificate, which only `node:tls` offers on this runtime.
 *
 * @module
 */
import { connect as connectTcp, type Socket as TcpSocket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { Socket } from "./wire.ts";

/** Opens a TCP connection to a server that is known to speak TLS, asks for it and begins it. */
export async function openNodeTls(
  address: { host: string; port: number },
  request: Uint8Array,
): Promise<Socket> {
  const tcp = connectTcp({ host: address.host, port: address.port });
  try {
    await once(tcp, "connect");
    tcp.setNoDelay(true);
    tcp.setKeepAlive(true);
    tcp.write(request);
    await once(tcp, "data");
    const servername = /^[\d.]+$|:/.test(address.host) ? undefined : address.host;
    const tls = connectTls({
      socket: tcp,
      rejectUnauthorized: false,
      ...(servername === undefined ? {} : { servername }),
    });
    await once(tls, "secureConnect");
    return new NodeSocket(tls);
  } catch (error) {
    tcp.destroy();
    throw error;
  }
}

function once(socket: TcpSocket | TLSSocket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const closed = () => reject(new Error("the server closed the connection"));
    socket.once("error", reject);
    socket.once("close", closed);
    socket.once(event, () => {
      socket.off("error", reject);
      socket.off("close", closed);
      resolve();
    });
  });
}

/** A Node stream read like a `Deno.Conn`: nothing is taken from the network that nobody asked for. */
class NodeSocket implements Socket {
  readonly #socket: TLSSocket;
  #rest: Uint8Array = new Uint8Array();
  #ended = false;
  #error: Error | undefined;
  #wake = () => {};
  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("readable", () => this.#wake());
    socket.on("end", () => this.#end());
    socket.on("close", () => this.#end());
    socket.on("error", (error: Error) => this.#end(error));
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#rest.length === 0) {
      const chunk: Uint8Array | null = this.#socket.read();
      if (chunk !== null) {
        this.#rest = chunk;
        break;
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const count = Math.min(buffer.length, this.#rest.length);
    buffer.set(this.#rest.subarray(0, count));
    this.#rest = this.#rest.subarray(count);
    return count;
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) throw this.#error;
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve(bytes.length));
    });
  }

  close(): void {
    this.#socket.destroy();
    this.#end();
  }

  #end(error?: Error): void {
    this.#ended = true;
    this.#error ??= error;
    this.#wake();
  }
}
