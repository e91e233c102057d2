import assert from "node:assert/strict";
import { DEFAULT_SETTINGS, type Settings } from "../../core/settings.ts";
import { memoryStorage } from "../../storage/memory.ts";
import { FORMAT_DOCUMENT } from "./format_document.ts";
import { keepRecoverySheet, recoverySheet } from "./recovery_sheet.ts";

const SETTINGS: Settings = {
  ...DEFAULT_SETTINGS,
  backupStorageType: "gcs",
  backupStorageConfig: { bucket: "b", prefix: "p", secretKey: "env:HIDDEN_NAME" },
};

Deno.test("the recovery sheet names the place, its credentials and the key, and no secret", () => {
  const sheet = recoverySheet(SETTINGS, "recovery/format.md");
  assert.match(
    sheet,
    /export GOOGLE_CREDENTIALS=… BACKUP_ENCRYPTION_KEY="\$\(cat backup\.key\)"\n/,
  );
  assert.match(sheet, /export REPOSITORY='gs:\/\/b\/p'\n/);
  assert.match(sheet, /`recovery\/format\.md` says byte by byte/);
  assert.doesNotMatch(sheet, /HIDDEN_NAME|--no-encryption/);
  const plain = recoverySheet({ ...SETTINGS, enableEncryption: false }, "f");
  assert.match(plain, /--backup latest .* --no-encryption/);
  assert.doesNotMatch(plain, /BACKUP_ENCRYPTION_KEY/);
});

Deno.test("keepRecoverySheet() writes both pages once, and another one when the place is another", async () => {
  const storage = memoryStorage();
  const names = async () => (await Array.fromAsync(storage.list(""))).map(({ name }) => name);
  const name = await keepRecoverySheet(storage, SETTINGS);
  const first = await names();
  assert.equal(first.length, 2);
  assert.equal(await keepRecoverySheet(storage, SETTINGS), name);
  assert.deepEqual(await names(), first);
  const sheet = new TextDecoder().decode(await storage.get(name));
  const [format] = /recovery\/repository-format\S+\.md/.exec(sheet)!;
  assert.equal(new TextDecoder().decode(await storage.get(format)), FORMAT_DOCUMENT);
  const other = { ...SETTINGS, backupStorageConfig: { bucket: "other" } };
  assert.notEqual(await keepRecoverySheet(storage, other), name);
  assert.equal((await names()).length, 3);
});

Deno.test("the page on the format in the storage is the page of the documents", async () => {
  const page = new URL("../../../../../docs/repository-format.md", import.meta.url);
  assert.equal(
    FORMAT_DOCUMENT,
    await Deno.readTextFile(page),
    "run scripts/write_format_document.ts",
  );
});
