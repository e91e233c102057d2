/**
 * The families of relations and what hangs on them.
 *
 * @module
 */
import type { CatalogFamily } from "../context.ts";

/** In the order of reading. */
export const relationFamilies: CatalogFamily[] = [];
