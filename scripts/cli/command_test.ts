import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const BACKUP = fileURLToPath(new URL("../backup.ts", import.meta.url));
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
      args: ["run", "-A", "--no-lock", "--no-check", BACKUP, ...args],
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.equal(code, exitCode, said);
    assert.doesNotMatch(said, /hunter2/);
  });
}
