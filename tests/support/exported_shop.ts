/**
 * A database of a shop, its exports, and targets to import them into.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { backupOf, contentOf, exportBytes, run } from "./export_round_trip.ts";
import { temporaryDatabase } from "./temporary_database.ts";

/** Tables of all kinds that an import may meet. */
export const SHOP = `
  create type public.mood as enum ('good', 'bad');
  create table public.people (
    id int generated always as identity primary key, name text not null, mood public.mood,
    boss int references public.people, shout text generated always as (upper(name)) stored);
  insert into public.people (name, mood, boss) values ('a', 'good', 2), ('b', null, 1), ('', 'bad', null);
  create table public.orders (id bigserial primary key, of int not null references public.people);
  insert into public.orders (of) values (3), (1);
  create table public.log (at timestamptz, what text) partition by range (at);
  create table public.log_old partition of public.log for values from (minvalue) to ('2024-01-01');
  create table public.log_new partition of public.log for values from ('2024-01-01') to (maxvalue);
  insert into public.log values ('0044-03-15 00:00:00+00 BC', 'x'), ('infinity', null), ('2024-01-01Z', '')`;

/** The tables of the shop that hold rows. */
export const SHOP_TABLES = ["public.people", "public.orders", "public.log_old", "public.log_new"];

/** What a promise that must fail fails with. */
export async function failureOf(promise: Promise<unknown>): Promise<BackupError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof BackupError, String(error));
    return error;
  }
  assert.fail("it did not fail");
}

/** The shop as it was exported, and what its tables hold. */
export interface ExportedShop {
  json: Uint8Array;
  sql: Uint8Array;
  content: Record<string, string>;
}

let exported: Promise<ExportedShop> | undefined;

/** Exported once for all tests. */
function exportedShop(): Promise<ExportedShop> {
  return exported ??= (async () => {
    await using source = await temporaryDatabase("m5_shop");
    await run(source.url, SHOP);
    return {
      json: (await exportBytes(await backupOf(source.url), { format: "json" })).bytes,
      sql: (await exportBytes(source.url, { format: "sql" })).bytes,
      content: await contentOf(source.url, SHOP_TABLES),
    };
  })();
}

/** The exported shop, and a database with what `schema` makes. */
export async function shop(schema = "") {
  const shop = await exportedShop();
  const target = await temporaryDatabase("m5_shop_target");
  if (schema !== "") await run(target.url, schema);
  return {
    ...shop,
    target: target.url,
    [Symbol.asyncDispose]: () => target[Symbol.asyncDispose](),
  };
}
