/**
 * A disk that is soon full, where this process may make one.
 *
 * @module
 */

/** See the module. */
export interface TinyDisk extends AsyncDisposable {
  path: string;
}

/** For a test's name: why no such disk can be made here; empty when it can. */
export async function whyNoTinyDisk(): Promise<string> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) {
    return " (skipped: only root may mount a disk)";
  }
  try {
    await (await tinyDisk(65_536))[Symbol.asyncDispose]();
    return "";
  } catch {
    return " (skipped: this machine lets nobody mount a disk)";
  }
}

/** Makes one of so many bytes, in memory. @throws {Error} where that is not possible */
export async function tinyDisk(bytes: number): Promise<TinyDisk> {
  const path = await Deno.makeTempDir({ prefix: "supabase-backup-disk-" });
  const size = `size=${bytes},mode=0777`;
  if (!await succeeds("mount", ["-t", "tmpfs", "-o", size, "tmpfs", path])) {
    await Deno.remove(path);
    throw new Error(`Cannot mount a disk at ${path}`);
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      if (await succeeds("umount", ["-l", path])) await Deno.remove(path);
    },
  };
}

async function succeeds(program: string, args: string[]): Promise<boolean> {
  const { success } = await new Deno.Command(program, { args, stdout: "null", stderr: "null" })
    .output();
  return success;
}
