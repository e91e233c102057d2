/**
 * Where an export goes: standard output, a file, or a directory with a file for each table. What has the
 * final name is whole: it gets the name at the end, when it is on the disk.
 *
 * @module
 */
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { ExportTarget } from "../../supabase/functions/backup/dump/mod.ts";
import { basename, dirname, join } from "../paths.ts";

/** An open place. */
export interface ExportFiles {
  target: ExportTarget;
  /** Gives what was written its final name. @throws {BackupError} `conflict` when the name is taken */
  finish(): Promise<void>;
  /** Takes away what was written; nothing after {@linkcode ExportFiles.finish}. */
  discard(): Promise<void>;
}

/** Standard output: what a reader of it gets may end anywhere. */
export function standardOutput(): ExportFiles {
  return {
    target: { write: (bytes) => writeAll(Deno.stdout, bytes) },
    finish: () => Promise.resolve(),
    discard: () => Promise.resolve(),
  };
}

/** A single file. @throws {BackupError} `conflict` when it is there, unless `force` */
export async function singleFile(
  path: string,
  { force }: { force: boolean },
): Promise<ExportFiles> {
  await refuseTaken(path, force);
  const waiting = besides(path);
  const file = await openNew(waiting);
  let open = true;
  const close = () => {
    if (open) file.close();
    open = false;
  };
  return {
    target: { write: (bytes) => writeAll(file, bytes) },
    async finish() {
      await file.sync();
      close();
      if (force) await Deno.rename(waiting, path);
      else await giveName(waiting, path);
    },
    async discard() {
      close();
      await removeIfThere(waiting);
    },
  };
}

/**
 * A directory with a file for each table.
 *
 * @throws {BackupError} `conflict` when it is there and not empty, unless `force` and it holds nothing but
 * exports
 */
export async function directoryOfFiles(
  path: string,
  { force, suffix }: { force: boolean; suffix: string },
): Promise<ExportFiles> {
  const waiting = besides(path);
  await refuseForeign(path, { force, suffix });
  await Deno.mkdir(waiting, { mode: 0o700 });
  let file: Deno.FsFile | null = null;
  let count = 0;
  const close = async (isWhole: boolean) => {
    const ended = file;
    file = null;
    if (isWhole) await ended?.sync();
    ended?.close();
  };
  return {
    target: {
      write: (bytes) => writeAll(file!, bytes),
      async nextFile(table) {
        await close(true);
        count++;
        file = await openNew(join(waiting, fileNameOf(table, { count, suffix })));
      },
    },
    async finish() {
      await close(true);
      // Looked at again: it may have been filled meanwhile.
      await refuseForeign(path, { force, suffix });
      const old = besides(path);
      const isThere = await exists(path);
      if (isThere) await Deno.rename(path, old);
      await Deno.rename(waiting, path);
      if (isThere) await Deno.remove(old, { recursive: true });
    },
    async discard() {
      await close(false);
      await removeIfThere(waiting);
    },
  };
}

/** `00001-public.users.ndjson`; what file systems or shells could stumble over is shown as `_`. */
function fileNameOf(
  { schema, name }: { schema: string; name: string },
  { count, suffix }: { count: number; suffix: string },
): string {
  const shown = `${schema}.${name}`.replace(/[^A-Za-z0-9_.-]/g, "_").slice(0, 100);
  return `${String(count).padStart(5, "0")}-${shown}${suffix}`;
}

async function refuseTaken(path: string, force: boolean): Promise<void> {
  const found = await statOf(path);
  if (found === null) return;
  if (found.isDirectory) {
    throw new BackupError("conflict", `Cannot write ${path}: it is a directory`, {
      hint: "Name a file, or say --directory for a file for each table.",
    });
  }
  if (!force) throw taken(path);
}

async function refuseForeign(
  path: string,
  { force, suffix }: { force: boolean; suffix: string },
): Promise<void> {
  const found = await statOf(path);
  if (found === null) return;
  if (!found.isDirectory) throw taken(path, "it is a file");
  for await (const { name, isFile } of Deno.readDir(path)) {
    if (!force) throw taken(path);
    if (isFile && /^\d{5}-/.test(name) && name.endsWith(suffix)) continue;
    throw new BackupError("conflict", `Cannot replace ${path}: it holds more than an export`, {
      hint: "Name another directory, or empty this one.",
    });
  }
}

function taken(path: string, why = "it is there already"): BackupError {
  return new BackupError("conflict", `Cannot write ${path}: ${why}`, {
    hint: "Name another place, or say --force to replace what an export left there.",
  });
}

/** A name beside the final one, so that both are on the same disk. */
function besides(path: string): string {
  const name = basename(path.replace(/\/+$/, ""));
  return join(dirname(path.replace(/\/+$/, "")), `.${name.slice(0, 100)}.${crypto.randomUUID()}`);
}

async function openNew(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  } catch (error) {
    throw writeError(error, path);
  }
}

/** Gives a file its name unless that is taken, in one step where the file system can. */
async function giveName(waiting: string, path: string): Promise<void> {
  try {
    await Deno.link(waiting, path);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) throw taken(path);
    // A file system without hard links.
    await refuseTaken(path, false);
    return await Deno.rename(waiting, path);
  }
  await Deno.remove(waiting);
}

async function writeAll(
  file: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  try {
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
  } catch (error) {
    throw writeError(error, "the export");
  }
}

function writeError(error: unknown, path: string): unknown {
  if (!(error instanceof Error)) return error;
  const full = /ENOSPC|EDQUOT|os error 28\b|os error 122\b/.test(`${error.message}`);
  const why = full ? "there is no room left on the disk" : error.message;
  return new BackupError(
    full ? "storage_full" : "storage_refused",
    `Cannot write ${path}: ${why}`,
    {
      hint: "Nothing was left under the final name.",
      cause: error,
    },
  );
}

async function statOf(path: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw writeError(error, path);
  }
}

async function exists(path: string): Promise<boolean> {
  return await statOf(path) !== null;
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
