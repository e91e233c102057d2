import assert from "node:assert/strict";
import { readEnvironment } from "./config.ts";
import { toBase64, utf8 } from "./core/bytes.ts";
import { BackupError } from "./core/errors.ts";
import { createDeps } from "./create_deps.ts";

const KEY = toBase64(new Uint8Array(32).map((_, index) => index * 7 + 1));

/** Rows as they are in tables: much is alike, and who looks longer finds more of it. */
const ROWS = utf8(
  Array.from({ length: 6000 }, (_, index) => {
    const at = (index * 2654435761) >>> 0;
    const words = [5, 9, 14, 20].map((shift) => `word${(at >>> shift) % 97}`).join(" ");
    return `${index}\tthe same words in every row\t${words}\t${(at >>> 3) % 1009}\n`;
  }).join(""),
);

/** What a chunk of rows comes to in storage with these variables. */
async function stored(variables: Record<string, string>): Promise<Uint8Array> {
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-settings-" });
  const all: Record<string, string> = {
    BACKUP_STORAGE_PATH: folder,
    BACKUP_ENCRYPTION_KEY: KEY,
    ...variables,
  };
  try {
    const deps = createDeps({ environment: readEnvironment((name) => all[name] || undefined) });
    const { settings } = await deps.settings();
    const repository = await deps.openRepository(settings, { create: true });
    await repository.writeChunk(ROWS);
    const files = await filesOf(`${folder}/chunks`);
    assert.equal(files.length, 1);
    return await Deno.readFile(files[0]!);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function filesOf(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) files.push(...await filesOf(`${folder}/${name}`));
    else files.push(`${folder}/${name}`);
  }
  return files;
}

function holdsRows(bytes: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(bytes).includes("the same words in every row");
}

Deno.test("enableEncryption decides whether what is stored can be read without a key", async () => {
  const plain = { BACKUP_ENABLE_COMPRESSION: "false" };
  assert.equal(holdsRows(await stored(plain)), false);
  assert.equal(holdsRows(await stored({ ...plain, BACKUP_ENABLE_ENCRYPTION: "false" })), true);
});

Deno.test("enableCompression, compressionAlgorithm and compressionLevel decide how much is stored", async () => {
  const open = { BACKUP_ENABLE_ENCRYPTION: "false" };
  const off = (await stored({ ...open, BACKUP_ENABLE_COMPRESSION: "false" })).length;
  assert.ok(off >= ROWS.length);
  const sizes: Record<string, number> = {};
  for (
    const [name, variables] of Object.entries({
      usual: {},
      zstd1: { BACKUP_COMPRESSION_LEVEL: "1" },
      zstd6: { BACKUP_COMPRESSION_LEVEL: "6" },
      zstd7: { BACKUP_COMPRESSION_LEVEL: "7" },
      zstd8: { BACKUP_COMPRESSION_LEVEL: "8" },
      zstd19: { BACKUP_COMPRESSION_LEVEL: "19" },
      gzip1: { BACKUP_COMPRESSION_ALGORITHM: "gzip", BACKUP_COMPRESSION_LEVEL: "1" },
      gzip: { BACKUP_COMPRESSION_ALGORITHM: "gzip" },
    } as Record<string, Record<string, string>>)
  ) sizes[name] = (await stored({ ...open, ...variables })).length;
  const said = JSON.stringify(sizes);
  assert.ok(sizes.usual! < off / 3 && sizes.usual === sizes.zstd6, said);
  // Level 6 costs a hosted worker no more than the lowest one: zstd has nothing cheaper.
  assert.equal(sizes.zstd6, sizes.zstd1, said);
  assert.equal(new Set([sizes.zstd6, sizes.zstd7, sizes.zstd8, sizes.zstd19]).size, 4, said);
  assert.ok(sizes.zstd19! < sizes.zstd6!, said);
  assert.ok(sizes.gzip! < sizes.gzip1!, said);
});

Deno.test("the guide's placeholders are refused by name, and so is encryption without a key", async () => {
  const isRefused = (code: string, message: RegExp) => (error: unknown) => {
    assert.ok(error instanceof BackupError && error.code === code, String(error));
    assert.match(error.message, message);
    return true;
  };
  await assert.rejects(
    stored({ BACKUP_ENCRYPTION_KEY: "" }),
    isRefused("key_missing", /env:BACKUP_ENCRYPTION_KEY is not set/),
  );
  await assert.rejects(
    stored({ BACKUP_ENCRYPTION_KEY: "your-encryption-key" }),
    isRefused("key_weak", /encryption key: it is a placeholder/),
  );
  const s3 = {
    BACKUP_STORAGE_TYPE: "s3",
    BACKUP_STORAGE_BUCKET: "backups",
    BACKUP_STORAGE_PATH: "",
    BACKUP_STORAGE_ACCESS_KEY: "AKIA",
    BACKUP_STORAGE_SECRET_KEY: "s3cret",
  };
  for (const name of ["ACCESS_KEY", "SECRET_KEY"]) {
    const example = `your-${name.toLowerCase().replace("_", "-")}`;
    await assert.rejects(
      stored({ ...s3, [`BACKUP_STORAGE_${name}`]: example }),
      isRefused("invalid_config", new RegExp(`its ${name} is a placeholder`)),
    );
  }
});
