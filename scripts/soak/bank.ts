/**
 * A bank whose books show at once whether a copy of it is of one moment: money moves all the time from
 * several connections and its total never changes, while tables are rewritten, emptied and altered and
 * functions are replaced.
 *
 * @module
 */
import { DatabaseError } from "../../supabase/functions/backup/postgres/database_error.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { randomFrom } from "../../tests/support/random_from.ts";

const ACCOUNTS = 1000;
const OPENING_BALANCE = 1000;
const SIDE_ROWS = 500;
/** Of the table that gives the bank its size; what a row takes in the server with its share of the key. */
const HISTORY_ROW_BYTES = 215;

/** Between two rounds of changes of structure, at least and at most: definitions are read between them. */
const CHANGE_EVERY_MS = [1000, 9000] as const;
/** A change that has to wait for a backup's lock gives up: others would queue behind it. */
const CHANGE_LOCK_TIMEOUT = "100ms";
/** Between two transfers of one connection. */
const TRANSFER_EVERY_MS = 10;

/** Makes the bank, of about so many bytes with its indexes. */
export async function createBank(session: Session, { bytes }: { bytes: number }): Promise<void> {
  await session.execute(`
    CREATE TABLE accounts (id integer PRIMARY KEY, balance bigint NOT NULL);
    INSERT INTO accounts SELECT i, ${OPENING_BALANCE} FROM generate_series(1, ${ACCOUNTS}) i;
    CREATE TABLE transfers (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      from_account integer NOT NULL REFERENCES accounts, to_account integer NOT NULL REFERENCES accounts,
      amount bigint NOT NULL, made_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE side (batch integer NOT NULL, n integer NOT NULL);
    INSERT INTO side SELECT 0, i FROM generate_series(1, ${SIDE_ROWS}) i;
    CREATE TABLE altered (id integer PRIMARY KEY, c0 integer);
    INSERT INTO altered SELECT i FROM generate_series(1, 100) i;
    CREATE TABLE versions (what text PRIMARY KEY, version integer NOT NULL);
    INSERT INTO versions VALUES ('functions', 0), ('altered', 0);
    ${functionsOf(0)};
    CREATE TABLE history (id bigint PRIMARY KEY, note text NOT NULL, payload jsonb NOT NULL, at timestamptz NOT NULL);
    ${historyRows(bytes)};
    CREATE INDEX history_at ON history (at)`);
  await session.execute("ANALYZE");
}

/** Other rows of the same kind and number: nothing that a backup stored of the old ones serves the new. */
export async function rewriteHistory(session: Session, { bytes, seed }: {
  bytes: number;
  seed: number;
}): Promise<void> {
  await session.execute(`TRUNCATE history; ${historyRows(bytes, seed)}`);
}

function historyRows(bytes: number, seed = 0): string {
  return `INSERT INTO history
    SELECT i, 'transfer by customer ' || abs(hashint8(i + 7)) % 50000,
           jsonb_build_object('ip', '10.' || abs(hashint8(i)) % 250 || '.' || i % 250 || '.7',
             'session', md5(i::text || ' ${seed}'), 'items', abs(hashint8(i + 1)) % 9),
           timestamptz '2024-01-01' + i * interval '7 seconds'
      FROM generate_series(1, ${Math.max(1, Math.round(bytes / HISTORY_ROW_BYTES))}::bigint) i`;
}

function functionsOf(version: number): string {
  return `
    CREATE OR REPLACE FUNCTION release_a() RETURNS integer LANGUAGE sql AS 'SELECT ${version}';
    CREATE OR REPLACE FUNCTION release_b() RETURNS integer LANGUAGE sql AS 'SELECT ${version}'`;
}

/** What has happened. */
export interface BankCounts {
  transfers: number;
  /** Changes of structure that were made. */
  changes: number;
  /** Changes that gave up waiting for a lock. */
  waited: number;
}

/** The load that runs. */
export interface BankLoad {
  counts: Readonly<BankCounts>;
  /** Ends it. @throws what a connection failed with */
  stop(): Promise<BankCounts>;
}

/** Begins: transfers on several connections, and changes of structure on another. */
export function startBankLoad(
  open: () => Promise<Session>,
  { seed, connections = 3 }: { seed: number; connections?: number },
): BankLoad {
  const counts: BankCounts = { transfers: 0, changes: 0, waited: 0 };
  const ending = new AbortController();
  const working = [
    ...Array.from(
      { length: connections },
      (_, index) =>
        transfer(open, { random: randomFrom(seed + index), counts, signal: ending.signal }),
    ),
    change(open, { random: randomFrom(seed - 1), counts, signal: ending.signal }),
  ];
  const done = Promise.allSettled(working);
  return {
    counts,
    async stop() {
      ending.abort();
      for (const end of await done) if (end.status === "rejected") throw end.reason;
      return counts;
    },
  };
}

