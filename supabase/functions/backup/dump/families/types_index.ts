/**
 * The families of types, functions and what is built on them.
 *
 * @module
 */
import type { CatalogFamily } from "../context.ts";
import { accessMethodsFamily } from "./access_methods.ts";
import { aggregatesFamily } from "./aggregates.ts";
import { baseTypesFamily } from "./base_types.ts";
import { castsFamily } from "./casts.ts";
import { collationsFamily } from "./collations.ts";
import { compositeTypesFamily } from "./composite_types.ts";
import { conversionsFamily } from "./conversions.ts";
import { domainsFamily } from "./domains.ts";
import { enumsFamily } from "./enums.ts";
import { functionsFamily } from "./functions.ts";
import { operatorClassesFamily } from "./operator_classes.ts";
import { operatorFamiliesFamily } from "./operator_families.ts";
import { operatorsFamily } from "./operators.ts";
import { rangeTypesFamily } from "./range_types.ts";
import { routineRightsFamily } from "./routine_rights.ts";
import {
  textSearchConfigurationsFamily,
  textSearchDictionariesFamily,
} from "./text_search_configurations.ts";
import { textSearchParsersFamily, textSearchTemplatesFamily } from "./text_search_parsers.ts";
import { transformsFamily } from "./transforms.ts";
import { typeRightsFamily } from "./type_rights.ts";

/** In the order of reading. */
export const typeFamilies: CatalogFamily[] = [
  collationsFamily,
  transformsFamily,
  baseTypesFamily,
  compositeTypesFamily,
  enumsFamily,
  domainsFamily,
  rangeTypesFamily,
  typeRightsFamily,
  castsFamily,
  functionsFamily,
  aggregatesFamily,
  routineRightsFamily,
  accessMethodsFamily,
  operatorsFamily,
  operatorFamiliesFamily,
  operatorClassesFamily,
  conversionsFamily,
  textSearchParsersFamily,
  textSearchTemplatesFamily,
  textSearchDictionariesFamily,
  textSearchConfigurationsFamily,
];
