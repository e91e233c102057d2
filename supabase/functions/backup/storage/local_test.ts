import assert from "node:assert/strict";
import { bytes, isCode, testStorage } from "../../../../tests/support/storage_suite.ts";
import { localStorage } from "./local.ts";

testStorage("localStorage()", async () => {
  const directory = await Deno.makeTempDir({ prefix: "backup_storage_" });
  const path = `${directory}/new/place`;
  return {
    storage: localStorage(path),
    reopen: () => localStorage(path),
    close: () => Deno.remove(directory, { recursive: true }),
  };
});

async function inDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "backup_storage_" });
  try {
    await run(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("localStorage() lets only its owner in and leaves nothing unfinished", () =>
  inDirectory(async (directory) => {
    const storage = localStorage(`${directory}/r`);
    await storage.put("a/b", bytes(10));
    await storage.put("a/b", bytes(11));
    const mode = async (path: string) => ((await Deno.stat(path)).mode ?? 0) & 0o777;
    assert.equal(await mode(`${directory}/r`), 0o700);
    assert.equal(await mode(`${directory}/r/a`), 0o700);
    assert.equal(await mode(`${directory}/r/a/b`), 0o600);
    const left = await Array.fromAsync(Deno.readDir(`${directory}/r/.unfinished`));
    assert.deepEqual(left, []);
  }));

Deno.test("localStorage() does not show what a dead writer left", () =>
  inDirectory(async (directory) => {
    await Deno.mkdir(`${directory}/.unfinished`);
    await Deno.writeFile(`${directory}/.unfinished/half`, bytes(5));
    for await (const { name } of localStorage(directory).list("")) assert.fail(`listed ${name}`);
  }));

Deno.test("localStorage() calls a file in a directory's place a refusal", () =>
  inDirectory(async (directory) => {
    await Deno.writeTextFile(`${directory}/file`, "");
    const storage = localStorage(`${directory}/file/below`);
    await assert.rejects(storage.put("a", bytes(1)), isCode("storage_refused"));
  }));
