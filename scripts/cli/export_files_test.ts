import assert from "node:assert/strict";
import { utf8 } from "../../supabase/functions/backup/core/bytes.ts";
import { join } from "../paths.ts";
import { tinyDisk, whyNoTinyDisk } from "../../tests/support/tiny_disk.ts";
import { directoryOfFiles, type ExportFiles, singleFile } from "./export_files.ts";

const FORCE = { force: true };
const NO_FORCE = { force: false };
const SUFFIX = ".ndjson";

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Everything below a folder, with its content. */
async function below(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (!isDirectory) found[name] = await Deno.readTextFile(path);
    else {
      for (const [inner, text] of Object.entries(await below(path))) {
        found[`${name}/${inner}`] = text;
      }
    }
  }
  return found;
}

async function writeTable(files: ExportFiles, name: string): Promise<void> {
  await files.target.nextFile?.({ schema: "public", name });
  await files.target.write(utf8(name));
}

Deno.test("singleFile() gives the file its name only at the end", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.sql");
    const files = await singleFile(path, NO_FORCE);
    await files.target.write(utf8("half"));
    assert.ok(!Object.hasOwn(await below(folder), "a.sql"));
    await files.target.write(utf8(" and half"));
    await files.finish();
    await files.discard();
    assert.deepEqual(await below(folder), { "a.sql": "half and half" });
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  });
});

Deno.test("singleFile() leaves nothing behind what is discarded", async () => {
  await withFolder(async (folder) => {
    const files = await singleFile(join(folder, "a.sql"), NO_FORCE);
    await files.target.write(utf8("half"));
    await files.discard();
    assert.deepEqual(await below(folder), {});
  });
});

Deno.test("singleFile() replaces a file only by force, also one that came meanwhile", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.sql");
    const files = await singleFile(path, NO_FORCE);
    await Deno.writeTextFile(path, "mine");
    await assert.rejects(files.finish(), { code: "conflict" });
    await files.discard();
    await assert.rejects(singleFile(path, NO_FORCE), { code: "conflict" });
    assert.deepEqual(await below(folder), { "a.sql": "mine" });
    const forced = await singleFile(path, FORCE);
    await forced.target.write(utf8("new"));
    await forced.finish();
    assert.deepEqual(await below(folder), { "a.sql": "new" });
    await assert.rejects(singleFile(folder, FORCE), { code: "conflict" });
  });
});

Deno.test("directoryOfFiles() gives each table a file whose name no table can choose", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "export");
    const files = await directoryOfFiles(path, { ...NO_FORCE, suffix: SUFFIX });
    for (const name of ["users", "../../etc/passwd\n", "x".repeat(300)]) {
      await writeTable(files, name);
    }
    assert.equal(
      (await Array.fromAsync(Deno.readDir(folder))).some(({ name }) => name === "export"),
      false,
    );
    await files.finish();
    assert.deepEqual(Object.keys(await below(folder)).sort(), [
      "export/00001-public.users.ndjson",
      "export/00002-public..._.._etc_passwd_.ndjson",
      `export/00003-public.${"x".repeat(93)}.ndjson`,
    ]);
  });
});

Deno.test("directoryOfFiles() replaces by force an export and nothing else", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "export");
    const write = async (force: boolean, name: string) => {
      const files = await directoryOfFiles(path, { force, suffix: SUFFIX });
      try {
        await writeTable(files, name);
        await files.finish();
      } finally {
        await files.discard();
      }
    };
    await write(false, "a");
    await assert.rejects(write(false, "b"), { code: "conflict" });
    await write(true, "c");
    assert.deepEqual(await below(folder), { "export/00001-public.c.ndjson": "c" });
    await Deno.writeTextFile(join(path, "thesis.txt"), "mine");
    await assert.rejects(write(true, "d"), { code: "conflict" });
    assert.deepEqual(await below(folder), {
      "export/00001-public.c.ndjson": "c",
      "export/thesis.txt": "mine",
    });
  });
});

const noDisk = await whyNoTinyDisk();

Deno.test({
  name: `singleFile() says that the disk is full and leaves nothing on it${noDisk}`,
  ignore: noDisk !== "",
  fn: async () => {
    await using disk = await tinyDisk(65_536);
    const files = await singleFile(join(disk.path, "a.sql"), NO_FORCE);
    await assert.rejects(files.target.write(new Uint8Array(100_000)), { code: "storage_full" });
    await files.discard();
    assert.deepEqual(await below(disk.path), {});
  },
});
