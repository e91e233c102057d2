/**
 * Sources of files over a played Storage, and what they give.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { filesSource } from "../../supabase/functions/backup/project/files_source.ts";
import { bytesOf, listAll, SIGNAL } from "./saved_files.ts";
import type { StorageServer } from "./storage_server.ts";

/** A source that lists by SQL. */
export function bySql(server: StorageServer, pageItems = 1000) {
  const { session: database } = server;
  return filesSource({ api: server.api(), projectRef: "ref", database, pageItems });
}

/** A source that lists by the API. */
export function byApi(server: StorageServer) {
  return filesSource({ api: server.api(), projectRef: "ref", database: null });
}

/** Text of the first content that reading an item gives. */
export async function textOf(server: StorageServer, name: string): Promise<string | null> {
  const source = bySql(server);
  const item = (await listAll(source)).find(({ key }) => key === name);
  const read = item === undefined ? null : await source.read(item, SIGNAL);
  return read === null ? null : new TextDecoder().decode(await bytesOf(read.contents[0]!.body));
}

/** The checksum that Storage keeps. */
export function md5(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("hex");
}

/** For `assert.rejects`: an error with this code, such words and a hint. */
export function code(expected: string, words = /./): (error: unknown) => boolean {
  return (error) => {
    const { code, message, hint } = error as BackupError;
    assert.equal(code, expected, String(error));
    assert.match(message, words);
    assert.ok(hint, "no hint");
    return true;
  };
}
