import assert from "node:assert/strict";
import type { Entry, EntryKind, SequenceFacts } from "../core/model.ts";
import { EntryIndex } from "./entry_index.ts";
import type { RestoreRequest } from "./plan_types.ts";
import { lackedTables, selectLost, unlikeColumns } from "./select_lost.ts";

function entry(
  kind: EntryKind,
  name: string,
  dependsOn: Entry[] = [],
  more: Partial<Entry> = {},
): Entry {
  const schema = kind === "schema" ? null : more.schema ?? "public";
  return {
    ...{ key: `${kind}:${schema}.${name}`, kind, section: "pre-data", owner: null, name },
    statements: {
      create: [`CREATE ${name}`],
      drop: [],
      owner: [],
      comment: [],
      label: [],
      acl: [],
    },
    ...more,
    ...{
      schema,
      identity: `${kind} ${schema}.${name}`,
      dependsOn: dependsOn.map(({ key }) => key),
    },
  };
}

const identitiesOf = (entries: Iterable<Entry>) => [...entries].map(({ identity }) => identity);

/** What is chosen of a backup for a target that holds some of it, or its own of the same names. */
function chosen(saved: Entry[], live: Entry[], request: RestoreRequest) {
  const [index, there] = [new EntryIndex(saved), new EntryIndex(live)];
  const selection = selectLost(index, there, { onlyLost: true, ...request });
  return {
    selected: identitiesOf(selection.selected).toSorted(),
    lacked: lackedTables(index, there, selection).map(({ name }) => name),
  };
}

const schema = entry("schema", "public");
const table = entry("table", "t", [schema]);
const rows = entry("table-data", "t", [table]);
const index = entry("index", "i", [table]);
const key = entry("foreign-key", "o o_fkey", [entry("table", "o"), table]);
const other = entry("table", "o", [schema]);
const view = entry("view", "v", [table]);
const filled = entry("materialized-view", "m", [table]);
const refresh = entry("refresh", "m", [filled]);
const SAVED = [schema, table, rows, index, other, key, view, filled, refresh];

Deno.test("selectLost() takes of a table that stands its rows, and fills again what was made of them", () => {
  const live = SAVED.filter((each) => each !== index && each !== view);
  assert.deepEqual(chosen(SAVED, live, { tables: ["t"] }).selected, [
    "refresh public.m",
    "table-data public.t",
  ]);
});

Deno.test("selectLost() takes of a table that is gone all of it, and what fell with it", () => {
  const whole = ["foreign-key public.o o_fkey", "index public.i", "materialized-view public.m"];
  const rest = ["refresh public.m", "table public.t", "table-data public.t", "view public.v"];
  assert.deepEqual(chosen(SAVED, [schema, other], { tables: ["public.t"] }), {
    ...{ selected: [...whole, ...rest], lacked: [] },
  });
  assert.deepEqual(chosen(SAVED, [schema], { tables: ["public.t"] }).lacked, ["table public.o"]);
});

Deno.test("selectLost() takes all of a schema that is gone", () => {
  const shop = entry("schema", "shop");
  const inside = { schema: "shop" };
  const cart = entry("table", "carts", [shop], inside);
  const sum = entry("function", "sum", [shop], inside);
  const saved = [...SAVED, shop, cart, sum];
  const all = ["function shop.sum", "schema null.shop", "table shop.carts"];
  assert.deepEqual(chosen(saved, SAVED, { tables: ["shop.carts"] }).selected, all);
  assert.deepEqual(chosen(saved, [...SAVED, shop], { tables: ["shop.carts"] }).selected, [
    "table shop.carts",
  ]);
});

Deno.test("selectLost() takes partitions with their table, but not the rows of one that has outlived it", () => {
  const parent = entry("table", "p", [schema]);
  const parts = ["p1", "p2"].flatMap((name) => {
    const part = entry("table", name, [schema]);
    return [part, entry("table-attach", name, [part, parent]), entry("table-data", name, [part])];
  });
  const [p1, , rowsOfP1] = parts as [Entry, Entry, Entry];
  const saved = [schema, parent, ...parts];
  assert.deepEqual(chosen(saved, [schema, p1, rowsOfP1], { tables: ["p"] }).selected, [
    "table public.p",
    "table public.p2",
    "table-attach public.p1",
    "table-attach public.p2",
    "table-data public.p2",
  ]);
  assert.deepEqual(chosen(saved, saved, { tables: ["p"] }).selected, [
    "table-data public.p1",
    "table-data public.p2",
  ]);
  assert.deepEqual(chosen(saved, saved, { tables: ["p2"] }).selected, ["table-data public.p2"]);
});

