import assert from "node:assert/strict";
import { bytes, isCode, names } from "../../../../tests/support/storage_suite.ts";
import {
  readSampleBackup,
  SAMPLE_KEY,
  writeSampleBackup,
} from "../../../../tests/support/repository_samples.ts";
import { fromBase64, fromUtf8, utf8 } from "../core/bytes.ts";
import { type MemoryStorage, memoryStorage } from "../storage/memory.ts";
import { refuseOversized } from "../storage/oversized.ts";
import type { GetOptions } from "../storage/storage.ts";
import { plainCipher } from "./cipher.ts";
import { decompress } from "./compress.ts";
import {
  createRepository,
  NameSet,
  openRepository,
  type RecoveryPoint,
  type Repository,
} from "./mod.ts";
import { openObject, sealObject } from "./object.ts";
import { ObjectStore } from "./object_store.ts";
import type { LinesRef } from "./types.ts";
import { runtimeZstd } from "./zstd.ts";

const FIRST = "backup_20260101T000000000Z_0000000001";
const SECOND = "backup_20260102T000000000Z_0000000002";

async function twoBackups(
  encrypted = true,
): Promise<{ storage: MemoryStorage; repository: Repository }> {
  const storage = memoryStorage();
  const repository = await createRepository({ storage, key: encrypted ? SAMPLE_KEY : null });
  await writeSampleBackup(repository, { backupId: FIRST, parts: [bytes(9000)] });
  await writeSampleBackup(repository, { backupId: SECOND, parts: [bytes(5000)] });
  return { storage, repository };
}

async function replace(storage: MemoryStorage, path: string, content: Uint8Array): Promise<void> {
  await storage.delete(path);
  await storage.put(path, content);
}

/** What anybody who writes to the bucket of an unencrypted repository can do. */
async function forge(storage: MemoryStorage, content: unknown): Promise<void> {
  const file = JSON.parse(fromUtf8(await storage.get("repository.json")));
  const cipher = await plainCipher(fromBase64(file.publicSalt), file);
  const path = `backups/${SECOND}`;
  const compression = { algorithm: "none" as const, level: 0 };
  const text = typeof content === "string" ? content : JSON.stringify(content);
  await replace(
    storage,
    path,
    await sealObject(utf8(text), { cipher, kind: "backup", path, compression }),
  );
}

/** Puts a manifest there and gives its name. */
async function putManifest(storage: MemoryStorage, manifest: unknown): Promise<string> {
  const file = JSON.parse(fromUtf8(await storage.get("repository.json")));
  const cipher = await plainCipher(fromBase64(file.publicSalt), file);
  const content = utf8(JSON.stringify(manifest));
  const name = await cipher.nameOf("manifest", content);
  const path = `manifests/${name}`;
  const compression = { algorithm: "none" as const, level: 0 };
  const sealed = await sealObject(content, { ...{ cipher, compression, path }, kind: "manifest" });
  await storage.put(path, sealed);
  return name;
}

Deno.test("a record put in another's place is told apart and the other still opens", async () => {
  const { storage, repository } = await twoBackups();
  await replace(storage, `backups/${SECOND}`, await storage.get(`backups/${FIRST}`));
  await assert.rejects(repository.readBackup(SECOND), isCode("object_swapped"));
  const list = await repository.listBackups();
  assert.deepEqual(list.backups.map((one) => one.backupId), [FIRST]);
  assert.deepEqual(list.damaged.map((one) => one.code), ["object_swapped"]);
});

Deno.test("manifests that are swapped, cut or exchanged for a chunk give no data", async () => {
  const { storage, repository } = await twoBackups();
  const { record: first } = await repository.readBackup(FIRST);
  const { record: second } = await repository.readBackup(SECOND);
  const path = `manifests/${second.manifest}`;
  const original = await storage.get(path);
  const [chunk] = await names(storage, "chunks/");
  const cases: [string, Uint8Array][] = [
    ["object_swapped", await storage.get(`manifests/${first.manifest}`)],
    ["object_swapped", await storage.get(chunk as string)],
    ["object_truncated", original.slice(0, -1)],
    ["object_altered", original.with(original.length - 1, (original.at(-1) as number) ^ 1)],
  ];
  for (const [code, content] of cases) {
    await replace(storage, path, content);
    await assert.rejects(readSampleBackup(repository, SECOND), isCode(code));
  }
});

Deno.test("objects of another repository with the same key do not open", async () => {
  const { storage, repository } = await twoBackups();
  const other = await twoBackups();
  await replace(storage, `backups/${SECOND}`, await other.storage.get(`backups/${SECOND}`));
  await assert.rejects(repository.readBackup(SECOND), isCode("object_altered"));
});

