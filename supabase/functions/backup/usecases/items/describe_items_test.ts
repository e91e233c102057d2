import assert from "node:assert/strict";
import { describeItems } from "./describe_items.ts";

const NONE = { byHand: { total: 0, first: [] }, hazards: [], backupId: "backup_1" };

Deno.test("describeItems() says what is made, replaced and left, and what stands against it", () => {
  const planned = { create: 1, replace: 2, keep: 1000, "by-hand": 3 };
  assert.deepEqual(describeItems({ ...NONE, type: "files", planned }), [
    "Restores from backup_1: 1 item made, 2 replaced by what was saved, 1,000 left as they are.",
    "Nothing stands against it.",
  ]);
  const hazard = { key: "auth", action: "replace", title: "write auth", hazards: ["shuts a door"] };
  const lines = describeItems({
    ...{ ...NONE, type: "config", planned, hazards: [{ ...hazard, action: "replace" as const }] },
    byHand: { total: 3, first: [{ key: "smtp", title: "supply it" }] },
  });
  assert.deepEqual(lines.slice(1), [
    "3 sections to be supplied by hand, such as smtp.",
    "Begins only when hazards of 1 section are accepted, such as auth: shuts a door.",
    "As it stands it would be refused, and nothing changed.",
  ]);
});

Deno.test("describeItems() says that secrets are only compared", () => {
  const [line] = describeItems({ ...NONE, type: "secrets", planned: { keep: 1, "by-hand": 1 } });
  assert.equal(line, "Compares 2 secrets with backup_1; nothing is changed.");
});
