/**
 * The programs that export and import, as processes of their own.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath, join } from "../../scripts/paths.ts";
import { DENO_RUN } from "../../scripts/testing/deno_run.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { contentOf, run } from "../support/export_round_trip.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

function command(name: string, args: readonly string[]): Deno.Command {
  const script = fileURLToPath(new URL(`../../scripts/${name}.ts`, import.meta.url));
  return new Deno.Command(Deno.execPath(), {
    args: [...DENO_RUN, script, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs a program to its end. */
async function start(name: string, args: readonly string[], input?: Uint8Array) {
  const child = command(name, args).spawn();
  const writer = child.stdin.getWriter();
  if (input !== undefined) await writer.write(input);
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  return { code, stdout, said: new TextDecoder().decode(stderr) };
}

Deno.test("export and import work together through a pipe and through a directory", async () => {
  await using source = await temporaryDatabase("m5_command");
  await using target = await temporaryDatabase("m5_command_target");
  await run(
    source.url,
    `create table public.users (id int primary key, name text);
     insert into public.users values (1, 'a'), (2, null);
     create table public.notes (of int references public.users, note text);
     insert into public.notes values (2, '')`,
  );
  const tables = ["public.users", "public.notes"];
  const into = ["--database-url", target.url];
  const exported = await start("export", ["--from", source.url, "--format", "json"]);
  assert.equal(exported.code, 0, exported.said);
  assert.match(exported.said, /: 2 tables, 3 rows/);
  const imported = await start("import", [...into, "--create", "--json"], exported.stdout);
  assert.equal(imported.code, 0, imported.said);
  assert.equal(JSON.parse(new TextDecoder().decode(imported.stdout)).rows, 3);
  const expected = await contentOf(source.url, tables);
  assert.deepEqual(await contentOf(target.url, tables), expected);

  const folder = await Deno.makeTempDir();
  try {
    const directory = join(folder, "export");
    const split = ["--from", source.url, "--format", "json", "--directory", directory];
    assert.equal((await start("export", split)).code, 0);
    const names = (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name).sort();
    assert.deepEqual(names, ["00001-public.users.ndjson", "00002-public.notes.ndjson"]);
    await run(target.url, "update public.users set name = 'changed'");
    const again = await start("import", [...into, "--mode", "replace", "--input", directory]);
    assert.equal(again.code, 0, again.said);
    assert.deepEqual(await contentOf(target.url, tables), expected);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an export that is stopped or killed leaves nothing under the final name", async () => {
  await using source = await temporaryDatabase("m5_stopped");
  await run(source.url, "create table public.held (id int)");
  const holder = await connect({ url: source.url });
  const observer = await connect({ url: source.url });
  const folder = await Deno.makeTempDir();
  const visible = async () =>
    (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name)
      .filter((name) => !name.startsWith("."));
  try {
    await holder.execute("begin; lock table public.held");
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const args = ["--from", source.url, "--output", join(folder, "a.sql")];
      const child = command("export", args).spawn();
      await child.stdin.close();
      const pid = await untilBackendWaits(observer);
      child.kill(signal);
      const { code } = await child.output();
      assert.equal(code, signal === "SIGTERM" ? 130 : 137);
      assert.deepEqual(await visible(), []);
      if (signal === "SIGTERM") assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
      await observer.query("select pg_terminate_backend($1, 10000)", [pid]);
    }
  } finally {
    await holder.close();
    await observer.close();
    await Deno.remove(folder, { recursive: true });
  }
});

/** The server process of an export that waits for a lock. */
async function untilBackendWaits(observer: Awaited<ReturnType<typeof connect>>): Promise<number> {
  for (;;) {
    const [found] = await observer.query(
      `select pid from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`,
    );
    if (found !== undefined) return found.pid;
  }
}
