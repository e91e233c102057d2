import assert from "node:assert/strict";
import type { TableData } from "../../supabase/functions/backup/core/model.ts";
import {
  type CopyRowsPayload,
  type CopyRowsResult,
  storedParts,
} from "../../supabase/functions/backup/usecases/backup/copy_rows.ts";
import { hashOfRow } from "../../supabase/functions/backup/dump/data/table_data.ts";
import { hostFingerprints } from "./row_hash/host_fingerprints.ts";
import { threadCopier } from "./thread_copier.ts";

const PAYLOAD = {} as CopyRowsPayload;
const TABLE = {
  ...{ entry: "pg_class:1:data", format: "binary", columns: ["i"] },
  columnForms: [{ kind: "base", name: "int4" }],
  fingerprintExpression: hashOfRow([{ name: "i", form: "direct" }]),
} as unknown as TableData;
const PART = {
  ...{ entry: "pg_class:1:data", part: 0, pages: null, format: "binary", encoding: "UTF8" },
  ...{ rows: 1, rawBytes: 4, pieces: [], fingerprint: { rows: 1, sum: "7" } },
} as unknown as CopyRowsResult["parts"][number];

Deno.test("a fingerprint found wrong by a part that then failed is believed of no other part", async () => {
  const doubtful = new Set<string>();
  // As a thread tells it, at once.
  const own = hostFingerprints({ onDoubt: (entry) => void doubtful.add(entry) });
  let tries = 0;
  const copier = threadCopier({
    concurrency: 1,
    doubtful,
    run() {
      if (++tries === 2) {
        own.begin(TABLE, 0)!.doubt();
        return Promise.reject(new Error("the storage does not answer"));
      }
      return Promise.resolve({ result: { parts: [PART], remarks: [] }, bytes: 4 });
    },
  });
  const copy = async () => (await copier.copy(PAYLOAD, { snapshotId: "1" }))!.result;
  const results = [await copy()];
  assert.equal(storedParts(results)[0]?.fingerprint, PART.fingerprint);
  await assert.rejects(copy());
  results.push(await copy()); // by a thread that knows of nothing
  assert.deepEqual(storedParts(results).map(({ fingerprint }) => fingerprint), [null, null]);
});
