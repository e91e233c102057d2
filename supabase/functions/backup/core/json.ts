/**
 * Values that survive JSON: what parts of a job are told and what they give back.
 *
 * @module
 */
import type { Json } from "./part.ts";

/** A value as it will be read back; what JSON does not know is left out. */
export function toJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value));
}