Deno.test("a key file of nonsense beside ours does not lock us out", async () => {
  const { storage } = await twoBackups();
  const [own] = await names(storage, "keys/");
  const file = JSON.parse(fromUtf8(await storage.get(own as string)));
  const nonsense = [
    { wrapped: "!" },
    { derivation: { ...file.derivation, salt: "?" } },
    { derivation: { name: "scrypt", N: 3, r: 8, p: 1, salt: file.derivation.salt } },
    { derivation: { name: "scrypt", N: 2 ** 40, r: 8, p: 1, salt: file.derivation.salt } },
  ];
  for (const [index, change] of nonsense.entries()) {
    const keyId = `000000000000000${index}`; // listed before ours
    await storage.put(`keys/${keyId}`, utf8(JSON.stringify({ ...file, keyId, ...change })));
  }
  const opened = await openRepository({ storage, key: SAMPLE_KEY });
  assert.equal((await readSampleBackup(opened, FIRST)).length, 1);
  await storage.delete(own as string);
  await assert.rejects(openRepository({ storage, key: SAMPLE_KEY }), isCode("object_altered"));
});

Deno.test("a forged record leads to no other path and does not break the list", async () => {
  const { storage, repository } = await twoBackups(false);
  const { record } = await repository.readBackup(SECOND);
  const forged = [
    { ...record, manifest: "../../etc/passwd" },
    { ...record, manifest: undefined },
    { ...record, backupId: FIRST },
    { ...record, totals: undefined },
    { ...record, totals: { ...record.totals, rawBytes: "1" } },
    { ...record, createdAt: "yesterday" },
    { ...record, reason: "\0" },
    { ...record, consistency: null },
    "not JSON",
    "null",
  ];
  for (const content of forged) {
    await forge(storage, content);
    const list = await repository.listBackups();
    assert.deepEqual(list.backups.map((one) => one.backupId), [FIRST]);
    assert.deepEqual(list.damaged.map((one) => one.backupId), [SECOND]);
    await assert.rejects(repository.readBackup(SECOND), isCode(list.damaged[0]?.code as string));
  }
});

Deno.test("a forged manifest is damage for everybody who reads it", async () => {
  const { storage, repository } = await twoBackups(false);
  const { record, manifest } = await repository.readBackup(SECOND);
  const { entries, source: _source, ...rest } = manifest;
  const forged = [
    ...[{ ...manifest, entries: null }, { ...manifest, entries: { lines: 0 } }, rest],
    { ...manifest, dataParts: { ...entries, chunks: [{ ...entries.chunks[0], name: "../keys" }] } },
    { ...manifest, tableData: { ...entries, chunks: [{ ...entries.chunks[0], lines: -1 }] } },
  ];
  for (const content of forged) {
    await forge(storage, { ...record, manifest: await putManifest(storage, content) });
    await assert.rejects(repository.readBackup(SECOND), isCode("object_altered"));
    await assert.rejects(repository.freeing.refsOfManifests([SECOND]), isCode("object_altered"));
    const { problems } = await repository.verify({ level: "quick" });
    assert.deepEqual(problems.map(({ code, backups }) => [code, backups]), [
      ["object_altered", [SECOND]],
    ]);
  }
});

Deno.test("a forged recovery point does not break the list", async () => {
  const storage = memoryStorage();
  const repository = await createRepository({ storage, key: null });
  const of = (pointId: string): RecoveryPoint => ({
    ...{ format: 1, pointId, createdAt: "2026-01-01T00:00:00Z", status: "failed" },
    ...{ completedAt: "2026-01-01T00:00:00Z", reason: null, origin: "manual", createdBy: null },
    ...{ components: [], consistency: [], writtenBy: "test" },
  });
  const ids = Array.from({ length: 5 }, (_, at) => `point_20260101T000000000Z_000000000${at}`);
  const [good] = ids as [string];
  await repository.commitPoint(of(good));
  const lies = [{ components: null }, { components: [{ backupId: 1 }] }, { createdAt: 1 }, {
    consistency: "none",
  }];
  for (const [at, lie] of lies.entries()) {
    await repository.commitPoint({ ...of(ids[at + 1]!), ...lie } as unknown as RecoveryPoint);
  }
  const { points, damaged } = await repository.listPoints();
  assert.deepEqual(points.map(({ pointId }) => pointId), [good]);
  assert.deepEqual(damaged.map(({ code }) => code), lies.map(() => "object_altered"));
});

