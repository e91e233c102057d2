/**
 * What the backup command leaves behind, and says, when it cannot begin.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "../../scripts/paths.ts";
import { DENO_RUN } from "../../scripts/testing/deno_run.ts";

const PROGRAM = fileURLToPath(new URL("../../scripts/backup.ts", import.meta.url));
const KEY = "q0xTg1t3rJ5Y8nVb2mKc7wZs4dPh6uLeXaRiOyFjGvE=";
const OTHER_KEY = "Zm9ydHktdHdvIGJ5dGVzIG9mIGFub3RoZXIga2V5ISE=";

async function backup({ folder, port, key }: { folder: string; port: number; key: string }) {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...DENO_RUN, PROGRAM, "--json", "--repository", `file://${folder}`]
      .concat("--database-url", `postgres://nobody@127.0.0.1:${port}/nothing`),
    env: { BACKUP_ENCRYPTION_KEY: key },
  }).output();
  return { code, error: JSON.parse(new TextDecoder().decode(stderr)).error };
}

async function filesOf(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (!isDirectory) files.push(name);
    else files.push(...(await filesOf(`${folder}/${name}`)).map((file) => `${name}/${file}`));
  }
  return files.sort();
}

/** A port that nobody listens at. */
function closedPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("a database that cannot be reached leaves no repository half made", async () => {
  const folder = await Deno.makeTempDir({ prefix: "backup_command_" });
  try {
    const tries = await Promise.all(
      [1, 2, 3, 4].map(async (each) => {
        const place = `${folder}/${each}`;
        await Deno.mkdir(place);
        const { code, error } = await backup({ folder: place, port: closedPort(), key: KEY });
        assert.deepEqual([code, error.code], [1, "database_unreachable"]);
        return await filesOf(place);
      }),
    );
    for (const [key, file, ...others] of tries) {
      assert.match(key!, /^keys\//);
      assert.deepEqual([file, others], ["repository.json", []]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a wrong key is told while the database does not answer", async () => {
  const folder = await Deno.makeTempDir({ prefix: "backup_command_" });
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    await backup({ folder, port: closedPort(), key: KEY });
    const { code, error } = await backup({ folder, port: silent.addr.port, key: OTHER_KEY });
    assert.deepEqual([code, error.code], [1, "key_wrong"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
