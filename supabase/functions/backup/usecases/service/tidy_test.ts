import assert from "node:assert/strict";
import { readEnvironment } from "../../config.ts";
import { BackupError, type ErrorCode } from "../../core/errors.ts";
import { createDeps } from "../../create_deps.ts";
import { tidy } from "./tidy.ts";

/** What is on the log of the storage after a tick of the half hour. */
async function loggedOf(code: ErrorCode): Promise<string[]> {
  const deps = createDeps({ environment: readEnvironment(() => undefined) });
  const logged: string[] = [];
  try {
    await tidy({
      ...deps,
      clock: { ...deps.clock, now: () => new Date("2026-06-01T12:30:00Z") },
      openRepository: () => Promise.reject(new BackupError(code, "Cannot open the repository")),
      reportError: ({ code }, about) => void logged.push(`${about}: ${code}`),
    });
  } finally {
    await deps.idle();
    await deps.state.close();
  }
  return logged.filter((line) => !line.endsWith("invalid_config")); // there is no database either
}

Deno.test("a storage that nobody has set up is no noise on the log, one that fails is on it once", async () => {
  for (const code of ["invalid_config", "key_missing", "repository_missing"] as const) {
    assert.deepEqual(await loggedOf(code), []);
  }
  assert.deepEqual(await loggedOf("storage_unreachable"), ["tidy: storage: storage_unreachable"]);
});
