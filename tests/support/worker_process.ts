/**
 * Starts `part_worker.ts` as a process and speaks with it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { DENO_RUN } from "../../scripts/testing/deno_run.ts";

/** A worker in a process of its own. */
export interface WorkerProcess {
  child: Deno.ChildProcess;
  /** The next line that it says. */
  line(): Promise<string>;
  /** Lets it go on from where it stands. */
  goOn(): Promise<void>;
}

/** @param args as `part_worker.ts` takes them */
export function startWorker(args: string[]): WorkerProcess {
  const script = fileURLToPath(new URL("./part_worker.ts", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: [...DENO_RUN, script, ...args],
    ...{ stdin: "piped", stdout: "piped", stderr: "inherit" },
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  return {
    child,
    async line(): Promise<string> {
      while (!said.includes("\n")) {
        const { value, done } = await reader.read();
        assert.ok(!done, `the worker ended and said ${said}`);
        said += value;
      }
      const [line, ...rest] = said.split("\n");
      said = rest.join("\n");
      return line!;
    },
    async goOn(): Promise<void> {
      const writer = child.stdin.getWriter();
      await writer.write(new Uint8Array([10]));
      await writer.close();
    },
  };
}
