import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { DENO_RUN } from "../testing/deno_run.ts";

const BACKUP = fileURLToPath(new URL("../backup.ts", import.meta.url));
const BACKUPS = fileURLToPath(new URL("../backups.ts", import.meta.url));
const ACTION = fileURLToPath(new URL("../action.ts", import.meta.url));
const URL_WITH_PASSWORD = "postgres://u:hunter2@127.0.0.1:1/d";

for (
  const [name, args, exitCode] of [
    ["an argument without its option", [URL_WITH_PASSWORD], 2],
    ["an address in a number's place", ["--database-url", "x", "--jobs", URL_WITH_PASSWORD], 2],
    ["an address in a repository's place", [
      "--database-url",
      URL_WITH_PASSWORD,
      "--no-encryption",
      "--repository",
      URL_WITH_PASSWORD,
    ], 1],
  ] as const
) {
  Deno.test(`a refused command line shows no password: ${name}`, async () => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...DENO_RUN, BACKUP, ...args],
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.equal(code, exitCode, said);
    assert.doesNotMatch(said, /hunter2/);
  });
}

Deno.test("a mistyped repository is answered with its error's code and the address to look at", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...DENO_RUN, BACKUPS, "--no-encryption", "--repository"]
        .concat(`file://${folder}`),
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stderr);
    assert.equal(code, 1, said);
    assert.match(said, /^\[repository_missing\] Cannot open .*\nCheck the address/);
    assert.doesNotMatch(said, /init/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an action without a storage says which variables are missing", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...DENO_RUN, ACTION, "--action", "jobs"],
    env: { PATH: Deno.env.get("PATH") ?? "", HOME: Deno.env.get("HOME") ?? "" },
    clearEnv: true,
    stdin: "null",
  }).output();
  const said = new TextDecoder().decode(stderr);
  assert.equal(code, 1, said);
  assert.match(said, /^\[invalid_config\] Cannot find the backups.*\n.*BACKUP_STORAGE_TYPE/);
});
