/**
 * Rights on relations that the backup does not define: members of extensions and the server's own.
 *
 * @module
 */
import type { CatalogFamily, DumpContext } from "../context.ts";
import { isSelected, type Relation, relationRights, relationsOf } from "./relations.ts";

/** The family of rights on relations that are made by others. */
export const relationRightsFamily: CatalogFamily = {
  name: "relation rights",
  catalogs: ["pg_class"],
  async read(context: DumpContext): Promise<void> {
    for (const relation of (await relationsOf(context)).values()) {
      const schema = context.schemas.get(relation.row.schema_oid);
      const isOthers = relation.extension !== null || schema?.take === "rights";
      const isTaken = isSelected(context.options, relation.schema, relation.name);
      if (isOthers && isTaken && hasChangedRights(relation)) addRights(context, relation);
    }
  },
};

function hasChangedRights(relation: Relation): boolean {
  const isChanged = (acl: string[] | null, initial: string[] | null) =>
    JSON.stringify(acl) !== JSON.stringify(initial);
  return isChanged(relation.row.acl, relation.row.initial) ||
    [...relation.columns, ...relation.systemColumns].some((column) =>
      isChanged(column.acl, column.initial)
    );
}

function addRights(context: DumpContext, relation: Relation): void {
  context.drafts.add({
    catalog: "pg_class",
    oid: relation.oid,
    part: null,
    kind: "acl",
    section: "pre-data",
    schema: relation.schema,
    name: relation.name,
    create: [],
    drop: [],
    address: relation.address,
    owner: null,
    rights: relationRights(relation),
    commentable: false,
    dependsOn: [],
    ...(relation.extension === null ? {} : { extension: relation.extension }),
  });
}
