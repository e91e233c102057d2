/**
 * Every catalog family, in the order of reading.
 *
 * @module
 */
import type { CatalogFamily } from "../context.ts";
import { relationFamilies } from "./relations_index.ts";
import { schemasFamily } from "./schemas.ts";
import { typeFamilies } from "./types_index.ts";

/** Schemas come first: the others ask them what to take. */
export const FAMILIES: readonly CatalogFamily[] = [
  schemasFamily,
  ...typeFamilies,
  ...relationFamilies,
];
