/**
 * Values that survive JSON: what parts of a job are told and what they give back.
 *
 * @module
 */
import type { Json } from "./part.ts";

/**
 * The same value, whose objects begin with their `summary`: `jsonb` keeps no order, and who reads an answer reads
 * what comes first.
 */
export function summaryFirst<T>(value: T): T {
  if (Array.isArray(value)) return value.map(summaryFirst) as T;
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => [key, summaryFirst(inner)]);
  const [first, rest] = [true, false].map((isFirst) =>
    entries.filter(([key]) => (key === "summary") === isFirst)
  );
  return Object.fromEntries([...first!, ...rest!]);
}

/** A value as it will be read back; what JSON does not know is left out. */
export function toJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value));
}
