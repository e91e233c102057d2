import assert from "node:assert/strict";
import { SAMPLE_KEY } from "../../../../tests/support/repository_samples.ts";
import { createRepository } from "../repository/mod.ts";
import { memoryStorage } from "../storage/memory.ts";
import type { Deps } from "../usecases/deps.ts";
import { journaledIds } from "./journal.ts";
import { pruneJournals } from "./prune_journals.ts";

const NAMES = ["begin", "01-assess-begin", "01-assess-end", "end"];

/** An execution a month, the oldest of them first. */
function idOf(month: number): string {
  const year = 2020 + Math.floor(month / 12);
  const moment = `${year}${String(1 + month % 12).padStart(2, "0")}01T000000000Z`;
  return `recovery_${moment}_${String(month).padStart(10, "0")}`;
}

async function journals(months: number) {
  const storage = memoryStorage();
  const repository = await createRepository({ storage, key: SAMPLE_KEY });
  for (let month = 0; month < months; month++) {
    for (const name of NAMES) {
      await repository.writeDocument({
        name: `executions/${idOf(month)}/${name}`,
        value: { month },
      });
    }
  }
  const deps = {
    settings: () => Promise.resolve({}),
    openRepository: () => Promise.resolve(repository),
  } as unknown as Pick<Deps, "settings" | "openRepository">;
  return { storage, repository, deps };
}

Deno.test("pruneJournals() takes old journals away, and leaves young ones and the last twenty", async () => {
  const { storage, repository, deps } = await journals(30);
  assert.equal(await pruneJournals(deps, { before: new Date("2020-06-15T00:00:00Z") }), 6);
  assert.deepEqual((await journaledIds(repository))[0], idOf(6));
  assert.equal(await pruneJournals(deps, { before: new Date("2030-01-01T00:00:00Z") }), 4);
  assert.equal((await journaledIds(repository)).length, 20);
  const left = [...storage.objects.keys()].filter((name) => name.includes("/executions/"));
  assert.equal(left.length, 20 * NAMES.length);
  assert.equal(await pruneJournals(deps, { before: new Date("2030-01-01T00:00:00Z") }), 0);
});

Deno.test("pruneJournals() goes on with a journal that was half taken away, and bounds one run", async () => {
  const { storage, repository, deps } = await journals(130);
  await storage.delete(`documents/executions/${idOf(0)}/begin`);
  const before = new Date("2040-01-01T00:00:00Z");
  assert.equal(await pruneJournals(deps, { before }), 100);
  assert.equal((await journaledIds(repository)).length, 30);
  assert.equal(await pruneJournals(deps, { before }), 10);
});
