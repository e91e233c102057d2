/**
 * Compares and restores settings that are lists: elements are added and mended, none is taken away.
 *
 * @module
 */
import { z } from "zod";
import { BackupError } from "../core/errors.ts";
import type { ItemResult } from "../core/items.ts";
import type { Json } from "../core/part.ts";
import { isSame } from "./config_document.ts";
import type { ConfigList, ElementRequest } from "./config_lists.ts";
import type { FieldValues } from "./config_section.ts";
import type { ManagementApi } from "./management_api.ts";
import { fetchList, type FoundList, type ListDocument } from "./read_config.ts";

/** What a restore would do to a list. */
export interface ListDifference {
  create: FieldValues[];
  update: { element: FieldValues; found: FieldValues }[];
  /** Names of elements that only the target has. */
  extra: string[];
}

/** See the module. */
export function compareLists(
  list: ConfigList,
  { saved, current }: { saved: readonly FieldValues[]; current: FoundList },
): ListDifference {
  const rest = [...current.elements];
  const take = (fits: (element: FieldValues) => boolean) => {
    const at = rest.findIndex(({ element }) => fits(element));
    return at < 0 ? undefined : rest.splice(at, 1)[0];
  };
  // The same ones first: without ways to change them, two of one name may stand side by side.
  const others = saved.filter((element) => take((found) => isSame(found, element)) === undefined);
  const difference: ListDifference = { create: [], update: [], extra: [] };
  for (const element of others) {
    const known = list.update === null
      ? undefined
      : take((found) => list.nameOf(found) === list.nameOf(element));
    if (known === undefined) difference.create.push(element);
    else difference.update.push({ element, found: known.found });
  }
  difference.extra = rest.map(({ element }) => list.nameOf(element));
  return difference;
}

/** The difference for people and programs: names, not what is behind them. */
export function showLists(list: ConfigList, { create, update, extra }: ListDifference): Json {
  return {
    create: create.map((element) => list.nameOf(element)),
    change: update.map(({ element, found }) => {
      const now = list.element(found);
      const fields = Object.keys({ ...now, ...element }).sort();
      return {
        name: list.nameOf(element),
        fields: fields.filter((field) => !isSame(now[field], element[field])),
      };
    }),
    onlyInTarget: extra,
  };
}

/**
 * Restores a list. May be called again: it begins with what differs then.
 *
 * @throws the `management_*` codes, `restore_mismatch` when an element is not there afterwards
 */
export async function applyList(
  list: ConfigList,
  { api, saved, signal }: { api: ManagementApi; saved: ListDocument; signal: AbortSignal },
): Promise<ItemResult> {
  const { key } = list;
  const compare = async () => {
    const current = await fetchList(api, list, signal);
    return { current, ...compareLists(list, { saved: saved.elements, current }) };
  };
  const before = await compare();
  if (before.current.absent !== null && saved.elements.length > 0) {
    throw new BackupError(
      "target_unfit",
      `Cannot restore ${list.title}: ${before.current.absent}`,
      { hint: "Restore the sign-in settings first, and see that the plan includes them." },
    );
  }
  const { create, update } = before;
  for (const element of create) await send(list, { api, request: list.create(element), signal });
  for (const { element, found } of update) {
    if (list.update === null) continue;
    await send(list, { api, request: list.update(element, found), signal });
  }
  const after = await compare();
  const open = [...after.create, ...after.update.map(({ element }) => element)];
  if (open.length > 0) {
    throw new BackupError(
      "restore_mismatch",
      `Cannot restore ${list.title}: afterwards ${open.map(list.nameOf).join(", ")} ` +
        "is not as it was written",
      { hint: "Look at the plan again, then restore again." },
    );
  }
  const written = create.length + update.length;
  return written === 0
    ? { key, outcome: "kept" }
    : { key, outcome: "done", checked: `${written} elements were written and read again` };
}

async function send(
  list: ConfigList,
  { api, request, signal }: { api: ManagementApi; request: ElementRequest; signal: AbortSignal },
): Promise<void> {
  const { method, path, permission, params, json } = request;
  const call = {
    to: `write ${list.title}`,
    permission,
    ...(params === undefined ? {} : { params }),
    json,
    answer: z.unknown(),
    sensitive: true,
    signal,
  };
  if (method === "PUT") await api.put(path, call);
  else await api.post(path, call);
}
