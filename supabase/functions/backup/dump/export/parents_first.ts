/**
 * The order in which rows can be loaded under foreign keys.
 *
 * @module
 */
import type { Entry } from "../../core/model.ts";
import { NeedLists } from "../needs.ts";
import { topologicalSort } from "../topological_sort.ts";

/** Entries of rows, those of referenced tables before those that refer to them, as far as there are no loops. */
export function parentsFirst(entries: readonly Entry[]): Entry[] {
  const places = new Map(entries.map((entry, index) => [entry.key, index]));
  const needs = new NeedLists(entries.length);
  for (const [place, { table }] of entries.entries()) {
    for (const key of table?.referencedTables ?? []) {
      const needed = places.get(key);
      if (needed !== undefined && needed !== place) needs.add(place, needed);
    }
  }
  const { order, left } = topologicalSort(needs);
  return [...left, ...order].map((index) => entries[index]!);
}