Deno.test("a backup id that is a path is no backup", async () => {
  const { repository } = await twoBackups();
  for (const id of ["../repository.json", `${FIRST}/../${SECOND}`, "", "latest ", "__proto__"]) {
    await assert.rejects(repository.readBackup(id), isCode("backup_not_found"));
  }
});

Deno.test("unpacking takes no memory for a frame that promises another length", async () => {
  const unpack = (frame: Uint8Array, rawBytes: number) =>
    decompress(frame, { algorithm: "zstd", rawBytes });
  for (const length of [1, 200, 300, 70_000, 200_000]) {
    const frame = await runtimeZstd.compress(new Uint8Array(length), 1);
    assert.equal((await unpack(frame, length)).length, length);
    await assert.rejects(unpack(frame, length + 1), /another length/);
  }
  // Eight bytes that promise an exabyte.
  const bomb = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0]);
  await assert.rejects(unpack(bomb, 16), /another length/);
  await assert.rejects(unpack(new Uint8Array([0x28, 0xb5]), 16), /another length/);
});

Deno.test("a gzip object that unpacks to more than it says is refused", async () => {
  const storage = memoryStorage();
  const compression = { algorithm: "gzip" as const, level: 9 };
  const cipher = await plainCipher(new Uint8Array(32), { repositoryId: "00".repeat(16) });
  const place = { kind: "chunk" as const, path: "chunks/00/bomb" };
  const sealed = await sealObject(new Uint8Array(1 << 20), { ...place, cipher, compression });
  // The header's own length is a lie; without encryption a forger can seal that too.
  const header = sealed.slice(0, 68);
  new DataView(header.buffer).setUint32(28, 100);
  const payload = sealed.slice(68, -16);
  await storage.put(
    place.path,
    await cipher.seal(payload, header.slice(16, 28), header),
  );
  const objects = new ObjectStore({ storage, cipher, compression });
  await assert.rejects(objects.get(place), isCode("object_altered"));
});

Deno.test("an object of gigabytes under a chunk's name is never read into memory", async () => {
  const { storage, repository } = await twoBackups();
  let asked: number | undefined = 0;
  const huge = new Proxy(storage, {
    get: (target, key) =>
      key !== "get" ? Reflect.get(target, key) : (name: string, options: GetOptions = {}) => {
        if (!name.startsWith("chunks/")) return target.get(name, options);
        asked = options.maxBytes;
        refuseOversized(name, 10 * 1024 ** 3, options.maxBytes);
        return target.get(name, options);
      },
  });
  const again = await openRepository({ storage: huge, key: SAMPLE_KEY });
  await assert.rejects(readSampleBackup(again, SECOND), isCode("object_oversized"));
  assert.ok(asked !== undefined && asked <= 65 * 1024 * 1024);
  assert.equal((await repository.verify({ level: "quick" })).problems.length, 0);
});

Deno.test("a header of an unencrypted repository cannot ask for gigabytes", async () => {
  const { storage } = await twoBackups(false);
  const file = JSON.parse(fromUtf8(await storage.get("repository.json")));
  const cipher = await plainCipher(fromBase64(file.publicSalt), file);
  const place = { kind: "chunk" as const, path: "chunks/aa/x" };
  const compression = { algorithm: "none" as const, level: 0 };
  const sealed = await sealObject(bytes(200), { ...place, cipher, compression });
  const header = sealed.slice(0, 68);
  new DataView(header.buffer).setUint32(28, 0xffff_ffff);
  const forged = await cipher.seal(bytes(200), header.slice(16, 28), header);
  await assert.rejects(openObject(forged, { ...place, cipher }), isCode("object_oversized"));
});

const OWNER = { projectRef: null, systemIdentifier: "7", database: "app" };

Deno.test("junk in the place of an owner stops no writer and is named by verify", async () => {
  const { storage, repository } = await twoBackups();
  await storage.put("owners/000001", bytes(10));
  await storage.put("owners/999999", utf8("{}"));
  await repository.claimOwner(OWNER);
  await repository.claimOwner(OWNER);
  assert.deepEqual(await repository.owner(), OWNER);
  assert.ok(await storage.head("owners/000002"), "the first free number");
  const other = { ...OWNER, database: "other" };
  await assert.rejects(repository.claimOwner(other), isCode("repository_foreign"));
  await repository.claimOwner(other, { takeOver: true });
  assert.deepEqual(await repository.owner(), other);
  const { problems } = await repository.verify({ level: "quick" });
  assert.deepEqual(problems.map((one) => one.object), ["owners/999999"]);
});

