/**
 * The plan of a restore of items in a few sentences, for somebody in a hurry.
 *
 * @module
 */
import type { ItemStep, ItemType } from "../../core/items.ts";
import { countWords } from "../../core/size_words.ts";

const NAMES: Record<ItemType, string> = {
  function: "function",
  config: "section",
  secrets: "secret",
  files: "item",
};

/** What a plan came to. */
export interface PlannedItems {
  type: ItemType;
  backupId: string;
  /** Steps by their action. */
  planned: Record<string, number>;
  byHand: { total: number; first: readonly Pick<ItemStep, "key" | "title">[] };
  /** Steps with hazards that nobody has accepted. */
  hazards: readonly ItemStep[];
}

/** See the module; the most important sentence first. */
export function describeItems(
  { type, backupId, planned, byHand, hazards }: PlannedItems,
): string[] {
  const { create = 0, replace = 0, keep = 0 } = planned;
  const name = NAMES[type];
  const all = Object.values(planned).reduce((sum, count) => sum + count, 0);
  const head = type === "secrets"
    ? `Compares ${countWords(all, name)} with ${backupId}; nothing is changed.`
    : `Restores from ${backupId}: ${countWords(create, name)} made, ` +
      `${replace.toLocaleString("en-US")} replaced by what was saved, ` +
      `${keep.toLocaleString("en-US")} left as they are.`;
  const [person] = byHand.first;
  const [hazard] = hazards;
  return [
    head,
    ...(person === undefined
      ? []
      : [`${countWords(byHand.total, name)} to be supplied by hand, such as ${person.key}.`]),
    ...(hazard === undefined ? ["Nothing stands against it."] : [
      `Begins only when hazards of ${countWords(hazards.length, name)} are accepted, such as ` +
      `${hazard.key}: ${hazard.hazards![0]}.`,
      "As it stands it would be refused, and nothing changed.",
    ]),
  ];
}
