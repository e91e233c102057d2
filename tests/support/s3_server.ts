/**
 * An S3 server of its own for a test, with its files in a temporary directory.
 *
 * @module
 */
import S3rver from "s3rver";

/** A running server and its empty bucket `backups`. */
export interface S3Server {
  endpoint: string;
  credentials: { AWS_ACCESS_KEY_ID: string; AWS_SECRET_ACCESS_KEY: string };
  /** Requests so far. */
  calls(): number;
  /** Length of all objects together. */
  storedBytes(): Promise<number>;
  close(): Promise<void>;
}

/** Starts a server on a free port of this machine. */
export async function startS3Server(): Promise<S3Server> {
  const directory = await Deno.makeTempDir({ prefix: "backup_s3_" });
  const server = new S3rver({
    address: "127.0.0.1",
    port: 0,
    silent: true,
    directory,
    configureBuckets: [{ name: "backups", configs: [] }],
  });
  const { port } = await server.run();
  let calls = 0;
  server.httpServer.on("request", () => calls += 1);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { AWS_ACCESS_KEY_ID: "S3RVER", AWS_SECRET_ACCESS_KEY: "S3RVER" },
    calls: () => calls,
    storedBytes: () => objectBytes(directory),
    async close() {
      // An orderly end would wait a minute and more for connections that clients keep.
      server.httpServer.closeAllConnections();
      await server.close();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

/** Objects are files that end in `_object`; beside each lie its metadata. */
async function objectBytes(folder: string): Promise<number> {
  let bytes = 0;
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) bytes += await objectBytes(path);
    else if (name.endsWith("_object")) bytes += (await Deno.stat(path)).size;
  }
  return bytes;
}
