/**
 * Slim entries on their way to the worker that plans, column by column: what many share is said once, keys
 * are named by the places of their entries, and digests and hashes are numbers.
 *
 * @module
 */
import { type Entry, PARTS_THAT_STAND_ALONE } from "../core/model.ts";
import { digestOf } from "./digest.ts";
import { hashOf } from "./hashed_names.ts";
import { numbersAsText, textAsNumbers } from "./packed_numbers.ts";
import type { RestoreRequest } from "./plan_types.ts";
import {
  digestNumbers,
  digestText,
  isSlim,
  SLIM_STATEMENTS,
  slimEntry,
  slimStatements,
} from "./slim_backup.ts";

/** Some entries of a backup or a target, side by side. Survives JSON. */
export interface SlimColumns {
  keys: string[];
  names: string[];
  identities: string[];
  /** All that is not said by another column, by number; `isOwned` is null for what is not slim. */
  shapes: [Entry["kind"], Entry["section"], Entry["schema"], Entry["owner"], boolean | null][];
  shapeOf: number[];
  /** Places of the entries that each needs; below zero for others, which begin at -1. */
  needs: number[][];
  others: string[];
  /** What else some of them say, by their places. */
  more: [number, Partial<Entry>][];
}

/** Entries with what is told of each in numbers. Survives JSON. */
export interface SlimLines {
  columns: SlimColumns;
  /** For each entry hashes of its identity, its key and the statements that create it, and its digest. */
  numbers: string;
  /** Places of parts of tables, views and domains that stand alone. */
  alone: number[];
}

/** Numbers to a line. */
const WIDTH = 5;

/** Packs entries; those that are looked into stay whole. */
export function packEntries(entries: readonly Entry[], request: RestoreRequest): SlimLines {
  const columns: SlimColumns = {
    ...{ keys: [], names: [], identities: [], shapes: [], shapeOf: [], needs: [], others: [] },
    more: [],
  };
  const numbers = new Uint32Array(entries.length * WIDTH);
  const places = new Map(entries.map(({ key }, at) => [key, at]));
  const shapes = new Map<string, number>();
  const others = new Map<string, number>();
  for (const [at, entry] of entries.entries()) {
    const { key, name, identity, kind, section, schema, owner, dependsOn, ...rest } = slimEntry(
      entry,
      request,
    );
    const isOwned = isSlim(entry, request) ? rest.statements.owner.length > 0 : null;
    const shape: SlimColumns["shapes"][number] = [kind, section, schema, owner, isOwned];
    columns.keys.push(key);
    columns.names.push(name);
    columns.identities.push(identity);
    columns.shapeOf.push(placeIn(shapes, JSON.stringify(shape), () => columns.shapes.push(shape)));
    columns.needs.push(
      dependsOn.map((needed) =>
        places.get(needed) ?? -1 - placeIn(others, needed, () => columns.others.push(needed))
      ),
    );
    const digest = isOwned === null ? [0, 0] : digestNumbers(rest.statements.create[0]!);
    const [print] = digestOf(entry.statements.create);
    numbers.set([hashOf(identity), hashOf(key), print, ...digest], at * WIDTH);
    const more = isOwned === null ? rest : withoutUsual(rest);
    if (Object.keys(more).length > 0) columns.more.push([at, more]);
  }
  const alone = entries.flatMap(({ kind }, at) =>
    PARTS_THAT_STAND_ALONE.includes(kind) ? [at] : []
  );
  return { columns, numbers: numbersAsText(numbers), alone };
}

function placeIn(places: Map<string, number>, name: string, add: () => void): number {
  const known = places.get(name);
  if (known !== undefined) return known;
  add();
  places.set(name, places.size);
  return places.size - 1;
}

/** Of a slim entry, what its shape and its numbers do not say. */
function withoutUsual({ statements, ...rest }: Partial<Entry>): Partial<Entry> {
  const { create, label, acl } = statements!;
  const asked = create.slice(1);
  if (asked.length + label.length + acl.length === 0) return rest;
  return { ...rest, statements: slimStatements({ isOwned: false, create: asked, label, acl }) };
}

/**
 * The entries again, as `slimEntry` makes them.
 *
 * @param options.withDigests false where there is nothing to compare them with
 */
export function unpackEntries(
  { columns, numbers }: Pick<SlimLines, "columns" | "numbers">,
  { withDigests }: { withDigests: boolean },
): Entry[] {
  const { keys, names, identities, shapes, shapeOf, needs, others, more } = columns;
  const digests = withDigests ? textAsNumbers(numbers) : null;
  const entries = keys.map((key, at): Entry => {
    const [kind, section, schema, owner, isOwned] = shapes[shapeOf[at]!]!;
    const digest = digests === null || isOwned === null
      ? null
      : digestText([digests[at * WIDTH + 3]!, digests[at * WIDTH + 4]!]);
    return {
      key,
      kind,
      section,
      schema,
      name: names[at]!,
      identity: identities[at]!,
      owner,
      statements: usualStatements(isOwned === true, digest),
      dependsOn: needs[at]!.map((place) => place < 0 ? others[-1 - place]! : keys[place]!),
    };
  });
  for (const [at, { statements, ...rest }] of more) {
    const entry = Object.assign(entries[at]!, rest);
    if (statements === undefined) continue;
    const isOwned = shapes[shapeOf[at]!]![4];
    entry.statements = isOwned === null ? statements : slimStatements({
      ...{ ...statements, isOwned },
      create: [...entry.statements.create, ...statements.create],
    });
  }
  return entries;
}

function usualStatements(isOwned: boolean, digest: string | null): Entry["statements"] {
  if (digest !== null) return slimStatements({ isOwned, create: [digest] });
  return isOwned ? SLIM_STATEMENTS.owned : SLIM_STATEMENTS.ownerless;
}

/** The hashes of all lines. */
export interface LineHashes {
  identities: Uint32Array;
  keys: Uint32Array;
  /** Of the statements that create each. */
  prints: Uint32Array;
  /** Lines of parts that stand alone. */
  alone: number[];
}

/** What several packs say in numbers, one behind the other. */
export function hashesOf(packs: readonly Pick<SlimLines, "numbers" | "alone">[]): LineHashes {
  const all = packs.map(({ numbers }) => textAsNumbers(numbers));
  const lines = all.reduce((sum, { length }) => sum + length / WIDTH, 0);
  const [identities, keys, prints] = [0, 1, 2].map((column) => {
    const found = new Uint32Array(lines);
    let line = 0;
    for (const numbers of all) {
      for (let at = column; at < numbers.length; at += WIDTH) found[line++] = numbers[at]!;
    }
    return found;
  });
  let first = 0;
  const alone = packs.flatMap((pack, at) => {
    const own = pack.alone.map((place) => first + place);
    first += all[at]!.length / WIDTH;
    return own;
  });
  return { identities: identities!, keys: keys!, prints: prints!, alone };
}
