/**
 * The families of relations and what hangs on them.
 *
 * @module
 */
import type { CatalogFamily } from "../context.ts";
import { defaultsFamily } from "./defaults.ts";
import { foreignKeysFamily } from "./foreign_keys.ts";
import { indexesFamily } from "./indexes.ts";
import { materializedViewsFamily } from "./materialized_views.ts";
import { partitionsFamily } from "./partitions.ts";
import { policiesFamily } from "./policies.ts";
import { relationRightsFamily } from "./relation_rights.ts";
import { rowSecurityFamily } from "./row_security.ts";
import { rulesFamily } from "./rules.ts";
import { sequencesFamily } from "./sequences.ts";
import { statisticsFamily } from "./statistics.ts";
import { tableDataFamily } from "./table_data.ts";
import { tablesFamily } from "./tables.ts";
import { triggersFamily } from "./triggers.ts";
import { viewsFamily } from "./views.ts";

/** In the order of reading. */
export const relationFamilies: CatalogFamily[] = [
  sequencesFamily,
  tablesFamily,
  partitionsFamily,
  viewsFamily,
  materializedViewsFamily,
  defaultsFamily,
  indexesFamily,
  foreignKeysFamily,
  statisticsFamily,
  rulesFamily,
  triggersFamily,
  rowSecurityFamily,
  policiesFamily,
  relationRightsFamily,
  tableDataFamily,
];
