/**
 * A storage in a local directory. An object is written beside, flushed to disk and then linked to its
 * name: linking is atomic and fails if the name is taken, which is just what write-once asks for.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { randomId } from "../core/ids.ts";
import { checkName, compareNames } from "./names.ts";
import { refuseOversized } from "./oversized.ts";
import type { Storage, StoredObject } from "./storage.ts";

/** Where unfinished objects are; names cannot begin with a dot, so nothing else can be there. */
const UNFINISHED = ".unfinished";

/**
 * A storage in a directory, which is made on the first write. Only its owner may look into it.
 *
 * @param directory absolute path
 */
export function localStorage(directory: string): Storage {
  const root = directory.replace(/\/+$/, "") || "/";
  const path = (name: string) => `${root}/${checkName(name)}`;
  return {
    location: `file://${root}`,
    async put(name, body, signal) {
      const target = path(name);
      signal?.throwIfAborted();
      try {
        if (await exists(target)) return { created: false };
        const unfinished = await writeUnfinished(root, body, signal);
        try {
          await makeDirectory(parentOf(target));
          return { created: await publish(unfinished, target) };
        } finally {
          await Deno.remove(unfinished).catch(ignoreMissing);
        }
      } catch (error) {
        throw translate(error, `store ${name}`, signal);
      }
    },
    async get(name, { from = 0, to, maxBytes, room, signal } = {}) {
      const target = path(name);
      signal?.throwIfAborted();
      try {
        if (from === 0 && to === undefined && maxBytes === undefined) {
          return await Deno.readFile(target, signal ? { signal } : {});
        }
        return await readRange(target, { name, from, to, maxBytes, room });
      } catch (error) {
        throw translate(error, `read ${name}`, signal);
      }
    },
    async head(name, signal) {
      const target = path(name);
      signal?.throwIfAborted();
      try {
        return await describe(target, name);
      } catch (error) {
        throw translate(error, `look at ${name}`, signal);
      }
    },
    async *list(prefix, signal) {
      try {
        yield* walk(root, prefix.slice(0, prefix.lastIndexOf("/") + 1), prefix, signal);
      } catch (error) {
        throw translate(error, `list ${prefix || "all objects"}`, signal);
      }
    },
    async delete(name, signal) {
      const target = path(name);
      signal?.throwIfAborted();
      try {
        await Deno.remove(target).catch(ignoreMissing);
      } catch (error) {
        throw translate(error, `delete ${name}`, signal);
      }
    },
  };
}

async function writeUnfinished(
  root: string,
  body: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<string> {
  await makeDirectory(`${root}/${UNFINISHED}`);
  const path = `${root}/${UNFINISHED}/${randomId(20)}`;
  const file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  try {
    for (let at = 0; at < body.length;) {
      signal?.throwIfAborted();
      at += await file.write(body.subarray(at));
    }
    await file.sync();
    return path;
  } catch (error) {
    await Deno.remove(path).catch(ignoreMissing);
    throw error;
  } finally {
    file.close();
  }
}

/** Gives the finished file its name; false when the name was taken. */
async function publish(unfinished: string, target: string): Promise<boolean> {
  try {
    await Deno.link(unfinished, target);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    if (!hasNoHardLinks(error)) throw error;
    // Some network file systems have no hard links. Their rename is atomic too, but would replace.
    if (await exists(target)) return false;
    await Deno.rename(unfinished, target);
  }
  await syncDirectory(parentOf(target));
  return true;
}

function hasNoHardLinks(error: unknown): boolean {
  const code = (error as { code?: string }).code ?? "";
  return ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(code) ||
    error instanceof Deno.errors.NotSupported;
}

/** Makes the new name itself survive a power cut. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await Deno.open(path, { read: true });
  try {
    await directory.sync();
  } finally {
    directory.close();
  }
}

async function makeDirectory(path: string): Promise<void> {
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
}

async function readRange(
  path: string,
  { name, from, to, maxBytes, room }: {
    name: string;
    from: number;
    to: number | undefined;
    maxBytes: number | undefined;
    room: Uint8Array | undefined;
  },
): Promise<Uint8Array> {
  const file = await Deno.open(path, { read: true });
  try {
    const size = (await file.stat()).size;
    const end = Math.min(to ?? size, size);
    refuseOversized(name, Math.max(0, end - from), maxBytes);
    const length = Math.max(0, end - from);
    const fits = room !== undefined && room.length >= length;
    const bytes = fits ? room.subarray(0, length) : new Uint8Array(length);
    await file.seek(from, Deno.SeekMode.Start);
    let at = 0;
    while (at < bytes.length) {
      const count = await file.read(bytes.subarray(at));
      if (count === null) break;
      at += count;
    }
    return bytes.subarray(0, at);
  } finally {
    file.close();
  }
}

/** Goes through a folder so that whole names come out in order. */
async function* walk(
  root: string,
  folder: string,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncIterable<StoredObject> {
  signal?.throwIfAborted();
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(`${root}/${folder}`)) {
      // A folder sorts as its children do, that is with the slash.
      if (!entry.name.startsWith(".")) names.push(entry.name + (entry.isDirectory ? "/" : ""));
    }
  } catch (error) {
    return ignoreMissing(error);
  }
  for (const name of names.sort(compareNames)) {
    const full = folder + name;
    if (name.endsWith("/")) {
      if (full.startsWith(prefix) || prefix.startsWith(full)) {
        yield* walk(root, full, prefix, signal);
      }
    } else if (full.startsWith(prefix)) {
      const object = await describe(`${root}/${full}`, full);
      if (object) yield object;
    }
  }
}

async function describe(path: string, name: string): Promise<StoredObject | null> {
  try {
    const info = await Deno.stat(path);
    return info.isFile ? { name, sizeBytes: info.size, modifiedAt: info.mtime } : null;
  } catch (error) {
    ignoreMissing(error);
    return null;
  }
}

async function exists(path: string): Promise<boolean> {
  return await describe(path, path) !== null;
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/** Of a write to an open file the runtime tells the system's number in words only. */
function saysNoRoom(error: unknown): boolean {
  return Deno.build.os !== "windows" && error instanceof Error &&
    /\(os error (28|122)\)/.test(error.message);
}

function translate(error: unknown, verb: string, signal: AbortSignal | undefined): unknown {
  if (error instanceof BackupError) return error;
  if (signal?.aborted) return signal.reason;
  const code = (error as { code?: string }).code ?? "";
  if (error instanceof Deno.errors.NotFound) {
    return new BackupError("storage_missing", `Cannot ${verb}: the directory has none`, {
      cause: error,
    });
  }
  if (code === "ENOSPC" || code === "EDQUOT" || saysNoRoom(error)) {
    return new BackupError("storage_full", `Cannot ${verb}: no space left on the disk`, {
      hint: "Free space on the disk of the backup directory, or choose another directory.",
      cause: error,
    });
  }
  const refused = error instanceof Deno.errors.PermissionDenied ||
    error instanceof Deno.errors.NotCapable ||
    ["EACCES", "EPERM", "EROFS", "ENOTDIR", "EISDIR"].includes(code);
  return new BackupError(
    refused ? "storage_refused" : "storage_unreachable",
    `Cannot ${verb}: ${refused ? "the directory refused it" : "the disk did not answer"}${
      code && ` (${code})`
    }`,
    { hint: "Check that the backup directory exists and that this user owns it.", cause: error },
  );
}
