/**
 * The flags of the runtime that a task of `deno.json` has, so that what is measured is what people run.
 *
 * @module
 */
import { ROOT } from "../embedded_postgres.ts";
import { join } from "../paths.ts";

const config = JSON.parse(
  await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
) as { tasks: Record<string, string> };

/** Such as `--v8-flags=…`, and the lock file, wherever the runtime is started. */
export function taskFlags(task: "backup" | "restore"): string[] {
  return config.tasks[task]!.split(" ").filter((word) => /^--(v8-flags|lock)=/.test(word))
    .map((flag) => flag.replace(/^--lock=/, `--lock=${join(ROOT, "/")}`));
}
