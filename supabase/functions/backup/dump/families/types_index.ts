/**
 * The families of types, functions and what is built on them.
 *
 * @module
 */
import type { CatalogFamily } from "../context.ts";

/** In the order of reading. */
export const typeFamilies: CatalogFamily[] = [];
