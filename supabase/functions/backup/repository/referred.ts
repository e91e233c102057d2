/**
 * What lines of backups say of where rows and contents are. Without a key anybody may have written them, so
 * that nothing is believed of their form.
 *
 * @module
 */
import type { SavedItem } from "../core/items.ts";
import type { DataPart, Piece } from "../core/model.ts";
import { isContentName } from "./paths.ts";

/** A run of bytes that a backup refers to, by the name of what it belongs to. */
export interface Referred {
  object: string;
  bytes: number;
  pieces: Piece[];
}

/** What a line refers to; null for what is no line of rows or contents. */
export function referredByLine(value: unknown): Referred[] | null {
  const { entry, part, rawBytes, pieces, key, contents } = (value ?? {}) as Partial<
    DataPart & SavedItem
  >;
  if (pieces !== undefined) {
    if (!arePieces(pieces)) return null;
    const object = `${wordOf(entry)} part ${wordOf(part)}`;
    return [{ object, bytes: rawBytes ?? 0, pieces }];
  }
  if (!Array.isArray(contents) || !contents.every((each) => arePieces(each?.pieces))) return null;
  return contents.map(({ name, bytes, pieces }) => ({
    ...{ object: `${wordOf(key)} ${wordOf(name)}`, bytes, pieces },
  }));
}

/** A value of JSON may be one that no text can be made of. */
function wordOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "?";
}

function arePieces(pieces: unknown): pieces is Piece[] {
  return Array.isArray(pieces) &&
    pieces.every((piece: Partial<Piece> | null) =>
      typeof piece?.chunk === "string" && isContentName(piece.chunk) &&
      isPlace(piece.offset) && isPlace(piece.length)
    );
}

function isPlace(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