async function transfer(open: () => Promise<Session>, { random, counts, signal }: {
  random: () => number;
  counts: BankCounts;
  signal: AbortSignal;
}): Promise<void> {
  const session = await open();
  try {
    while (!signal.aborted) {
      const from = 1 + Math.floor(random() * ACCOUNTS);
      const to = 1 + (from + Math.floor(random() * (ACCOUNTS - 1))) % ACCOUNTS;
      const amount = 1 + Math.floor(random() * 100);
      // Both rows in the order of their ids: two transfers never wait for each other in a circle.
      await session.execute(`
        SELECT FROM accounts WHERE id IN (${from}, ${to}) ORDER BY id FOR UPDATE;
        UPDATE accounts SET balance = balance - ${amount} WHERE id = ${from};
        UPDATE accounts SET balance = balance + ${amount} WHERE id = ${to};
        INSERT INTO transfers (from_account, to_account, amount) VALUES (${from}, ${to}, ${amount})`);
      counts.transfers += 1;
      await pause(TRANSFER_EVERY_MS);
    }
  } finally {
    await session.close();
  }
}

async function change(open: () => Promise<Session>, { random, counts, signal }: {
  random: () => number;
  counts: BankCounts;
  signal: AbortSignal;
}): Promise<void> {
  const session = await open();
  let altered = 0;
  const attempt = async (sql: string): Promise<boolean> => {
    try {
      await session.execute(sql);
      counts.changes += 1;
      return true;
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.sqlState !== "55P03") throw error;
      counts.waited += 1;
      return false;
    }
  };
  try {
    await session.execute(`SET lock_timeout = '${CHANGE_LOCK_TIMEOUT}'`);
    for (let turn = 1; !signal.aborted; turn++) {
      await attempt(`${functionsOf(turn)};
        UPDATE versions SET version = ${turn} WHERE what = 'functions'`);
      await attempt(`TRUNCATE side;
        INSERT INTO side SELECT ${turn}, i FROM generate_series(1, ${SIDE_ROWS}) i`);
      if (
        await attempt(`ALTER TABLE altered ADD COLUMN c${turn} integer DEFAULT ${turn};
        ALTER TABLE altered DROP COLUMN c${altered};
        UPDATE versions SET version = ${turn} WHERE what = 'altered'`)
      ) altered = turn;
      await attempt(turn % 2 === 0 ? "VACUUM FULL accounts" : "VACUUM FULL side");
      const [least, most] = CHANGE_EVERY_MS;
      await pause(least + random() * (most - least), signal);
    }
  } finally {
    await session.close();
  }
}

/** What is wrong with the books, in words; nothing for those of one moment. */
export async function auditBank(session: Session): Promise<string[]> {
  const [found] = await session.query(`
    WITH moved AS (
      SELECT account, sum(amount) AS amount FROM (
        SELECT to_account AS account, amount FROM transfers
        UNION ALL SELECT from_account, -amount FROM transfers) m GROUP BY account)
    SELECT (SELECT sum(balance)::int FROM accounts) AS total,
           (SELECT count(*)::int FROM accounts) AS accounts,
           (SELECT count(*)::int FROM accounts a LEFT JOIN moved m ON m.account = a.id
             WHERE a.balance <> ${OPENING_BALANCE} + coalesce(m.amount, 0)) AS unbalanced,
           (SELECT count(DISTINCT batch)::int FROM side) AS batches,
           (SELECT count(*)::int FROM side) AS side_rows,
           release_a() AS a, release_b() AS b,
           (SELECT version FROM versions WHERE what = 'functions') AS functions,
           (SELECT version FROM versions WHERE what = 'altered') AS altered,
           (SELECT string_agg(attname, ' ') FROM pg_attribute
             WHERE attrelid = 'altered'::regclass AND attname ~ '^c[0-9]+$') AS columns`);
  const wrong: string[] = [];
  const expect = (what: string, value: unknown, wanted: unknown) => {
    if (value !== wanted) wrong.push(`${what} is ${value}, not ${wanted}`);
  };
  expect("the total of all accounts", found!.total, ACCOUNTS * OPENING_BALANCE);
  expect("the number of accounts", found!.accounts, ACCOUNTS);
  expect("the number of accounts that differ from their transfers", found!.unbalanced, 0);
  expect("the number of batches in the side table", found!.batches, 1);
  expect("the number of rows in the side table", found!.side_rows, SIDE_ROWS);
  expect("the version of release_a()", found!.a, found!.functions);
  expect("the version of release_b()", found!.b, found!.functions);
  expect("the column of the altered table", found!.columns, `c${found!.altered}`);
  return wrong;
}

/** The rows that nobody changes, as two figures. */
export async function historyDigest(session: Session): Promise<string> {
  const [row] = await session.query(
    "SELECT count(*)::text || ' ' || coalesce(sum(hashtextextended(h::text, 0)), 0)::text AS digest FROM history h",
  );
  return row!.digest;
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
