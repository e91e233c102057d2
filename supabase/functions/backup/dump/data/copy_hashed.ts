/**
 * Copies a range in one scan: its fingerprint is made of the bytes that are saved, and its size is watched
 * instead of measured before.
 *
 * @module
 */
import type { RowsFingerprint } from "../../core/model.ts";
import type { Session } from "../../postgres/session.ts";
import {
  type CopiedPart,
  type CopyPartOptions,
  copyTablePart,
  type TableRange,
} from "./copy_part.ts";
import { readFactsOf, tooLargeRemark } from "./range_facts.ts";
import type { DataLimits } from "./ranges.ts";
import type { OwnFingerprint, OwnFingerprints } from "./own_fingerprints.ts";
import { inSavepoint, TakeBack } from "./savepoint.ts";

/** What {@linkcode copyHashed} needs besides session and range. */
export interface CopyHashedOptions extends CopyPartOptions {
  limits: DataLimits;
  fingerprints?: OwnFingerprints;
}

/**
 * The range as one part. Null where the server must say first what is in the range: its values are not known
 * well enough to be hashed here, or there are so many bytes that it has to be cut.
 */
export async function copyHashed(
  session: Session,
  tableRange: TableRange,
  options: CopyHashedOptions,
): Promise<CopiedPart | null> {
  const { range, data } = tableRange;
  if (range.pages === null) return null;
  const own = options.fingerprints?.begin(data, range.pages?.from ?? 0);
  if (own === undefined) return null;
  let told = 0;
  const onBytes = (bytes: number) => {
    told += bytes;
    options.onBytes?.(bytes);
  };
  try {
    return await inSavepoint(session, async () => {
      const facts = { fingerprint: null, bytes: 0 };
      const watched = { ...options, onBytes, sink: watch(own, options) };
      const copied = await copyTablePart(session, { ...tableRange, facts }, watched);
      const { fingerprint, remark } = await settle(session, { tableRange, copied, own });
      if (remark !== undefined) options.onRemark?.(remark);
      return { ...copied, part: { ...copied.part, fingerprint } };
    });
  } catch (error) {
    if (!(error instanceof TakeBack)) throw error;
    own.giveUp(); // its other ranges are probably like this one
    options.onBytes?.(-told); // they pass once more
    options.sink.endPart().catch(() => {}); // what has been copied is not used
    return null;
  }
}

/** The sink, with everything that goes into it hashed and counted. */
function watch(own: OwnFingerprint, { sink, limits }: CopyHashedOptions): CopyPartOptions["sink"] {
  let bytes = 0;
  return {
    append(slice) {
      bytes += slice.length;
      if (bytes > limits.maxPartBytes) throw new TakeBack("The range has more bytes than one part");
      own.append(slice);
      return sink.append(slice);
    },
    endPart: () => sink.endPart(),
  };
}

/** The fingerprint of a range that has been copied: our own if nothing speaks against it, else the server's. */
async function settle(
  session: Session,
  { tableRange, copied, own }: { tableRange: TableRange; copied: CopiedPart; own: OwnFingerprint },
): Promise<{ fingerprint: RowsFingerprint | null; remark?: string }> {
  const made = own.end();
  const isWhole = made !== null && made.rows === String(copied.part.rows);
  if (isWhole && !own.isChecked) return { fingerprint: made };
  const { fingerprint } = await readFactsOf(session, tableRange);
  if (isWhole && made.rows === fingerprint?.rows && made.sum === fingerprint.sum) {
    return { fingerprint };
  }
  const { sqlName } = tableRange.table;
  if (made === null || fingerprint === null) own.giveUp();
  else own.doubt();
  if (fingerprint === null) return { fingerprint, remark: tooLargeRemark(sqlName) };
  if (made === null) return { fingerprint };
  const remark = `Rows of ${sqlName} have other hashes in the server than in this program: ` +
    "they are compared by number only";
  return { fingerprint, remark };
}
