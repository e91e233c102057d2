/**
 * A disk that is soon full, where this process may make one.
 *
 * @module
 */

/** See the module. */
export interface TinyDisk extends AsyncDisposable {
  /** Where it is; null when there is none. */
  path: string | null;
  /** For a test's name: why there is none. */
  why: string;
}

/** Makes one of so many bytes, in memory. */
export async function tinyDisk(bytes: number): Promise<TinyDisk> {
  const none = (why: string): TinyDisk => ({
    ...{ path: null, why: ` (skipped: ${why})` },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return none("only root may mount a disk");
  const path = await Deno.makeTempDir({ prefix: "supabase-backup-disk-" });
  const size = `size=${bytes},mode=0777`;
  if (!await succeeds("mount", ["-t", "tmpfs", "-o", size, "tmpfs", path])) {
    await Deno.remove(path);
    return none("this machine lets nobody mount a disk");
  }
  return {
    ...{ path, why: "" },
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
