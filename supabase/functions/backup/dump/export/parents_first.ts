/**
 * The order in which rows can be loaded under foreign keys.
 *
 * @module
 */
import type { Entry } from "../../core/model.ts";
import { topologicalSort } from "../topological_sort.ts";

/** Entries of rows, those of referenced tables before those that refer to them, as far as there are no loops. */
export function parentsFirst(entries: readonly Entry[]): Entry[] {
  const places = new Map(entries.map((entry, index) => [entry.key, index]));
  const needs = entries.map((entry, index) =>
    new Set(
      (entry.table?.referencedTables ?? []).flatMap((key) => places.get(key) ?? [])
        .filter((place) => place !== index),
    )
  );
  const { order, left } = topologicalSort(needs);
  return [...left, ...order].map((index) => entries[index]!);
}