Deno.test("notes of freeing space that nobody with the key wrote stop no backup and free nothing", async () => {
  const { storage, repository } = await twoBackups();
  const chunks = [...storage.objects.keys()].filter((name) => name.startsWith("chunks/"));
  const stored = chunks.map((path) => path.slice(-64));
  const plan = utf8(JSON.stringify({ format: 1, at: "2020-01-01", chunks: stored, manifests: [] }));
  for (const what of ["plan", "begun-x", "kept-x", "expired", "missing"]) {
    await storage.put(`freed/cleanup_1/${what}`, plan);
  }
  assert.equal((await repository.freeing.expired()).size, 0);
  const writer = await openRepository({ storage, key: SAMPLE_KEY });
  assert.notEqual(await writer.rememberBackup("latest"), null);
  await writeSampleBackup(writer, {
    backupId: "backup_20990101T000000000Z_0000000009",
    parts: [bytes(9)],
  });
  const times = { graceMs: 0, lastsMs: 60_000, lockedMs: 0 };
  const begun = await repository.freeing.begin({ runId: "cleanup_2", times, dryRun: false });
  assert.deepEqual(begun.plans, []);
  const digit = stored[0]![0]!;
  const reachable = new NameSet();
  const swept = await repository.freeing.sweep(digit, { reachable, plans: ["cleanup_1"], times });
  assert.deepEqual(swept.freeable, []);
});

Deno.test("lists that say what no list can say are damage of their backup, whatever stands in them", async () => {
  const { storage, repository } = await twoBackups(false);
  const { record, manifest } = await repository.readBackup(SECOND);
  /** The problems of the backup when its list of parts is this one. */
  const problemsOf = async (dataParts: LinesRef) => {
    const name = await putManifest(storage, { ...manifest, dataParts });
    await forge(storage, { ...record, manifest: name });
    const reports = [];
    for (const level of ["quick", "full"] as const) {
      reports.push(await repository.verify({ level }));
    }
    assert.deepEqual(reports[0]!.problems, reports[1]!.problems);
    return reports[0]!.problems;
  };
  const chunk = "0".repeat(64);
  const lines: unknown[] = [
    ...[null, "text", {}, { pieces: {} }, { pieces: [null] }, { contents: 1 }, {
      contents: [null],
    }],
    { pieces: [{ chunk, offset: -1, length: 1 }] },
    { pieces: [{ chunk: "../keys", offset: 0, length: 1 }] },
  ];
  const lists = await Promise.all(lines.map((line) => repository.writeLines([line])));
  const writer = repository.pieceWriter();
  await writer.append(utf8("no JSON\n"));
  const written = writer.endPart();
  await writer.finish();
  const [piece] = await written;
  lists.push({ lines: 1, chunks: [{ name: piece!.chunk, rawBytes: 8, lines: 1 }] });
  for (const list of lists) {
    const [problem, ...more] = await problemsOf(list);
    const { object, code, backups, message } = problem!;
    assert.deepEqual([object, code, backups], [`backups/${SECOND}`, "object_altered", [SECOND]]);
    assert.match(message, /one names no pieces|one is not JSON/);
    assert.deepEqual(more, []);
    // What is not understood may name anything: nothing is freed.
    const names = list.chunks.map(({ name }) => name);
    const into = new NameSet();
    const marked = repository.freeing.refsOfLists(names, { into });
    await assert.rejects(marked, isCode("object_altered"));
  }
  // JSON can hold what no text can be made of.
  const nameless = { entry: { toString: 1 }, part: 0, rawBytes: 5, pieces: [] };
  const [problem] = await problemsOf(await repository.writeLines([nameless]));
  assert.deepEqual([problem!.object, problem!.message], ["? part 0", "Pieces miss bytes"]);
});

Deno.test("an owner put under a higher number is not believed", async () => {
  const { storage, repository } = await twoBackups();
  await repository.claimOwner(OWNER);
  await repository.claimOwner({ ...OWNER, database: "new" }, { takeOver: true });
  await storage.put("owners/000009", await storage.get("owners/000001"));
  assert.equal((await repository.owner())?.database, "new");
});

Deno.test("key files that nobody can read keep the key's own from opening nothing", async () => {
  const { storage, repository } = await twoBackups();
  await storage.put("keys/0000000000000000", new Uint8Array(1_000_000));
  await storage.put("keys/0000000000000001", utf8("nonsense"));
  const again = await openRepository({ storage, key: SAMPLE_KEY });
  assert.equal((await again.listBackups()).backups.length, 2);
  const { problems } = await repository.verify({ level: "quick" });
  assert.deepEqual(problems.map(({ object, code }) => [object, code]), [
    ["keys/0000000000000000", "object_oversized"],
    ["keys/0000000000000001", "object_altered"],
  ]);
});
