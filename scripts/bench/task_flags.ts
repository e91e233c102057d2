/**
 * The flags of the runtime that a task of `deno.json` has, so that what is measured is what people run.
 *
 * @module
 */
const config = JSON.parse(
  await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
) as { tasks: Record<string, string> };

/** Such as `--v8-flags=…`; none where the task has none. */
export function taskFlags(task: "backup" | "restore"): string[] {
  return config.tasks[task]!.split(" ").filter((word) => word.startsWith("--v8-flags="));
}
