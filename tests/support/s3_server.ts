/**
 * An S3 server of its own for a test, with its files in a temporary directory.
 *
 * @module
 */
import { createHash, randomUUID } from "node:crypto";
import S3rver from "s3rver";
import { concat } from "../../supabase/functions/backup/core/bytes.ts";
import { compareNames } from "../../supabase/functions/backup/storage/names.ts";

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
  storeAtOnce(server.store);
  listInOrder(server.store);
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

/** What is used here of the server's own store. */
interface ObjectFiles {
  listObjects(bucket: string, options: { maxKeys?: number }): Promise<ObjectList>;
  putObject(object: {
    bucket: string;
    key: string;
    metadata: Record<string, unknown>;
    /** A request's body, or what was put together of parts. */
    content: AsyncIterable<Uint8Array> & { headers?: Record<string, string> };
  }): Promise<{ size: number; md5: string }>;
  putMetadata(
    ...place: [bucket: string, key: string, metadata: Record<string, unknown>, md5: string]
  ): Promise<void>;
  getResourcePath(bucket: string, key: string, resource: string): string;
}

/**
 * An object is there as a whole or not at all, as S3 has it. The server by itself writes into the object's
 * file while the body comes, and keeps what came of one whose sender is killed.
 */
function storeAtOnce(store: ObjectFiles): void {
  store.putObject = async ({ bucket, key, metadata, content }) => {
    const parts: Uint8Array[] = [];
    for await (const part of content) parts.push(new Uint8Array(part));
    const bytes = concat(parts);
    const promised = content.headers?.["content-length"];
    if (promised !== undefined && bytes.length !== Number(promised)) {
      throw new Error(`only ${bytes.length} of ${promised} bytes of ${key} came`);
    }
    const path = store.getResourcePath(bucket, key, "object");
    const coming = `${path}.${randomUUID()}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(coming, bytes);
    const md5 = createHash("md5").update(bytes).digest("hex");
    await store.putMetadata(bucket, key, metadata, md5);
    await Deno.rename(coming, path);
    return { size: bytes.length, md5 };
  };
}

/** A page of a listing. */
interface ObjectList {
  objects: { key: string }[];
  commonPrefixes: unknown;
  isTruncated: boolean;
}

/** By name, as S3 lists. The server by itself lists as the directory does, which is another order in memory. */
function listInOrder(store: ObjectFiles): void {
  const listAll = store.listObjects.bind(store);
  store.listObjects = async (bucket, { maxKeys = Infinity, ...options }) => {
    const { objects, commonPrefixes } = await listAll(bucket, options);
    objects.sort((a, b) => compareNames(a.key, b.key));
    const isTruncated = objects.length > maxKeys;
    return { objects: objects.slice(0, maxKeys), commonPrefixes, isTruncated };
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
