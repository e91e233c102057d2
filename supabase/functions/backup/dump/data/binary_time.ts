/**
 * Dates, times and intervals from their binary form, as PostgreSQL writes them with DateStyle ISO,
 * IntervalStyle postgres and TimeZone UTC.
 *
 * @module
 */

const DAY_US = 86_400_000_000n;
/** Days from 1970-01-01 to 2000-01-01, where PostgreSQL begins to count. */
const EPOCH_DAYS = 10_957;

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function pad(value: number | bigint, length = 2): string {
  return String(value).padStart(length, "0");
}

/** Year, month and day of a day counted from 2000-01-01, in the Gregorian calendar carried backwards. */
function civil(days: number): { date: string; era: string } {
  // Years that begin in March: the leap day comes last and needs no rule of its own.
  const shifted = days + EPOCH_DAYS + 719_468;
  const cycle = Math.floor(shifted / 146_097);
  const ofCycle = shifted - cycle * 146_097;
  const yearOfCycle = Math.floor(
    (ofCycle - Math.floor(ofCycle / 1460) + Math.floor(ofCycle / 36_524) -
      Math.floor(ofCycle / 146_096)) / 365,
  );
  const ofYear = ofCycle -
    (365 * yearOfCycle + Math.floor(yearOfCycle / 4) - Math.floor(yearOfCycle / 100));
  const fromMarch = Math.floor((5 * ofYear + 2) / 153);
  const day = ofYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  const year = yearOfCycle + cycle * 400 + (month <= 2 ? 1 : 0);
  const shown = year > 0 ? year : 1 - year;
  return { date: `${pad(shown, 4)}-${pad(month)}-${pad(day)}`, era: year > 0 ? "" : " BC" };
}

/** `HH:MM:SS[.ffffff]` of microseconds, without trailing zeros. */
function clock(us: bigint): string {
  const seconds = us / 1_000_000n;
  const fraction = us % 1_000_000n;
  const text = `${pad(seconds / 3600n)}:${pad(seconds / 60n % 60n)}:${pad(seconds % 60n)}`;
  return fraction === 0n ? text : `${text}.${pad(fraction, 6).replace(/0+$/, "")}`;
}

/** date */
export function dateText(bytes: Uint8Array): string {
  const days = view(bytes).getInt32(0);
  if (days === 2 ** 31 - 1) return "infinity";
  if (days === -(2 ** 31)) return "-infinity";
  const { date, era } = civil(days);
  return date + era;
}

/** time without time zone */
export function timeText(bytes: Uint8Array): string {
  return clock(view(bytes).getBigInt64(0));
}

/** time with time zone */
export function timetzText(bytes: Uint8Array): string {
  // Stored as seconds west of Greenwich.
  return timeText(bytes) + zone(-view(bytes).getInt32(8));
}

function zone(seconds: number): string {
  const size = Math.abs(seconds);
  let text = (seconds < 0 ? "-" : "+") + pad(Math.floor(size / 3600));
  if (size % 3600 !== 0) text += `:${pad(Math.floor(size / 60) % 60)}`;
  if (size % 60 !== 0) text += `:${pad(size % 60)}`;
  return text;
}

/** timestamp without time zone */
export function timestampText(bytes: Uint8Array): string {
  return moment(view(bytes).getBigInt64(0), "");
}

/** timestamp with time zone, in UTC */
export function timestamptzText(bytes: Uint8Array): string {
  return moment(view(bytes).getBigInt64(0), "+00");
}

function moment(us: bigint, suffix: string): string {
  if (us === 2n ** 63n - 1n) return "infinity";
  if (us === -(2n ** 63n)) return "-infinity";
  let days = us / DAY_US;
  let rest = us % DAY_US;
  if (rest < 0n) {
    rest += DAY_US;
    days -= 1n;
  }
  const { date, era } = civil(Number(days));
  return `${date} ${clock(rest)}${suffix}${era}`;
}

/** interval */
export function intervalText(bytes: Uint8Array): string {
  const data = view(bytes);
  const us = data.getBigInt64(0);
  const days = data.getInt32(8);
  const months = data.getInt32(12);
  if (us === 2n ** 63n - 1n && days === 2 ** 31 - 1 && months === 2 ** 31 - 1) return "infinity";
  if (us === -(2n ** 63n) && days === -(2 ** 31) && months === -(2 ** 31)) return "-infinity";
  const parts: string[] = [];
  let before = false; // whether the part before was negative: then a positive one shows its sign
  const add = (value: number, unit: string) => {
    if (value === 0) return;
    parts.push(`${before && value > 0 ? "+" : ""}${value} ${unit}${value === 1 ? "" : "s"}`);
    before = value < 0;
  };
  add(Math.trunc(months / 12), "year");
  add(months % 12, "mon");
  add(days, "day");
  if (us !== 0n || parts.length === 0) {
    const sign = us < 0n ? "-" : before ? "+" : "";
    parts.push(sign + clock(us < 0n ? -us : us));
  }
  return parts.join(" ");
}
