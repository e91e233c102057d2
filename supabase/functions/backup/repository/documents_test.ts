import assert from "node:assert/strict";
import type { BackupError } from "../core/errors.ts";
import { Secret } from "../core/secret.ts";
import { memoryStorage } from "../storage/memory.ts";
import { createRepository } from "./mod.ts";

const KEY = new Secret("00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef");

Deno.test("writeDocument() keeps the first value of a name; listDocuments() gives a folder in order", async () => {
  const repository = await createRepository({ storage: memoryStorage(), key: KEY });
  const write = (name: string, value: unknown) => repository.writeDocument({ name, value });
  assert.deepEqual(await write("plans/a/000002", { text: "zwei" }), { created: true });
  assert.deepEqual(await write("plans/a/000001", null), { created: true });
  assert.deepEqual(await write("plans/b/000001", 1), { created: true });
  assert.deepEqual(await write("plans/a/000002", { text: "other" }), { created: false });
  assert.deepEqual(await repository.readDocument("plans/a/000002"), { text: "zwei" });
  const names = (folder: string) => Array.fromAsync(repository.listDocuments(folder));
  assert.deepEqual(await names("plans/a"), ["plans/a/000001", "plans/a/000002"]);
  assert.deepEqual(await names("plans"), ["plans/a/000001", "plans/a/000002", "plans/b/000001"]);
  assert.deepEqual(await names("executions"), []);
});

Deno.test("documents: names that climb, are empty or too deep are refused, and so is what is too long", async () => {
  const repository = await createRepository({ storage: memoryStorage(), key: KEY });
  const refused = (error: BackupError) => error.code === "invalid_request";
  for (const name of ["", "../keys/x", "a//b", "a/b/c/d/e", "a/.hidden", "ä", "a\nb", "/a"]) {
    await assert.rejects(repository.writeDocument({ name, value: 1 }), refused, name);
    await assert.rejects(repository.readDocument(name), refused, name);
  }
  const value = "x".repeat(1024 * 1024);
  await assert.rejects(
    repository.writeDocument({ name: "plans/long", value }),
    (error: BackupError) => error.code === "over_budget",
  );
});

Deno.test("readDocument() tells a document in another's place", async () => {
  const storage = memoryStorage();
  const repository = await createRepository({ storage, key: KEY });
  await repository.writeDocument({ name: "plans/a", value: 1 });
  await storage.put("documents/plans/b", await storage.get("documents/plans/a"));
  await assert.rejects(
    repository.readDocument("plans/b"),
    (error: BackupError) => error.code === "object_swapped",
  );
  await assert.rejects(
    repository.readDocument("plans/c"),
    (error: BackupError) => error.code === "object_missing",
  );
});
