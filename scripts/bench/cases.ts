/**
 * The databases that are measured: generated, the same on every run.
 *
 * @module
 */

/** One database to measure. */
export interface BenchCase {
  /** On the command line and as the database's name. */
  name: string;
  title: string;
  /** About how many megabytes of rows by default, and with `--full`. */
  megabytes: { small: number; full: number };
  /** SQL that makes it. */
  sql(megabytes: number): string;
  /** SQL that changes about one row in a hundred, in one run of the table as applications do. */
  change: string;
  /** Whether its definitions are measured by themselves without being asked for. */
  isMostlySchema?: boolean;
  /** Whether its data is in no table: then no option leaves it out, and copying cannot be told from the rest. */
  hasNoRows?: boolean;
}

/** 5,000 tables at full size. */
const TABLES_A_MEGABYTE = 500;

/** All of them. */
export const BENCH_CASES: readonly BenchCase[] = [
  {
    name: "large",
    title: "one large table, primary key and two indexes",
    megabytes: { small: 100, full: 530 },
    sql: (megabytes) => `
      CREATE TABLE events (
        id bigint PRIMARY KEY, note text NOT NULL, payload jsonb NOT NULL,
        created_at timestamptz NOT NULL, amount numeric(12,2) NOT NULL);
      INSERT INTO events
      SELECT i,
             (array['order placed','order paid','order shipped','user signed in','user signed up'])[1 + abs(hashint8(i)) % 5]
               || ' by customer ' || abs(hashint8(i + 7)) % 50000,
             jsonb_build_object('ip', '10.' || abs(hashint8(i)) % 250 || '.' || i % 250 || '.7', 'items', abs(hashint8(i + 1)) % 9,
               'session', md5(i::text), 'agent', (array['Mozilla/5.0 (X11; Linux x86_64)','curl/8.5.0','okhttp/4.12'])[1 + i % 3]),
             timestamptz '2024-01-01' + i * interval '7 seconds',
             (abs(hashint8(i + 2)) % 10000000)::numeric / 100
        FROM generate_series(1, ${megabytes * 5000}::bigint) i;
      CREATE INDEX events_created_at ON events (created_at);
      CREATE INDEX events_amount ON events (amount, id);`,
    change: `UPDATE events SET note = note || ' (changed)'
              WHERE id > (SELECT max(id) * 0.99 FROM events)`,
  },
  {
    name: "many",
    title: "many small tables",
    megabytes: { small: 1, full: 10 },
    sql: (megabytes) => `
      DO $$ BEGIN
        FOR i IN 1..${megabytes * TABLES_A_MEGABYTE} LOOP
          EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, name text NOT NULL, made date DEFAULT now())', i);
          EXECUTE format('INSERT INTO t%s SELECT j, %L || j FROM generate_series(1, 20) j', i, 'row ' || i || ' ');
          IF i % 100 = 0 THEN COMMIT; END IF;
        END LOOP;
      END $$;`,
    // Tables are equally large: one table in a hundred is one row in a hundred.
    change: `
      DO $$ BEGIN
        FOR i IN 1..(SELECT greatest(1, count(*) / 100) FROM pg_tables WHERE schemaname = 'public') LOOP
          EXECUTE format('UPDATE t%s SET name = name || %L', i, ' (changed)');
        END LOOP;
      END $$`,
    isMostlySchema: true,
  },
  {
    name: "wide",
    title: "wide jsonb and text",
    megabytes: { small: 60, full: 300 },
    sql: (megabytes) => `
      CREATE TABLE documents (id bigint PRIMARY KEY, title text NOT NULL, body text NOT NULL, meta jsonb NOT NULL);
      INSERT INTO documents
      SELECT i, 'Document ' || i,
             (SELECT string_agg((array['the','quick','brown','fox','jumps','over','a','lazy','dog','again'])[1 + abs(hashint8(i * 1000 + j)) % 10]
                     || CASE WHEN j % 12 = 0 THEN '. ' ELSE ' ' END || abs(hashint8(i * 77 + j)) % 1000, ' ')
                FROM generate_series(1, 250) j),
             (SELECT jsonb_object_agg('field_' || j, jsonb_build_object('value', abs(hashint8(i + j)) % 100000, 'label', md5((i * 31 + j)::text)))
                FROM generate_series(1, 25) j)
        FROM generate_series(1, ${megabytes * 200}::bigint) i;
      CREATE INDEX documents_title ON documents (title);`,
    change: `UPDATE documents SET body = body || ' changed'
              WHERE id > (SELECT max(id) * 0.99 FROM documents)`,
  },
  {
    name: "bytes",
    title: "incompressible bytea",
    megabytes: { small: 60, full: 300 },
    sql: (megabytes) => `
      CREATE TABLE files (id bigint PRIMARY KEY, data bytea NOT NULL);
      INSERT INTO files
      SELECT i, (SELECT string_agg(sha512(int8send(i * 100000 + j)), '') FROM generate_series(1, 320) j)
        FROM generate_series(1, ${megabytes * 50}::bigint) i;`,
    change: `UPDATE files SET data = sha512(data) || data
              WHERE id > (SELECT max(id) * 0.99 FROM files)`,
  },
  {
    name: "objects",
    title: "large objects",
    megabytes: { small: 30, full: 100 },
    sql: (megabytes) => `
      SELECT count(lo_from_bytea(0, (SELECT string_agg(sha512(int8send(i * 100000 + j)) || repeat('text ', 20)::bytea, '')
                                       FROM generate_series(1, 600) j)))
        FROM generate_series(1, ${megabytes * 10}::bigint) i;`,
    change: `SELECT lo_put(oid, 0, 'changed') FROM pg_largeobject_metadata
              WHERE oid > (SELECT max(oid::bigint) - count(*) / 100 FROM pg_largeobject_metadata)`,
    hasNoRows: true,
  },
];
