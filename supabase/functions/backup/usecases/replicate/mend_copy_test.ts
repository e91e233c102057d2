import assert from "node:assert/strict";
import { readSampleBackup, SAMPLE_KEY } from "../../../../../tests/support/repository_samples.ts";
import {
  bodies,
  damage,
  FIRST,
  pathOf,
  POINT,
  replicate,
  rowsOf,
  samples,
  SECOND,
} from "../../../../../tests/support/sample_copies.ts";
import { storedChunks } from "../../../../../tests/support/stored_chunks.ts";
import { Secret } from "../../core/secret.ts";
import { openRepository } from "../../repository/mod.ts";

Deno.test("a full replication reads the copy back and mends what is damaged there", async () => {
  const places = await samples();
  await replicate(places);
  const { original, copy } = places;
  const repository = await openRepository({ storage: original, key: SAMPLE_KEY });
  const [one, other] = await storedChunks(repository, [FIRST]);
  damage(copy, pathOf(one!));
  damage(copy, pathOf(other!), "cut");
  damage(copy, `backups/${FIRST}`);
  damage(copy, `backups/${SECOND}`, "cut");
  damage(copy, `points/${POINT}`);
  const quick = await replicate({ ...places, copy }, { dryRun: true });
  assert.equal(
    quick.compared.differing.count,
    1,
    "records are adopted, not compared like other objects",
  );
  const report = await replicate(places, { level: "full" });
  assert.deepEqual(report.problems, []);
  assert.equal(report.copied.replaced, 3);
  assert.deepEqual(report.backups.added.toSorted(), [FIRST, SECOND], "records are adopted again");
  assert.ok(report.readBack.bytes > 0);
  assert.deepEqual(bodies(copy), bodies(original));
});

Deno.test("a damaged record is mended only where all is there that its backup needs", async () => {
  const places = await samples();
  await replicate(places);
  const { original, copy } = places;
  const repository = await openRepository({ storage: original, key: SAMPLE_KEY });
  const second = new Set(await storedChunks(repository, [SECOND]));
  const own = (await storedChunks(repository, [FIRST])).filter((name) => !second.has(name));
  for (const name of own) for (const { objects } of [original, copy]) objects.delete(pathOf(name));
  damage(copy, `backups/${FIRST}`);
  const before = bodies(copy);
  const report = await replicate(places, { level: "full" });
  assert.deepEqual(report.problems.map(({ object }) => object), [`backups/${FIRST}`]);
  assert.deepEqual(bodies(copy), before);
});

Deno.test("a quick replication replaces what has another length, and reads nothing back", async () => {
  const places = await samples();
  await replicate(places);
  const { original, copy } = places;
  const repository = await openRepository({ storage: original, key: SAMPLE_KEY });
  const [one] = await storedChunks(repository, [FIRST]);
  damage(copy, pathOf(one!), "cut");
  const report = await replicate(places);
  assert.equal(report.copied.replaced, 1);
  assert.deepEqual(report.readBack, { count: 0, bytes: 0 });
  assert.deepEqual(bodies(copy), bodies(original));
});

Deno.test("what is whole in the copy stays there, though it has another length", async () => {
  const places = await samples();
  await replicate(places);
  const { copy } = places;
  // As another release, or another setting, has compressed the same content.
  const writer = await openRepository({
    ...{ storage: copy, key: SAMPLE_KEY },
    compression: { algorithm: "gzip", level: 1 },
  });
  const { manifest } = await writer.readBackup(FIRST);
  const [list] = manifest.dataParts.chunks;
  const lines = await Array.fromAsync(writer.readLines(manifest.dataParts));
  const lengthOf = () => copy.objects.get(pathOf(list!.name))!.body.length;
  const before = lengthOf();
  copy.objects.delete(pathOf(list!.name));
  await writer.writeLines(lines);
  assert.notEqual(lengthOf(), before);
  const whole = bodies(copy);
  for (const level of ["quick", "full"] as const) {
    const report = await replicate(places, { level });
    assert.equal(report.compared.differing.count, 1);
    assert.deepEqual([report.copied.replaced, report.problems], [0, []]);
    assert.deepEqual(bodies(copy), whole, level);
  }
});

Deno.test("damage does not spread: what is broken in the original reaches no copy, and lists nothing there", async () => {
  const places = await samples();
  const { original, copy } = places;
  const repository = await openRepository({ storage: original, key: SAMPLE_KEY });
  const first = await storedChunks(repository, [FIRST]);
  const second = new Set(await storedChunks(repository, [SECOND]));
  const broken = first.find((name) => !second.has(name))!;
  damage(original, pathOf(broken));
  const report = await replicate(places);
  assert.deepEqual(report.backups.added, [SECOND]);
  const said = report.problems.map(({ object, code }) => [object, code]);
  assert.deepEqual(said.toSorted(), [
    [`backups/${FIRST}`, "object_missing"],
    [pathOf(broken), "object_altered"],
  ]);
  const alone = await openRepository({ storage: copy, key: SAMPLE_KEY });
  assert.deepEqual(await alone.backupIds(), [SECOND]);
  assert.deepEqual((await alone.verify({ level: "full" })).problems, []);
});

Deno.test("a good object of the copy is not replaced by a damaged one of the original", async () => {
  const places = await samples();
  await replicate(places);
  const { original, copy } = places;
  const whole = bodies(copy);
  const repository = await openRepository({ storage: original, key: SAMPLE_KEY });
  const [one, other] = await storedChunks(repository, [FIRST]);
  damage(original, pathOf(one!));
  damage(original, pathOf(other!), "cut");
  damage(original, `backups/${FIRST}`, "cut");
  for (const level of ["quick", "full"] as const) {
    const report = await replicate(places, { level });
    assert.ok(report.problems.length >= 2, JSON.stringify(report.problems));
    assert.deepEqual(bodies(copy), whole, level);
  }
});

Deno.test("what somebody takes away from the original stays in the copy", async () => {
  const places = await samples();
  const repository = await openRepository({ storage: places.original, key: SAMPLE_KEY });
  const more = new Secret("ff112233445566778899aabbccddeeff0123456789abcdef0123456789abcdee");
  const { id } = await repository.addKey(more);
  await replicate(places);
  const { original, copy } = places;
  const whole = bodies(copy);
  for (const name of [...original.objects.keys()]) {
    if (/^(chunks|backups|manifests|points|documents)\//.test(name)) original.objects.delete(name);
  }
  await repository.removeKey(id);
  const report = await replicate(places);
  assert.deepEqual(bodies(copy), whole);
  assert.deepEqual(
    report.keysOnlyInCopy,
    [id],
    "somebody has to know that it still opens the copy",
  );
  const alone = await openRepository({ storage: copy, key: more });
  assert.deepEqual(await readSampleBackup(alone, SECOND), rowsOf(4));
});

Deno.test("a key file that is damaged in the copy is brought back", async () => {
  const places = await samples();
  await replicate(places);
  const [name] = [...places.copy.objects.keys()].filter((path) => path.startsWith("keys/"));
  damage(places.copy, name!, "cut");
  await replicate(places);
  assert.deepEqual(bodies(places.copy), bodies(places.original));
});
