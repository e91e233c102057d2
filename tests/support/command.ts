/**
 * The command line programs as processes of their own, which tests can kill.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { DENO_RUN } from "../../scripts/testing/deno_run.ts";

/** The key of repositories that such a program makes and opens. */
export const COMMAND_KEY = "q0xTg1t3rJ5Y8nVb2mKc7wZs4dPh6uLeXaRiOyFjGvE=";

/** A running program. */
export interface RunningCommand {
  /** Settles when it has said its first line, which is its first step, or has ended. */
  begun: Promise<void>;
  /** How it ended, and all that it said on standard error. */
  ended: Promise<{ code: number; killed: boolean; said: string }>;
  /** Ends it at once, as a power cut does; nothing when it has ended already. */
  kill(): void;
}

/** Starts `scripts/<name>.ts`. */
export function startCommand(name: "backup" | "restore", args: readonly string[]): RunningCommand {
  const script = fileURLToPath(new URL(`../../scripts/${name}.ts`, import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: [...DENO_RUN, script, ...args],
    env: { BACKUP_ENCRYPTION_KEY: COMMAND_KEY },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const first = Promise.withResolvers<void>();
  const read = async () => {
    let said = "";
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      said += text;
      if (said.includes("\n")) first.resolve();
    }
    const { code, signal } = await child.status;
    first.resolve();
    return { code, killed: signal === "SIGKILL", said };
  };
  return {
    begun: first.promise,
    ended: read(),
    kill() {
      try {
        child.kill("SIGKILL");
      } catch (error) {
        // It has ended by itself in this moment.
        if (!(error instanceof TypeError)) throw error;
      }
    },
  };
}
