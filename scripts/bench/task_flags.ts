/**
 * The flags of the runtime that a task of `deno.json` has, so that what is measured is what people run.
 *
 * @module
 */
import config from "../../deno.json" with { type: "json" };

/** Such as `--v8-flags=…`; none where the task has none. */
export function taskFlags(task: "backup" | "restore"): string[] {
  return config.tasks[task].split(" ").filter((word) => word.startsWith("--v8-flags="));
}
