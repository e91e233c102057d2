/**
 * Where tests keep their servers and files: in memory where a machine has plenty of it. What tests write is
 * small and short-lived, and to make a database, which is some hundred files, took five to twelve times the
 * processor on a disk that others used as well.
 *
 * @module
 */
import { join } from "../paths.ts";

const MEMORY = "/dev/shm";

/** The fullest moment seen, three lanes with four servers each, took 0.8 GB. */
const WANTED = 2 * 1024 ** 3;

/** A new folder for everything that tests write; disposing removes it with all that is in it. */
export async function makeTestFolder(): Promise<AsyncDisposable & { path: string }> {
  const dir = await isGood(MEMORY) ? { dir: MEMORY } : {};
  const path = await Deno.makeTempDir({ ...dir, prefix: "supabase-backup-tests-" });
  await Deno.chmod(path, 0o755); // servers do not run as root
  return { path, [Symbol.asyncDispose]: () => remove(path) };
}

/** Whether there is room on it, as much memory is free, and programs and modules may lie there. */
async function isGood(folder: string): Promise<boolean> {
  if (Deno.build.os !== "linux" || Deno.systemMemoryInfo().available < 2 * WANTED) return false;
  const probe = await Deno.makeTempDir({ dir: folder }).catch(() => null);
  if (probe === null) return false;
  try {
    const script = join(probe, "script");
    await Deno.writeTextFile(script, "#!/bin/sh\ndf -Pk . | tail -n 1\n", { mode: 0o755 });
    const { stdout } = await new Deno.Command(script, { cwd: probe, stderr: "null" }).output();
    const free = Number(new TextDecoder().decode(stdout).trim().split(/\s+/)[3] ?? 0) * 1024;
    return free >= WANTED;
  } catch {
    return false; // without programs there, or without df: not a place for tests
  } finally {
    await remove(probe);
  }
}

/** A server that is ending may still write into the folder. */
async function remove(path: string): Promise<void> {
  await new Deno.Command("rm", { args: ["-rf", path], stderr: "null" }).output();
}
