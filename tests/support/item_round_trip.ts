/**
 * A backup of items in memory, for tests of a source and a target without a repository.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { concat } from "../../supabase/functions/backup/core/bytes.ts";
import type {
  ItemPage,
  ItemResult,
  ItemSource,
  ItemStep,
  ItemTarget,
  SavedItem,
} from "../../supabase/functions/backup/core/items.ts";

/** Items with the bytes of their contents, by SHA-256. */
export interface KeptItems {
  items: SavedItem[];
  bodies: Map<string, Uint8Array>;
}

/** Lists and reads everything. */
export async function backUpItems(source: ItemSource): Promise<KeptItems> {
  const { signal } = new AbortController();
  const kept: KeptItems = { items: [], bodies: new Map() };
  await source.describe(signal);
  let after: string | null = null;
  do {
    const page: ItemPage = await source.page(after, signal);
    for (const item of page.items) {
      const read = await source.read(item, signal);
      if (read === null) continue;
      const { revision = item.revision, facts = item.facts } = read;
      const contents = [];
      for (const { name, body } of read.contents) {
        const bytes = body instanceof Uint8Array ? body : concat(await Array.fromAsync(body));
        const sha256 = createHash("sha256").update(bytes).digest("hex");
        kept.bodies.set(sha256, bytes);
        contents.push({ name, bytes: bytes.length, sha256, pieces: [] });
      }
      kept.items.push({ ...item, revision, facts, contents, savedAt: "2026-01-01T00:00:00Z" });
    }
    after = page.next;
  } while (after !== null);
  // What a repository keeps has gone through JSON.
  return { ...kept, items: JSON.parse(JSON.stringify(kept.items)) };
}

/** Does one step with what was kept. */
export function restoreItem(
  target: ItemTarget,
  step: ItemStep,
  kept: KeptItems,
): Promise<ItemResult> {
  const item = kept.items.find(({ key }) => key === step.key);
  if (item === undefined) throw new Error(`Cannot restore ${step.key}: it was not kept`);
  return target.apply(step, {
    item,
    resume: null,
    maxBytes: Infinity,
    signal: new AbortController().signal,
    async *open({ sha256 }) {
      const bytes = kept.bodies.get(sha256 ?? "");
      if (bytes === undefined) throw new Error("Cannot open a content: it was not kept");
      // In chunks, as a repository gives them.
      for (let at = 0; at < bytes.length; at += 1000) {
        yield await Promise.resolve(bytes.subarray(at, at + 1000));
      }
    },
  });
}
