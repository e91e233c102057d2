/**
 * Primary keys and unique constraints of large tables: their index is built first, beside the table's other
 * indexes and while rows are compared, and the constraint then takes it over in a moment. ALTER TABLE …
 * ADD PRIMARY KEY alone would keep everybody out of the table for as long as it builds.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { type BuildInput, mostBytes } from "./build_source.ts";
import { withStatements } from "./statements.ts";

/** Raw bytes of rows below which an index is built too quickly to be worth a second statement. */
const LEAST_BYTES = 8 << 20;

/** A quoted identifier. */
const NAME = String.raw`"(?:[^"]|"")+"`;

/** The dumper's words for a constraint of nothing but columns; what says more is made as it is. */
const PLAIN = new RegExp(
  `^ALTER TABLE ONLY (?<schema>${NAME})\\.(?<table>${NAME}) ADD CONSTRAINT (?<name>${NAME}) ` +
    `(?<kind>PRIMARY KEY|UNIQUE) (?<columns>\\(${NAME}(?:, ${NAME})*\\))$`,
);

/**
 * Entries with the index of such constraints as an entry of its own before the constraint, which needs it.
 * A table with partitions has no rows itself, so its constraints, which could not take an index over, stay.
 */
export function indexFirst(
  entries: readonly Entry[],
  { bytes, index }: Pick<BuildInput, "bytes" | "index">,
): Entry[] {
  return entries.flatMap((entry) => {
    if (entry.kind !== "constraint") return [entry];
    if (mostBytes(index.tablesTouched(entry), bytes) < LEAST_BYTES) return [entry];
    const [create = "", ...after] = entry.statements.create;
    const found = PLAIN.exec(create)?.groups;
    if (found === undefined) return [entry];
    const { schema, name, kind, columns } = found;
    const table = `${schema}.${found.table}`;
    const first: Entry = {
      ...entry,
      key: `${entry.key}:index`,
      kind: "index",
      identity: `index INDEX ${schema}.${name}`,
      owner: null,
      statements: {
        ...{ drop: [], owner: [], comment: [], label: [], acl: [] },
        create: [`CREATE UNIQUE INDEX ${name} ON ONLY ${table} USING btree ${columns}`],
      },
    };
    const taken = `ALTER TABLE ONLY ${table} ADD CONSTRAINT ${name} ${kind} USING INDEX ${name}`;
    const constraint: Entry = {
      ...withStatements(entry, { create: [taken, ...after] }),
      dependsOn: [...entry.dependsOn, first.key],
    };
    return [first, constraint];
  });
}