Deno.test("selectLost() never sets a counter back", () => {
  const made = (create: string, sequence: Partial<SequenceFacts>) => {
    const statements = { ...table.statements, create: [`${create} OWNED BY "public"."t"`] };
    const counter = entry("sequence", "c", [table], { statements });
    const facts = { lastValue: "5", isCalled: true, ...sequence };
    return [
      schema,
      table,
      rows,
      counter,
      entry("sequence-set", "c", [counter], { sequence: facts }),
    ];
  };
  const isSet = (
    saved: Partial<SequenceFacts>,
    there: Partial<SequenceFacts>,
    create = "CREATE SEQUENCE c INCREMENT BY 1",
  ) =>
    chosen(made(create, saved), made(create, there), { tables: ["t"] }).selected.includes(
      "sequence-set public.c",
    );
  assert.equal(isSet({ lastValue: "5" }, { lastValue: "4" }), true);
  assert.equal(isSet({ lastValue: "5" }, { lastValue: "6" }), false);
  assert.equal(isSet({ lastValue: "9007199254740993" }, { lastValue: "9007199254740992" }), true);
  assert.equal(isSet({ isCalled: true }, { isCalled: false }), true);
  assert.equal(isSet({ isCalled: true }, { isCalled: true }), false);
  assert.equal(isSet({ isCalled: false }, { isCalled: true }), false);
  const down = "CREATE SEQUENCE c INCREMENT BY -1";
  assert.equal(isSet({ lastValue: "-5" }, { lastValue: "-4" }, down), true);
  assert.equal(isSet({ lastValue: "-5" }, { lastValue: "-6" }, down), false);
});

Deno.test("unlikeColumns() names columns that have gone or have another type, and lets lengths be", () => {
  const held = (...columns: [name: string, typeName: string, generated?: string][]) => {
    const facts = columns.map(([name, typeName, generated = ""]) => ({
      name,
      typeName,
      generated,
    }));
    const more = { table: { sqlName: "public.t", columns: facts } } as unknown as Partial<Entry>;
    return [schema, table, entry("table-data", "t", [table], more)];
  };
  const unlike = (saved: Entry[], live: Entry[]) => {
    const [index, there] = [new EntryIndex(saved), new EntryIndex(live)];
    const selection = selectLost(index, there, { onlyLost: true, tables: ["t"] });
    return unlikeColumns(there, selection).map(({ name, reason }) => `${name}: ${reason}`);
  };
  const saved = held(["id", "bigint"], ["at", "timestamp(3) without time zone"], ["n", "text[]"]);
  assert.deepEqual(unlike(saved, held(["id", "timestamp with time zone"], ["n", "text"])), [
    "column id of public.t: the backup has it as bigint, and the table as timestamp with time zone",
    "column at of public.t: the backup has it as timestamp(3) without time zone, and the table has none of that name",
    "column n of public.t: the backup has it as text[], and the table as text",
  ]);
  const live = held(
    ["new", "text"],
    ["n", "character varying(9)[]"],
    ["at", "timestamp without time zone"],
    ["id", "bigint"],
  );
  assert.deepEqual(unlike([...saved], live), []);
  assert.deepEqual(unlike(held(["up", "text", "s"]), held(["id", "bigint"])), []);
  assert.deepEqual(unlike(saved, [schema]), [], "a table that is gone is made as it was");
});

Deno.test("selectLost() refuses what chooses otherwise", () => {
  const refused = (request: RestoreRequest) => {
    assert.throws(() => chosen(SAVED, SAVED, request), { code: "invalid_request" });
  };
  refused({});
  refused({ tables: [] });
  refused({ tables: ["t"], schemas: ["public"] });
  refused({ tables: ["t"], intoSchema: "there" });
  refused({ tables: ["t"], schemaOnly: true });
  assert.equal(chosen(SAVED, SAVED, { tables: ["t"], schemas: [] }).selected.length, 2);
});
