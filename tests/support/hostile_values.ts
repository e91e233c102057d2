/**
 * Values that hashing or parsing by hand gets wrong, as text that the server reads.
 *
 * @module
 */

/** Makes a value. */
export type MakeValue = (random: () => number) => string;

const INTEGERS = ["0", "1", "-1", "9", "10", "9999", "10000", "10001", "99999999", "100000000"];
const NUMBERS = [
  ...INTEGERS,
  ...[
    "-0",
    "0.0",
    "0.00010",
    "-0.5",
    "1.50",
    "10000.0001",
    "0.1234",
    "0.12345",
    "12345678.9",
    "1e10",
  ],
  ...[
    "1e-10",
    "1E+4",
    "1e131",
    "-1e-131",
    "4294967296",
    "20000.00000000000000010000",
    "123456789012345678901234567890",
  ],
];
const WORDS = [
  "",
  " ",
  "a",
  "key",
  "Übergröße",
  "日本語",
  "😀 smile",
  "\u007f",
  "tab\there",
  "line\nend\r",
  'say "hi"',
];
const LETTERS = [
  "a",
  "Z",
  "0",
  " ",
  '"',
  "\\",
  "/",
  "\b",
  "\f",
  "\u0001",
  "\u001f",
  "é",
  "€",
  "𝒳",
  "{",
  "]",
  ",",
  ":",
];

/** One of a list. */
export function pick<T>(list: readonly T[], random: () => number): T {
  return list[Math.floor(random() * list.length)]!;
}

/** A whole number between two others, both included; the ends come often. */
export function integer(from: bigint, to: bigint): MakeValue {
  return (random) => {
    const chance = random();
    if (chance < 0.1) return String(from);
    if (chance < 0.2) return String(to);
    const small = BigInt(pick(INTEGERS, random));
    if (chance < 0.5 && small >= from && small <= to) return String(small);
    const wide = BigInt(Math.floor(random() * 2 ** 32)) * 2n ** 32n +
      BigInt(Math.floor(random() * 2 ** 32));
    return String(from + wide % (to - from + 1n));
  };
}

/** A finite decimal, with an exponent now and then. */
export function decimal(random: () => number): string {
  if (random() < 0.4) return pick(NUMBERS, random);
  const whole = digits(random, 30).replace(/^0+(?=\d)/, "");
  const fraction = random() < 0.5 ? "" : `.${digits(random, 20)}`;
  return `${random() < 0.5 ? "-" : ""}${whole}${fraction}`;
}

/** Text without a NUL. */
export function text(random: () => number): string {
  if (random() < 0.3) return pick(WORDS, random);
  const length = Math.floor(random() ** 3 * 60);
  return Array.from({ length }, () => pick(LETTERS, random)).join("");
}

/** JSON of any shape. */
export function json(random: () => number, depth = 0): string {
  const chance = random();
  if (depth < 6 && chance < 0.3) {
    const items = Array.from({ length: Math.floor(random() * 5) }, () => json(random, depth + 1));
    return `[${items.join(pick([",", ", ", " ,\n"], random))}]`;
  }
  if (depth < 6 && chance < 0.7) {
    const items = Array.from(
      { length: Math.floor(random() * 6) },
      () => `${JSON.stringify(text(random))} : ${json(random, depth + 1)}`,
    );
    return `{${items.join(",")}}`;
  }
  if (chance < 0.8) return decimal(random);
  return chance < 0.9 ? JSON.stringify(text(random)) : pick(["null", "true", "false"], random);
}

function digits(random: () => number, most: number): string {
  const length = 1 + Math.floor(random() * most);
  return Array.from({ length }, () => random() < 0.3 ? "0" : String(Math.floor(random() * 10)))
    .join("");
}
