/**
 * The families of types, functions and what is built on them.
 *
 * @module
 */
import type { CatalogFamily } from "../context.ts";
import { baseTypesFamily } from "./base_types.ts";
import { compositeTypesFamily } from "./composite_types.ts";
import { domainsFamily } from "./domains.ts";
import { enumsFamily } from "./enums.ts";
import { rangeTypesFamily } from "./range_types.ts";
import { typeRightsFamily } from "./type_rights.ts";

/** In the order of reading. */
export const typeFamilies: CatalogFamily[] = [
  baseTypesFamily,
  compositeTypesFamily,
  enumsFamily,
  domainsFamily,
  rangeTypesFamily,
  typeRightsFamily,
];
