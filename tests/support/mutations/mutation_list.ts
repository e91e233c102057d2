/**
 * What a list of changes for the mutation test consists of.
 *
 * @module
 */

/** Changes of one area of the catalog. */
export interface MutationList {
  /** Makes what the changes need, in an empty database with the roles of the test. */
  setup: string;
  /** SQL by `catalog.column`: changes the value of this saved column. */
  changes: Readonly<Record<string, string>>;
  /** Saved columns whose values no entry can show, with the reason. */
  unchangeable: Readonly<Record<string, string>>;
}

/** `catalog.column` to SQL that updates one column directly, for what no command changes alone. */
export function updates(
  catalog: string,
  where: string,
  values: Readonly<Record<string, string>>,
): Record<string, string> {
  const list = Object.entries(values).map(([column, value]) =>
    [
      `${catalog}.${column}`,
      `update pg_catalog.${catalog} set ${column} = ${value} where ${where}`,
    ] as const
  );
  return Object.fromEntries(list);
}
