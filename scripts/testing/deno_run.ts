/**
 * How tests start programs of the checkout.
 *
 * @module
 */
import { fileURLToPath } from "../paths.ts";

const LOCK = fileURLToPath(new URL("../../deno.lock", import.meta.url));

/** The target's release, whose form of the lock file others do not read. */
const isTarget = Deno.version.deno.startsWith("2.1.");

/**
 * Arguments of `deno` before the program's own path. With the lock file, which they leave as it is, it starts
 * in half the time: without, the versions of some hundred packages are worked out anew.
 */
export const DENO_RUN: readonly string[] = [
  ...["run", "-A", "--no-check"],
  ...(isTarget ? [`--lock=${LOCK}`, "--frozen"] : ["--no-lock"]),
];
