/**
 * Writes rows as lines of JSON: `docs/export-format.md`.
 *
 * @module
 */
import type { Entry } from "../../core/model.ts";
import type { ExportOutput } from "./export_output.ts";
import { exportedTable, type ExportSource, headerOf } from "./export_source.ts";
import { RowsAsJson } from "./rows_as_json.ts";
import { TableDefinitions } from "./table_definition.ts";

/** Writes the rows of some entries; gives back their number. @throws as the source does */
export async function writeJson(
  output: ExportOutput,
  source: ExportSource,
  entries: readonly Entry[],
): Promise<number> {
  const definitions = new TableDefinitions(source.entries);
  const described = (entry: Entry) => {
    const definition = definitions.of(entry);
    return { ...exportedTable(entry), ...(definition === undefined ? {} : { definition }) };
  };
  const writeLine = (value: unknown) => output.text(`${JSON.stringify(value)}\n`);
  if (!output.isSplit) await writeLine(headerOf(source, "json", entries.map(described)));
  let rows = 0;
  for (const entry of entries) {
    const table = described(entry);
    const { schema, name, columns } = table;
    if (output.isSplit) {
      await output.nextFile(table);
      await writeLine(headerOf(source, "json", [table]));
    }
    await writeLine({ rowsOf: { schema, name } });
    const asJson = new RowsAsJson({
      columns: columns.length,
      asCharacters: source.tableData.get(entry.key)!.encoding !== "UTF8",
    });
    const copied = await source.copyText(entry, (slice) => output.bytes(asJson.take(slice)));
    asJson.end();
    await writeLine({ end: copied });
    rows += Number(copied.rows);
  }
  await output.flush();
  return rows;
}
