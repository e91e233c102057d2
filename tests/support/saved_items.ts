/**
 * A backup of items in memory, for tests of sources and targets alone.
 *
 * @module
 */
import { concat } from "../../supabase/functions/backup/core/bytes.ts";
import { toBackupError } from "../../supabase/functions/backup/core/errors.ts";
import type {
  ItemContent,
  ItemResult,
  ItemSource,
  ItemStep,
  ItemTarget,
  OpenContent,
  SavedItem,
} from "../../supabase/functions/backup/core/items.ts";

/** See the module. */
export interface MemoryBackup {
  items: SavedItem[];
  /** Bytes by `key name`. */
  contents: Map<string, Uint8Array>;
  open: OpenContent;
  /** A content as text. */
  text(key: string, name: string): string;
  /** Everything that was kept, as one text: to look for what must not be in it. */
  all(): string;
}

const never = new AbortController().signal;

/** Saves all items of a source, as a backup does. */
export async function saveAll(source: ItemSource): Promise<MemoryBackup> {
  const contents = new Map<string, Uint8Array>();
  const byContent = new Map<ItemContent, Uint8Array>();
  const items: SavedItem[] = [];
  for (let after: string | null = null;;) {
    const page = await source.page(after, never);
    for (const listed of page.items) {
      const saved: SavedItem = { ...listed, contents: [], savedAt: "2026-01-01T00:00:00Z" };
      try {
        const read = await source.read(listed, never);
        if (read === null) continue;
        if (read.facts !== undefined) saved.facts = read.facts;
        if (read.revision !== undefined) saved.revision = read.revision;
        for (const { name, body } of read.contents) {
          const bytes = body instanceof Uint8Array ? body : concat(await Array.fromAsync(body));
          const content = { name, bytes: bytes.length, sha256: null, pieces: [] };
          saved.contents.push(content);
          contents.set(`${listed.key} ${name}`, bytes);
          byContent.set(content, bytes);
        }
      } catch (error) {
        const { code, message } = toBackupError(error);
        saved.failure = { code, message };
      }
      items.push(saved);
    }
    after = page.next;
    if (after === null) break;
  }
  const text = (key: string, name: string) =>
    new TextDecoder().decode(contents.get(`${key} ${name}`));
  return {
    items,
    contents,
    text,
    async *open(content) {
      yield byContent.get(content)!;
      await Promise.resolve();
    },
    all: () =>
      JSON.stringify(items) + [...contents].map(([, bytes]) => new TextDecoder().decode(bytes)),
  };
}

/** What a target would do with the sound items. */
export function planAll(target: ItemTarget, backup: MemoryBackup): Promise<ItemStep[]> {
  return target.plan(backup.items.filter(({ failure }) => failure === undefined), never);
}

/** Does every step that changes something. What one step throws is its result. */
export async function applyAll(
  target: ItemTarget,
  { backup, steps }: { backup: MemoryBackup; steps: readonly ItemStep[] },
): Promise<ItemResult[]> {
  const results: ItemResult[] = [];
  for (const step of steps) {
    if (step.action !== "create" && step.action !== "replace") continue;
    const item = backup.items.find(({ key }) => key === step.key)!;
    const work = { item, open: backup.open, resume: null, maxBytes: 1 << 30, signal: never };
    try {
      results.push(await target.apply(step, work));
    } catch (error) {
      const { code, message } = toBackupError(error);
      results.push({ key: step.key, outcome: "failed", failure: { code, message } });
    }
  }
  return results;
}
